// The world of pipeline.sim.test.ts: real pipelines over a coordination store, journals, a staging store and a
// target in memory, all failing as the seed says; doors that append frames; and a judge that looks after every change
// (pipeline-judge.ts).
import assert from "node:assert/strict";
import { concatBytes, MetricsRegistry, silentLogger, utf8, WireError, type Random } from "@millrace/base";
import { Agenda, seededRandom, SimulatedClock } from "@millrace/base/testkit";
import { appendOnce, type JournalTransport } from "@millrace/client";
import { LeasedKeys, MemberGroup, type CoordinationStore } from "@millrace/metadata";
import { openMemoryStore } from "@millrace/metadata/testkit";
import { EMPTY_LABELS, FLAG } from "@millrace/protocol";
import type { ObjectStore } from "@millrace/stores";
import { memoryStore, type MemoryStore } from "@millrace/stores/testkit";
import type { Column, EffectiveSink, SinkDefinition } from "./definitions.ts";
import { encodeFrameHead } from "./frame.ts";
import { importedEnd, keysOf } from "./cleanup.ts";
import { ModelCatalog, modelSink } from "./model-catalog.ts";
import { ModelJournals } from "./model-journals.ts";
import { ModelTarget } from "./model-target.ts";
import { Judge } from "./pipeline-judge.ts";
import { PartitionIntegrity } from "./partition-integrity.ts";
import { keyHash } from "./idempotency-key.ts";
import { Partitions, type PartitionTemplate } from "./partition-registry.ts";
import { KEY_BYTES } from "./partition-keys.ts";
import { openPipeline, type Pipeline, type PipelineComponent } from "./pipeline.ts";
import { StorageStore } from "./storage-store.ts";
import type { PartitionView } from "./storage-view.ts";
import { onlyTarget } from "./target.ts";

export interface WorldOptions {
  readonly seed: string;
  /** Negative controls. */
  readonly checksLoadedEnd?: boolean;
  /** An append of unknown outcome is retried under a new sequence: frames no longer say what stood before. */
  readonly freshSequences?: boolean;
}

export const TEMPLATE: PartitionTemplate = {
  replication: 1,
  labels: EMPTY_LABELS,
  fragment: {
    length: 64 * 1024 * 1024,
    compressionCodec: "NONE",
    stores: ["file:///"],
    refreshIntervalMs: 300_000,
    retentionMs: 0,
    flushIntervalMs: 0,
    pathPostfixTemplate: "",
  },
  flags: FLAG.O_RDWR,
  maxAppendRate: 0,
};

/** Virtual milliseconds of trouble at least, and how long after it everything may take to be in the tables. */
const TROUBLE_MS = 1000;
const HEALED_MS = 600_000;

interface Life {
  readonly pipelines: readonly Pipeline[];
  /** Ends its memberships. */
  readonly stop: AbortController;
  dead: boolean;
}

export class World {
  readonly agenda = new Agenda();
  readonly clock = new SimulatedClock(this.agenda);
  readonly random: Random;
  readonly catalog = new ModelCatalog();
  readonly journals: ModelJournals;
  readonly staging: MemoryStore;
  readonly target: ModelTarget;
  readonly metrics = new MetricsRegistry();
  readonly sinks: EffectiveSink[] = [];
  /** Whether lives share their work by groups, each member with a lease; otherwise all do everything. */
  readonly #isShared: boolean;
  /** Whether records have keys. Partitions with keys are hardly ever suspended: fragments are kept for them (D24). */
  readonly #hasKeys: boolean;
  store!: CoordinationStore;
  /** The judge's own mirror. */
  storage!: StorageStore;
  readonly #options: WorldOptions;
  readonly #stop = new AbortController();
  #lives: Life[] = [];
  #judge!: Judge;
  #failure: Error | undefined;
  #accepted = 0;
  #troubled = true;

  constructor(options: WorldOptions) {
    this.#options = options;
    this.random = seededRandom(options.seed);
    const { clock, random } = this;
    const swarm = random.fork("swarm");
    const some = (max: number): number => (swarm.below(2) === 0 ? 0 : swarm.below(max));
    this.#isShared = random.fork("shared").below(2) === 0;
    this.#hasKeys = random.fork("keys").below(2) === 0;
    this.journals = new ModelJournals({
      clock,
      random,
      latencyMs: { min: 0, max: 3 },
      chunkBytes: 300,
      faults: { refused: some(50), unknownDone: some(150), unknownLost: some(100), cut: some(100) },
    });
    this.staging = memoryStore({
      clock,
      random,
      latencyMs: { min: 1, max: 10 },
      slowMs: 2000,
      faults: {
        unavailable: some(150),
        "timeout-after-success": some(100),
        truncated: some(50),
        slow: some(20),
        rotten: some(30),
        "wrong-length": some(30),
      },
    });
    this.target = new ModelTarget({
      clock,
      random,
      stagingStore: this.staging,
      latencyMs: { min: 1, max: 30 },
      sleepMs: 20_000,
      faults: { before: some(200), after: some(200), sleep: some(100) },
      ...(options.checksLoadedEnd === undefined ? {} : { checksLoadedEnd: options.checksLoadedEnd }),
    });
  }

