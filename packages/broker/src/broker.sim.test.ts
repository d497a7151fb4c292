// A real broker over real spools on a simulated disk, with a store that fails, through crashes: what was
// acknowledged is there, once, at the offsets that were told, and readers agree about every byte.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  abortScope,
  concatBytes,
  MetricsRegistry,
  silentLogger,
  utf8,
  WireError,
  type Random,
} from "@millrace/base";
import { Agenda, seededRandom, SimulatedClock } from "@millrace/base/testkit";
import type { AppendContent } from "@millrace/client";
import { inlineCodecs, openSpools, prepareCodecs } from "@millrace/fragments";
import { openMemoryStore } from "@millrace/metadata/testkit";
import { objectStores } from "@millrace/stores";
import { memoryStore } from "@millrace/stores/testkit";
import { SimulatedDisk } from "@millrace/wal/testkit";
import { journalSpec, preamble, readRequest } from "./broker-testkit.ts";
import { openBroker, type Broker } from "./broker.ts";
import { JournalModel } from "./journal-model.ts";
import { Life } from "./mortal-ports.ts";

const STORE = "file:///one/";
const FAULTS = { unavailable: 30, "timeout-after-success": 30, truncated: 80, "cut-off": 20 };
const LIVES = 4;
await prepareCodecs();

interface World {
  readonly seed: string;
  readonly agenda: Agenda;
  readonly clock: SimulatedClock;
  readonly random: Random;
  readonly disk: SimulatedDisk;
  readonly models: readonly JournalModel[];
  readonly store: ReturnType<typeof memoryStore>;
  readonly coordination: Awaited<ReturnType<typeof openMemoryStore>>;
  readonly signal: AbortSignal;
  lease: bigint | undefined;
}

test("broker: crashes and a failing store -> nothing acknowledged is lost, no offset has two contents", async () => {
  for (let seed = 0; seed < 8; seed++) await runSeed(`broker-${seed}`, {});
});

test("broker: a disk that ignores syncs -> the simulation finds the loss", async () => {
  const found = await Promise.allSettled(
    [0, 1, 2].map((seed) => runSeed(`control-${seed}`, { withoutSync: true })),
  );
  assert.ok(found.some(({ status }) => status === "rejected"));
});

async function runSeed(seed: string, diskOptions: { withoutSync?: boolean }): Promise<void> {
  const agenda = new Agenda();
  const clock = new SimulatedClock(agenda);
  const random = seededRandom(seed);
  const world: World = {
    seed,
    agenda,
    clock,
    random,
    disk: new SimulatedDisk({
      schedule: (ms, run) => agenda.schedule(ms, run),
      random: random.fork("disk"),
      ...diskOptions,
    }),
    models: ["sim/one", "sim/two", "sim/three"].map((name) => new JournalModel(name)),
    store: memoryStore({ url: STORE, clock, random, latencyMs: { min: 1, max: 200 }, faults: FAULTS }),
    coordination: await openMemoryStore(clock, random.fork("coordination")),
    signal: new AbortController().signal,
    lease: undefined,
  };
  for (let life = 0; life < LIVES; life++) await live(world, life);
  await world.coordination.close();
}

/** One life of the process: it finds what the last one left, works for some seconds, and dies or is closed. */
async function live(world: World, number: number): Promise<void> {
  const { agenda, clock, disk, coordination, random } = world;
  const isLast = number === LIVES - 1;
  if (isLast) world.store.faults = {};
  const life = new Life();
  const ports = {
    clock: life.clock(clock),
    random: random.fork(`life ${number}`),
    logger: silentLogger,
    metrics: new MetricsRegistry(),
    codecs: inlineCodecs,
    coordination: life.coordination(coordination),
    stores: life.stores(objectStores({ file: () => world.store })),
  };
  const onFatal = (error: WireError): void => assert.fail(`${world.seed}: ${error.message}`);
  const spools = await finish(world, openSpools({ ...ports, disk: disk.open(), onFatal }, {}, world.signal));
  const broker = await finish(
    world,
    openBroker({ ...ports, spools }, brokerOptions(world, random.below(2) === 0), world.signal),
  );
  world.lease = broker.lease;
  for (const model of world.models) await checkWhole(world, broker, model);

  const workers = world.models.map((model, i) =>
    work(world, broker, model, random.fork(`worker ${number}/${i}`)),
  );
  const tails = world.models.map((model) => tail(world, broker, model));
  await agenda.advance(500 + random.below(6000));
  if (isLast || random.below(3) === 0) {
    for (const worker of workers) worker.stop();
    await finish(world, Promise.all(workers.map(({ done }) => done)));
    if (isLast) for (const model of world.models) await checkWhole(world, broker, model);
    await finish(
      world,
      broker.close().then(() => spools.close()),
    );
    await finish(world, Promise.all(tails));
    world.lease = undefined;
  } else {
    for (const worker of workers) worker.die();
    life.kill();
    if (random.below(2) === 0) disk.crash();
    else disk.kill();
  }
}

