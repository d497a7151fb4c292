// The durable store on a disk that loses power, fills up and fails, for many seeds.
import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { test } from "node:test";
import { MetricsRegistry, never, silentLogger, utf8, type WireError } from "@millrace/base";
import { Agenda, seededRandom, SimulatedClock } from "@millrace/base/testkit";
import { filesOf, SimulatedDisk } from "@millrace/wal/testkit";
import { coordinationContract } from "./coordination-contract.ts";
import { openDurableStore, type DurableStoreOptions } from "./durable-store.ts";
import { StoreWorld, type Life } from "./store-world.ts";

const SEEDS = 40;

/** Lives that end in any way at any moment; every life begins with a look at what the earlier ones left. */
async function manyLives(
  seed: string,
  options: { readonly withoutSync?: boolean } = {},
): Promise<StoreWorld> {
  const world = new StoreWorld(seed, options);
  const { agenda, disk, random } = world;
  for (let round = 0; round < 8; round++) {
    for (let cut = random.below(3); cut > 0; cut--) await world.begin(powerOrKill(world));
    const life = (await world.begin())!;
    await world.examine(life);
    world.work(life, 1 + random.below(5));
    if (random.below(4) === 0) disk.failWrite((path) => path.endsWith(".seg"));
    if (random.below(4) === 0) disk.failSync(() => true);
    const endMs = agenda.nowMs + random.below(150);
    while (life.fatal === undefined && (await agenda.step(endMs)));
    if (random.below(5) === 0 && life.fatal === undefined) await closeCleanly(world, life);
    disk.failWrite(() => false);
    disk.failSync(() => false);
    world.end(life, powerOrKill(world));
  }
  await recoverTwice(world);
  return world;
}

function powerOrKill({ disk, random }: StoreWorld): () => void {
  return () => (random.below(3) === 0 ? disk.kill() : disk.crash());
}

async function closeCleanly({ agenda, disk }: StoreWorld, { store }: Life): Promise<void> {
  disk.failWrite(() => false);
  disk.failSync(() => false);
  let isClosed = false;
  void store.close().then(() => (isClosed = true));
  ok(await agenda.runUntil(() => isClosed, agenda.nowMs + 10_000), "closing ends");
}

async function recoverTwice(world: StoreWorld): Promise<void> {
  const views: unknown[] = [];
  for (let again = 0; again < 2; again++) {
    const life = (await world.begin())!;
    await world.examine(life);
    const { kvs } = await life.store.range({ key: "\0", end: "\0" }, never);
    views.push([life.store.header.revision, kvs, new Set(life.store.leases())]);
    world.end(life, () => world.disk.crash());
  }
  deepEqual(views[0], views[1]);
}

test("crash at any point: acknowledged and seen revisions stay, recovery is idempotent", async () => {
  const outcomes = new Map<string, number>();
  let revisions = 0;
  for (let seed = 0; seed < SEEDS; seed++) {
    const world = await manyLives(`crash ${seed}`).catch((error: unknown) => {
      throw new Error(`seed "crash ${seed}"`, { cause: error });
    });
    for (const [outcome, count] of world.outcomes)
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + count);
    revisions += world.known;
  }
  ok(revisions > 50 * SEEDS, `${revisions} revisions`);
  ok((outcomes.get("OUTCOME_UNKNOWN") ?? 0) > 0, [...outcomes.keys()].join());
});

test("negative control: without syncs the same lives are found out", async () => {
  let found = 0;
  for (let seed = 0; seed < 10; seed++) {
    await manyLives(`crash ${seed}`, { withoutSync: true }).catch(() => found++);
  }
  ok(found >= 5, `${found} of 10 seeds`);
});

test("disk full: refused and undone; with space again it goes on, in the same life", async () => {
  for (let seed = 0; seed < 5; seed++) {
    const world = new StoreWorld(`full ${seed}`);
    const { agenda, disk, random } = world;
    const life = (await world.begin())!;
    world.work(life, 4);
    for (let round = 0; round < 3; round++) {
      await agenda.advance(50 + random.below(100));
      disk.capacityBytes = disk.usedBytes + random.below(4000);
      const refusals = world.outcomes.get("DISK_FULL") ?? 0;
      const isRefused = (): boolean =>
        life.store.unhealthy() !== undefined && (world.outcomes.get("DISK_FULL") ?? 0) > refusals;
      ok(await agenda.runUntil(isRefused, agenda.nowMs + 20_000), "the disk fills up");
      equal(life.fatal, undefined);
      await life.store.range({ key: "a" }, never);
      disk.capacityBytes = Number.MAX_SAFE_INTEGER;
      const before = world.known;
      const goesOn = (): boolean => world.known > before + 10 && life.store.unhealthy() === undefined;
      ok(await agenda.runUntil(goesOn, agenda.nowMs + 5000), "it recovers");
    }
    world.end(life, () => disk.crash());
    await recoverTwice(world);
  }
});