  get accepted(): number {
    return this.#accepted;
  }

  /** Plays the whole scenario. @throws what was violated */
  async play(): Promise<void> {
    this.store = await openMemoryStore(this.clock, this.random);
    this.storage = new StorageStore({ store: this.store, clock: this.clock, logger: silentLogger });
    const signal = this.#stop.signal;
    await this.storage.load(signal);
    this.#background(this.storage.run(signal));
    this.#judge = new Judge({
      view: this.storage.view,
      journals: this.journals,
      target: this.target,
      catalog: this.catalog,
      sinks: this.sinks,
    });
    this.storage.observe((paths) => {
      try {
        this.#judge.judge(paths);
      } catch (error) {
        this.#failure ??= error as Error;
      }
    });
    for (let i = 0; i <= this.random.below(2); i++) this.#addSink(i);
    for (let door = 0; door < 2; door++) this.#background(this.#door(door, signal));
    this.#background(this.#trouble(signal));
    this.#background(this.#suspend(signal));
    await this.#run(() => false, TROUBLE_MS + this.random.below(2000));
    this.#troubled = false;
    this.journals.faults = {};
    this.staging.faults = {};
    this.target.faults = {};
    if (this.#lives.every((life) => life.dead)) await this.#start();
    const done = await this.#run(() => this.#judge.allLoaded(), HEALED_MS);
    const rows = `${this.#judge.loadedRows()} of ${this.#judge.countingRows()}`;
    assert.ok(done, `W5: ${rows} rows after healing; ${this.#problems()}`);
    this.#judge.judgeEnd(this.#accepted, this.#lives.find((life) => !life.dead)!.pipelines.at(-1)!);
    await this.#close();
  }

  /** Runs until `done`, a failure, or the virtual time. @returns whether `done` held */
  async #run(done: () => boolean, ms: number): Promise<boolean> {
    const held = await this.agenda.runUntil(
      () => this.#failure !== undefined || done(),
      this.agenda.nowMs + ms,
    );
    if (this.#failure !== undefined) throw this.#failure;
    return held && done();
  }

  async #close(): Promise<void> {
    this.#stop.abort(new Error("the world ends"));
    for (const { stop } of this.#lives) stop.abort(new Error("the world ends"));
    let closed = false;
    const closing = Promise.all(this.#lives.flatMap(({ pipelines }) => pipelines.map((one) => one.close())));
    void closing.then(() => (closed = true));
    await this.#run(() => closed, 60_000);
  }

  #background(work: Promise<unknown>): void {
    work.catch((error: unknown) => {
      if (!this.#stop.signal.aborted) this.#failure ??= error as Error;
    });
  }

  // What happens

  #addSink(i: number): void {
    const { random } = this;
    const level = { intervalMs: 20 + random.below(400), minIntervalMs: random.below(2) * random.below(50) };
    const upload = { ...level, count: 1 + random.below(30), bytes: 50 + random.below(3000) };
    const slicesCount = 2 + random.below(20);
    const imports = {
      ...upload,
      count: upload.count * (1 + random.below(3)),
      slicesCount,
      maxSlices: slicesCount,
    };
    const definition = modelSink({
      sinkId: `sink-${i}`,
      partitions: 1 + random.below(3),
      conditions: { upload, import: imports },
      table: { type: "duckdb", tableId: `main.t${i}`, mapping: { columns: columns(1) } },
    });
    this.catalog.put(definition);
    this.sinks.push(definition);
  }

  /** Appends frames, each until its outcome is known, before the next one of its partition. */
  async #door(door: number, signal: AbortSignal): Promise<void> {
    const { store, journals, catalog, clock } = this;
    const targets = onlyTarget("duckdb", this.target);
    const random = this.random.fork(`door-${door}`);
    const integrity = new PartitionIntegrity({ transport: journals, targets, clock });
    const ports = { store, transport: journals, catalog, integrity, clock, logger: silentLogger };
    const partitions = new Partitions(ports, TEMPLATE);
    let producer = producerOf(random);
    const sequences = new Map<string, number>();
    const unheard: { readonly sink: SinkDefinition; readonly n: number; readonly keys: readonly string[] }[] =
      [];
    while (this.#troubled) {
      await clock.sleep(random.below(60), signal);
      if (random.below(100) === 0) {
        producer = producerOf(random); // the process was restarted
        sequences.clear();
      }
      // A client that heard nothing sends its records again, with their keys: they are no new ones.
      const again = random.below(4) === 0 ? unheard.shift() : undefined;
      const sink = catalog.sink(again?.sink ?? this.sinks[random.below(this.sinks.length)]!)!;
      if (sink.disabled !== undefined) {
        if (again !== undefined) unheard.push(again);
        continue;
      }
      const n = again?.n ?? random.below(sink.partitions);
      const keys = again?.keys ?? (random.below(3) === 0 && this.#hasKeys ? someKeys(random) : undefined);
      const journal = await this.#ensured(partitions, sink, n, signal);
      let sequence = (sequences.get(journal) ?? 0) + 1;
      const length = keys?.length ?? 1 + random.below(5);
      const rows = Array.from({ length }, () => this.#row(random, sink));
      for (let attempt = 0; ; attempt++) {
        if (attempt > 0 && this.#options.freshSequences === true) sequence++;
        try {
          const bytes = [frame(producer, sequence, sink.version.number, clock.wallMs(), rows, keys)];
          await appendOnce(journals, journal, { kind: "bytes", bytes }, {}, signal);
          break;
        } catch {
          if (signal.aborted) return;
          await clock.sleep(20, signal);
        }
      }
      sequences.set(journal, sequence);
      if (again === undefined) this.#accepted += rows.length;
      if (keys !== undefined && random.below(2) === 0) unheard.push({ sink, n, keys });
    }
  }

  async #ensured(
    partitions: Partitions,
    sink: SinkDefinition,
    n: number,
    signal: AbortSignal,
  ): Promise<string> {
    for (;;) {
      try {
        return await partitions.ensure(sink, n, signal);
      } catch (thrown) {
        if (signal.aborted || !(thrown instanceof WireError)) throw thrown;
        await this.clock.sleep(50, signal);
      }
    }
  }

  #row(random: Random, sink: SinkDefinition): string {
    const values = sink.table.mapping.columns.map(() => {
      const value = `${random.u32()}${random.below(5) === 0 ? ' "quoted", and\nbroken' : ""}`;
      return `"${value.replaceAll('"', '""')}"`;
    });
    return `${values.join(",")}\n`;
  }

  /** Starts, kills, doubles and restarts pipelines, and changes sinks. */
  async #trouble(signal: AbortSignal): Promise<void> {
    const random = this.random.fork("trouble");
    while (this.#troubled) {
      const alive = this.#lives.filter((life) => !life.dead);
      if (alive.length === 0) await this.#start();
      await this.clock.sleep(100 + random.below(1200), signal);
      if (!this.#troubled) return;
      const what = random.below(10);
      if (what < 4 && alive[0] !== undefined) this.#kill(alive[0]);
      else if (what < 6 && alive.length < 3)
        await this.#start(); // the old one does not know yet
      else if (what < 7) this.#changeColumns(random);
      else if (what < 8) this.#changeLife(random);
      else this.#changeTable(random);
    }
  }

  /** Suspends journals as brokers do. */
  async #suspend(signal: AbortSignal): Promise<void> {
    const random = this.random.fork("suspend");
    this.journals.knowsResumes = random.below(4) > 0;
    while (this.#troubled) {
      await this.clock.sleep(random.below(150), signal);
      for (const sink of this.storage.view.sinks.values()) {
        for (const partition of sink.partitions.values()) {
          const name = partition.entity?.value.journal ?? "";
          const length = this.journals.journals.get(name)?.length;
          if (length === undefined || !isSuspendable(partition, length)) continue;
          if (random.below(2) === 0) this.journals.suspend(name);
        }
      }
    }
  }

  async #start(): Promise<void> {
    const random = this.random.fork(`life-${this.#lives.length}`);
    const life: Life = { pipelines: [], stop: new AbortController(), dead: false };
    const ports = {
      store: mortal(this.store, life),
      transport: mortal<JournalTransport>(this.journals, life),
      stagingStore: mortal<ObjectStore>(this.staging, life),
      targets: onlyTarget("duckdb", mortal(this.target, life)),
      catalog: this.catalog,
      clock: this.clock,
      random,
      logger: silentLogger,
      metrics: this.metrics,
    };
    const options = {
      reader: {
        sliceBytesMax: 400 + random.below(20_000),
        heldBytesMax: 2000 + random.below(50_000),
        keyBytesMax: random.fork("key-memory").below(8) * KEY_BYTES,
      },
      importer: { importTimeoutMs: 5000 },
      cleanup: { filesKept: 3 + random.below(10), filesKeptMs: 20_000 },
    };
    const apart: readonly (readonly PipelineComponent[])[] = [["storage-reader"], ["storage-coordinator"]];
    const together: readonly (readonly PipelineComponent[])[] = [["storage-reader", "storage-coordinator"]];
    const pipelines: Pipeline[] = [];
    const shares = this.#isShared ? { shares: await this.#join(life) } : {};
    for (const components of random.below(4) === 0 ? apart : together) {
      const publishes = this.#isShared || components === apart[0];
      const pipeline = await openPipeline(
        { ...ports, ...shares },
        { ...options, components, publishes },
        this.#stop.signal,
      );
      pipeline.failure.catch((error: unknown) => {
        if (!life.dead) this.#failure ??= error as Error;
      });
      pipelines.push(pipeline);
    }
    this.#lives.push(Object.assign(life, { pipelines }));
  }

  /** Makes a life a member of both groups, until it is killed or the world ends. */
  async #join(life: Life): Promise<{ reader: MemberGroup; coordinator: MemberGroup }> {
    const ports = { store: mortal(this.store, life), clock: this.clock, logger: silentLogger };
    const leases = new LeasedKeys({ ...ports, ttlSeconds: 2 });
    const group = (name: string): MemberGroup =>
      new MemberGroup({
        ...ports,
        prefix: `groups/${name}/`,
        id: `life-${this.#lives.length}`,
        value: utf8(""),
        leases,
      });
    const groups = { reader: group("reader"), coordinator: group("coordinator") };
    const { signal } = life.stop;
    this.#background(leases.run(signal));
    for (const each of Object.values(groups)) {
      await each.load(signal);
      this.#background(each.run(signal));
    }
    return groups;
  }

  /** As SIGKILL: nothing that it would still do happens. */
  #kill(life: Life): void {
    life.dead = true;
    life.stop.abort(new Error("killed"));
    for (const pipeline of life.pipelines) void pipeline.close();
  }

  #changeColumns(random: Random): void {
    const sink = this.catalog.sink(this.sinks[random.below(this.sinks.length)]!)!;
    const table = { ...sink.table, mapping: { columns: columns(1 + random.below(3)) } };
    this.catalog.put({ ...sink, table });
  }

  /** Disables a sink, or enables it: its doors take nothing meanwhile, and what they took is loaded. */
  #changeLife(random: Random): void {
    const sink = this.catalog.sink(this.sinks[random.below(this.sinks.length)]!)!;
    const { disabled, ...enabled } = sink;
    const change = {
      at: new Date(this.clock.wallMs()).toISOString(),
      by: { type: "system" },
      reason: "API",
    } as const;
    this.catalog.put(disabled === undefined ? { ...enabled, disabled: change } : enabled);
  }

  /** To a new table, or back to one that was the target before. */
  #changeTable(random: Random): void {
    const sink = this.catalog.sink(this.sinks[random.below(this.sinks.length)]!)!;
    const tableId = sink.table.tableId.replace(/x*$/, "x".repeat(random.below(3)));
    this.catalog.put({ ...sink, table: { ...sink.table, tableId } });
  }

  #problems(): string {
    const alive = this.#lives.filter((life) => !life.dead);
    return JSON.stringify(
      alive.flatMap(({ pipelines }) => pipelines.flatMap((one) => one.health().problems)),
    );
  }
}

