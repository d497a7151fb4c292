// The persister over durable spools on a simulated disk that loses power, with a store that fails: across crashes every
// acknowledged byte is either here or intact in the store, and in the end all of them are in the store.
import assert from "node:assert/strict";
import { test } from "node:test";
import { concatBytes, MetricsRegistry, never, silentLogger, TaskGroup, utf8 } from "@millrace/base";
import { Agenda, seededRandom, SimulatedClock } from "@millrace/base/testkit";
import { objectStores } from "@millrace/stores";
import { memoryStore, type MemoryStore } from "@millrace/stores/testkit";
import { SimulatedDisk } from "@millrace/wal/testkit";
import { inlineCodecs, prepareCodecs } from "./codec.ts";
import { openSpools } from "./durable-spools.ts";
import { FragmentIndex } from "./fragment-index.ts";
import { Persister, PERSISTER_LIMITS, type PersistHandle } from "./persister.ts";
import { listRemoteFragments, readRemoteFragment, type RemotePorts } from "./remote-fragments.ts";
import type { Spool, Spools } from "./spools.ts";

const JOURNAL = "a/journal";
const URL = "file:///one/";
const FAULTS = {
  unavailable: 100,
  "timeout-after-success": 150,
  truncated: 150,
  "wrong-length": 100,
  "cut-off": 50,
  unsynced: 150,
};
await prepareCodecs();

/** One life of the process. */
interface Life {
  readonly spools: Spools;
  readonly spool: Spool;
  readonly index: FragmentIndex;
  readonly handle: PersistHandle;
  readonly tasks: TaskGroup;
}

test("D18: crashes at any moment, a store with faults -> no acknowledged byte is lost, all are persisted", async () => {
  for (let seed = 0; seed < 4; seed++) await crashingRun(`crash-${seed}`);
});

async function crashingRun(seed: string): Promise<void> {
  const agenda = new Agenda();
  const clock = new SimulatedClock(agenda);
  const random = seededRandom(seed);
  const disk = new SimulatedDisk({
    schedule: (ms, run) => agenda.schedule(ms, run),
    random: random.fork("disk"),
  });
  const store = memoryStore({ url: URL, clock, random, latencyMs: { min: 1, max: 300 }, faults: FAULTS });
  const acknowledged: Uint8Array[] = [];
  const lives = 5;
  for (let life = 0; life < lives; life++) {
    const isLast = life === lives - 1;
    if (isLast) store.faults = {};
    const opened = await run(agenda, start({ clock, random: random.fork(`life ${life}`), disk, store }));
    const { spool, index, handle } = opened;
    const known = acknowledged.reduce((total, bytes) => total + bytes.length, 0);
    assert.equal(spool.end, known, `${seed}: recovery shows what was acknowledged, no more and no less`);
    const crashMs = agenda.nowMs + 500 + random.below(4000);
    for (let i = 0; agenda.nowMs < crashMs; i++) {
      const bytes = utf8(`life ${life} append ${i} `.repeat(1 + random.below(200)));
      const append = spool.openAppend();
      let done = false;
      await append.write(bytes, never);
      append.commit(undefined, ({ kind }) => {
        assert.equal(kind, "acknowledged");
        acknowledged.push(bytes);
        done = true;
      });
      if (random.below(3) === 0) spool.roll(spool.pendingEnd);
      assert.ok(await agenda.runUntil(() => done, agenda.nowMs + 10_000));
      await agenda.advance(random.below(100));
      checkCovered(spool, index, seed);
    }
    if (!isLast) {
      disk.crash();
      store.crash();
      const closing = opened.tasks.close();
      await agenda.advance(1000);
      await closing;
      continue;
    }
    spool.roll(spool.pendingEnd);
    await agenda.advance(1);
    const isDone = (): boolean => handle.pendingCount === 0;
    assert.ok(
      await agenda.runUntil(isDone, agenda.nowMs + 3_600_000),
      `${seed}: all is persisted once it heals`,
    );
    assert.equal(spool.fragments().length, 0);
    await opened.tasks.close();
  }
  const content = await contentOf(clock, store);
  assert.ok(
    Buffer.compare(content, concatBytes(acknowledged)) === 0,
    `${seed}: the store has what was acknowledged`,
  );
}

/** Every acknowledged offset of this life is in the index: here, or in the store where it was confirmed. */
function checkCovered(spool: Spool, index: FragmentIndex, seed: string): void {
  const first = spool.fragments()[0]?.begin ?? spool.end;
  for (let offset = index.count === 0 ? first : index.at(0).begin; offset < spool.end;) {
    const { index: at, found } = index.find(offset);
    assert.ok(found, `${seed}: offset ${offset} of ${spool.end} is in the index`);
    offset = index.at(at).end;
  }
}

async function start(world: {
  clock: SimulatedClock;
  random: ReturnType<typeof seededRandom>;
  disk: SimulatedDisk;
  store: MemoryStore;
}): Promise<Life> {
  const { clock, random, store } = world;
  const metrics = new MetricsRegistry();
  const fail = (error: unknown): never => {
    throw error;
  };
  const base = { clock, random, metrics, logger: silentLogger };
  const ports = { ...base, disk: world.disk.open(), onFatal: fail };
  const spools = await openSpools(ports, {}, never);
  const spool = await spools.claim({ journal: JOURNAL, createRevision: 1, epoch: 1 }, 0);
  const index = new FragmentIndex();
  index.setLocal(spool.fragments());
  index.setRemote(
    await listRemoteFragments(healthyPorts(clock, store), { name: JOURNAL, stores: [URL] }, never),
    0,
  );
  spool.onChange(() => index.setLocal(spool.fragments()));
  const tasks = new TaskGroup("persister", (_, error) => fail(error));
  const stores = objectStores({ file: () => store });
  const persister = new Persister({ ...base, stores, codecs: inlineCodecs }, PERSISTER_LIMITS, tasks);
  const retention = { retentionMs: 0, bytesMax: undefined, trimmedTo: 0 };
  const settings = {
    stores: [URL],
    codec: "SNAPPY",
    pathPostfix: () => "",
    retention,
    isPrimary: true,
  } as const;
  const handle = persister.open({ name: JOURNAL, spool, index, settings: () => settings });
  return { spools, spool, index, handle, tasks };
}

async function run<T>(agenda: Agenda, work: Promise<T>): Promise<T> {
  let ended = false;
  const settled = work.finally(() => {
    ended = true;
  });
  assert.ok(await agenda.runUntil(() => ended, agenda.nowMs + 60_000), "it ends within a minute");
  return settled;
}

async function contentOf(clock: SimulatedClock, store: MemoryStore): Promise<Uint8Array> {
  const ports = healthyPorts(clock, store);
  const index = new FragmentIndex();
  index.setRemote(await listRemoteFragments(ports, { name: JOURNAL, stores: [URL] }, never), 0);
  const parts: Uint8Array[] = [];
  let offset = 0;
  for (const entry of index.entries()) {
    assert.ok(entry.kind === "remote" && entry.begin <= offset, "no hole");
    for await (const part of readRemoteFragment(ports, entry.fragment, offset, never)) parts.push(part);
    offset = entry.end;
  }
  return concatBytes(parts);
}

/** What `store` holds now, without latency and faults. */
function healthyPorts(clock: SimulatedClock, store: MemoryStore): RemotePorts {
  const healthy = memoryStore({ url: URL, clock, random: seededRandom("healthy") });
  for (const key of store.keys()) healthy.set(key, store.peek(key)!);
  return { stores: objectStores({ file: () => healthy }), codecs: inlineCodecs, logger: silentLogger };
}