interface Fixture {
  readonly agenda: Agenda;
  readonly disk: SimulatedDisk;
  readonly options: DurableStoreOptions;
}

function fixture(): Fixture {
  const agenda = new Agenda();
  const schedule = (delayMs: number, run: () => void): void => void agenda.schedule(delayMs, run);
  const disk = new SimulatedDisk({ schedule, random: seededRandom("fixture") });
  const options = {
    disk: disk.open(),
    dir: "coordination",
    clock: new SimulatedClock(agenda),
    random: seededRandom("store"),
    logger: silentLogger,
    metrics: new MetricsRegistry(),
    onFatal: (error: WireError): void => {
      throw error;
    },
    log: { segmentBytes: 3 * 1024 * 1024, firstSegmentBytes: 65_536 },
  };
  return { agenda, disk, options };
}

/** Runs the agenda until `work` is done. */
async function driven<T>({ agenda }: Fixture, work: Promise<T>): Promise<T> {
  let isDone = false;
  const done = work.finally(() => (isDone = true));
  done.catch(() => {});
  ok(await agenda.runUntil(() => isDone, agenda.nowMs + 60_000), "it ends");
  return done;
}

/** The lives of one store with three checkpoints; returns a way to open it again. */
async function threeCheckpoints(f: Fixture): Promise<void> {
  const store = await driven(f, openDurableStore(f.options));
  for (let i = 1; i <= 3; i++) {
    for (let n = 0; n < 5; n++) {
      const put = { kind: "put", key: `k${n}`, value: utf8(`${i}.${n}`) } as const;
      await driven(f, store.txn({ compare: [], success: [put] }, never));
    }
    await driven(f, store.checkpoint());
  }
  await driven(f, store.close());
}

test("disk full at the start -> DISK_FULL; with space it opens", async () => {
  const f = fixture();
  f.disk.capacityBytes = 1000;
  await rejects(driven(f, openDurableStore(f.options)), {
    code: "DISK_FULL",
    message: /^no space to begin: /,
  });
  f.disk.capacityBytes = Number.MAX_SAFE_INTEGER;
  f.disk.kill();
  const store = await driven(f, openDurableStore({ ...f.options, disk: f.disk.open() }));
  equal(store.unhealthy(), undefined);
});

test("checkpoint file rotten -> the older generation serves", async () => {
  const f = fixture();
  await threeCheckpoints(f);
  f.disk.file("coordination/checkpoint.1")!.rot(20, 0xff);
  const store = await driven(f, openDurableStore({ ...f.options, disk: f.disk.open() }));
  equal(store.header.revision, 16);
  const { kvs } = await store.range({ key: "k4" }, never);
  deepEqual(kvs[0]!.value, utf8("3.4"));
  f.disk.kill();
});

test("snapshot rotten -> CORRUPT, naming file and offset; nothing is changed", async () => {
  const f = fixture();
  await threeCheckpoints(f);
  f.disk.file("coordination/snapshot-0000000000000003")!.rot(30, 0x01);
  const before = filesOf(f.disk);
  const opening = driven(f, openDurableStore({ ...f.options, disk: f.disk.open() }));
  await rejects(opening, {
    code: "CORRUPT",
    message: /coordination\/snapshot-0000000000000003, offset 16: /,
  });
  deepEqual(filesOf(f.disk), before);
});

test("checkpoints keep two generations and free the log", async () => {
  const f = fixture();
  await threeCheckpoints(f);
  const names = filesOf(f.disk).map(({ path }) => path.slice("coordination/".length));
  deepEqual(
    names.filter((name) => !name.startsWith("log/")),
    ["checkpoint.0", "checkpoint.1", "snapshot-0000000000000002", "snapshot-0000000000000003"],
  );
});

const cases = coordinationContract(async () => {
  const f = fixture();
  const store = await driven(f, openDurableStore(f.options));
  // Disk operations need the agenda; a clock that runs by itself while the cases wait for nothing else.
  let isOpen = true;
  const drive = (async () => {
    while (isOpen) {
      await f.agenda.step(f.agenda.nowMs + 60_000);
    }
  })();
  return {
    store,
    prefix: "contract/",
    clock: f.options.clock,
    advance: async (ms: number) => {
      const atMs = f.agenda.nowMs + ms;
      await new Promise<void>((resolve) => f.agenda.schedule(ms, resolve));
      ok(f.agenda.nowMs >= atMs);
    },
    close: async () => {
      await store.close();
      isOpen = false;
      await drive;
    },
  };
});

for (const { name, run } of cases) test(`durable store: ${name}`, run);