/**
 * Whether all of a journal may be gone, so that no broker serves it: everything is imported, and no keys are kept for
 * rows that may come (cleanup-fragments.ts). A world is over long before the window of keys.
 */
export function isSuspendable(partition: PartitionView, length: number): boolean {
  return importedEnd(partition) === length && keysOf(partition, length).keysBegin === length;
}

function columns(count: number): readonly Column[] {
  return [
    { type: "body", name: "body" } as const,
    ...Array.from({ length: count }, (_, i) => ({ type: "path" as const, name: `c-${i}`, path: "" })),
  ];
}

function someKeys(random: Random): readonly string[] {
  return Array.from({ length: 1 + random.below(5) }, () => keyHash(`${random.u32()} ${random.u32()}`));
}

function producerOf(random: Random): string {
  return [random.u32(), random.u32()].map((word) => word.toString(16).padStart(8, "0")).join("");
}

export function frame(
  producer: string,
  sequence: number,
  sinkVersion: number,
  acceptedAtMs: number,
  rows: readonly string[],
  keys?: readonly string[],
): Uint8Array {
  const encoded = rows.map(utf8);
  const body = concatBytes(encoded);
  const lengths = encoded.map((row) => row.length);
  return concatBytes([
    encodeFrameHead({ producer, sequence, sinkVersion, acceptedAtMs }, lengths, rows.length, body, keys),
    body,
  ]);
}

/** `port` as a process sees it that may be killed: then nothing that it calls happens any more. */
function mortal<T extends object>(port: T, life: Life): T {
  return new Proxy(port, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name, target);
      if (typeof member !== "function") return member;
      return (...args: unknown[]) => {
        if (life.dead) throw new WireError("SHUTTING_DOWN", "the process was killed");
        return (member as (...args: unknown[]) => unknown).apply(target, args);
      };
    },
  });
}