function brokerOptions(world: World, isSmall: boolean): Parameters<typeof openBroker>[1] {
  const { name: _, ...template } = journalSpec("sim/any");
  const length = isSmall ? 8 * 1024 : 256 * 1024;
  const fragment = { ...template.fragment, length, stores: [STORE], compressionCodec: "GZIP" as const };
  return {
    id: { zone: "local", suffix: "broker" },
    endpoint: "http://localhost:8080",
    autoCreate: [{ prefix: "sim/", template: { ...template, fragment } }],
    ...(world.lease === undefined ? {} : { previousLease: world.lease }),
  };
}

interface Worker {
  /** Ends after the append that is under way. */
  stop(): void;
  /** The process is gone: what is under way will never be answered. */
  die(): void;
  readonly done: Promise<void>;
}

/** Appends of all sizes, some of them streamed, empty or cut off, several at a time. */
function work(world: World, broker: Broker, model: JournalModel, random: Random): Worker {
  const { clock, seed } = world;
  const pending = new Set<Uint8Array>();
  let isOver = false;
  let isDead = false;
  const append = async (number: string): Promise<void> => {
    const bytes = payload(`${model.name} ${number};`, random);
    const isCut = random.below(12) === 0;
    const scope = abortScope(world.signal);
    pending.add(bytes);
    try {
      const content = contentOf(bytes, random, isCut);
      const { status, commit } = await broker.transport.append(preamble(model.name), content, scope.signal);
      if (isDead) return;
      assert.equal(status, "OK", `${seed}: an append is accepted`);
      model.acknowledge(commit!.begin, bytes);
    } catch (error) {
      if (isDead) return;
      assert.ok(isCut && (error as Error).message === "cut", `${seed}: ${(error as Error).message}`);
    }
    pending.delete(bytes);
  };
  const run = async (lane: number): Promise<void> => {
    for (let i = 0; !isOver; i++) {
      await append(`${lane}/${i}`);
      await clock.sleep(random.below(300), world.signal);
    }
  };
  const stamp = random.u32();
  return {
    stop: () => {
      isOver = true;
    },
    die: () => {
      isOver = isDead = true;
      for (const bytes of pending) model.lose(bytes);
    },
    done: Promise.all([run(stamp), run(stamp + 1), run(stamp + 2)]).then(() => undefined),
  };
}

/** Mostly small, sometimes beyond what goes through the log. */
function payload(label: string, random: Random): Uint8Array {
  const size = [10, 100, 3000, 20_000, 300_000][random.below(random.below(8) === 0 ? 5 : 3)]!;
  const repeats = Math.ceil((1 + random.below(size)) / label.length);
  return utf8(label.repeat(repeats));
}

function contentOf(bytes: Uint8Array, random: Random, isCut: boolean): AppendContent {
  if (!isCut && random.below(2) === 0) return { kind: "bytes", bytes: [bytes] };
  const piece = 1 + random.below(bytes.length);
  async function* chunks(): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < bytes.length; at += piece)
      yield await Promise.resolve(bytes.subarray(at, at + piece));
    if (isCut) throw new WireError("UNAVAILABLE", "cut");
  }
  return { kind: "chunks", chunks: chunks() };
}

/** Reads along for as long as the broker lives. */
async function tail(world: World, broker: Broker, model: JournalModel): Promise<void> {
  await follow(world, broker, model.name, { offset: model.end, block: true }, (offset, content) =>
    model.read(offset, content),
  );
}

async function checkWhole(world: World, broker: Broker, model: JournalModel): Promise<void> {
  // The first append creates the journal.
  await finish(
    world,
    broker.transport.append(preamble(model.name), { kind: "bytes", bytes: [] }, world.signal),
  );
  const parts: Uint8Array[] = [];
  const reading = follow(world, broker, model.name, {}, (_, content) => void parts.push(content));
  await finish(world, reading);
  model.checkWhole(concatBytes(parts));
}

/** Reads until the stream ends, beginning again where the store failed. */
async function follow(
  { clock, signal }: World,
  { transport }: Broker,
  journal: string,
  fields: Parameters<typeof readRequest>[1],
  onContent: (offset: number, content: Uint8Array) => void,
): Promise<void> {
  let next = fields?.offset ?? 0;
  for (;;) {
    try {
      const request = readRequest(journal, { ...fields, offset: next });
      for await (const { content, offset } of transport.read(request, signal)) {
        if (content === undefined) continue;
        assert.equal(offset, next, "content follows on content");
        onContent(offset, content);
        next += content.length;
      }
      return;
    } catch (error) {
      if (!(error instanceof WireError) || error.retry !== "same-request") throw error;
      await clock.sleep(100, signal);
    }
  }
}

/** Runs the world until `work` is done. */
async function finish<T>({ agenda, seed }: World, work: Promise<T>): Promise<T> {
  let isOver = false;
  const ended = work.finally(() => {
    isOver = true;
  });
  ended.catch(() => undefined);
  const inTime = await agenda.runUntil(() => isOver, agenda.nowMs + 600_000);
  assert.ok(inTime, `${seed}: it ends within ten minutes`);
  return ended;
}
