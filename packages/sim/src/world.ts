// What outlives a process: the disk, the object stores, the target, and what the judges know.
import { never, type Random } from "@millrace/base";
import { Agenda, seededRandom, SimulatedClock } from "@millrace/base/testkit";
import { JournalModel } from "@millrace/broker/testkit";
import { ModelTarget } from "@millrace/ingest/testkit";
import type { ObjectStore } from "@millrace/stores";
import { memoryStore, type MemoryStore } from "@millrace/stores/testkit";
import { SimulatedDisk } from "@millrace/wal/testkit";
import { FRAGMENTS, RAW_PREFIX, STAGING } from "./node.ts";
import { drawSwarm, type Controls, type Swarm } from "./options.ts";
import { RecordLedger } from "./record-ledger.ts";
import { Trace } from "./trace.ts";

/** Virtual time that any one step of recovery or shutdown may take. */
const STEP_MS = 600_000;

export class World {
  readonly agenda = new Agenda();
  readonly clock = new SimulatedClock(this.agenda);
  readonly trace = new Trace(() => this.agenda.nowMs);
  readonly random: Random;
  readonly controls: Controls;
  readonly swarm: Swarm;
  readonly disk: SimulatedDisk;
  readonly fragments: MemoryStore;
  readonly staging: MemoryStore;
  readonly target: ModelTarget;
  readonly ledger = new RecordLedger();
  readonly journals = ["one", "two"].map((name) => new JournalModel(RAW_PREFIX + name));
  #failure: unknown;

  constructor(seed: string, controls: Controls) {
    const { agenda, clock } = this;
    this.random = seededRandom(seed);
    this.controls = controls;
    this.swarm = drawSwarm(this.random.fork("swarm"), controls);
    this.disk = new SimulatedDisk({
      schedule: (delayMs, run) => void agenda.schedule(delayMs, run),
      random: this.random.fork("disk"),
      withoutSync: controls.withoutSync,
      onOp: (line) => this.trace.add(line),
    });
    const random = this.random.fork("stores");
    const store = (url: string): MemoryStore =>
      memoryStore({ url, clock, random: random.fork(url), latencyMs: { min: 1, max: 20 }, faults: this.storeFaults() });
    this.fragments = store(FRAGMENTS);
    this.staging = store(STAGING);
    this.target = new ModelTarget({
      stagingStore: this.staging,
      clock,
      random: this.random.fork("target"),
      latencyMs: { min: 1, max: 30 },
      faults: this.targetFaults(),
      sleepMs: 5000,
      checksLoadedEnd: !controls.withoutLoadedEnd,
    });
  }

  store(url: string): ObjectStore {
    return url === STAGING ? this.staging : this.fragments;
  }

  /** Remembers a failure that nobody awaits; the run ends with it. */
  fail(error: unknown): void {
    this.#failure ??= error;
  }

  check(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** From now on nothing fails any more. */
  heal(): void {
    this.fragments.faults = {};
    this.staging.faults = {};
    this.target.faults = {};
    this.disk.capacityBytes = Number.MAX_SAFE_INTEGER;
  }

  /** Lets virtual time pass until `work` is done. @throws what it rejects with, or when it does not end */
  async finish<T>(what: string, work: Promise<T>): Promise<T> {
    let isOver = false;
    const ended = work.finally(() => {
      isOver = true;
    });
    ended.catch(() => undefined);
    const done = (): boolean => isOver || this.#failure !== undefined;
    const inTime = await this.agenda.runUntil(done, this.agenda.nowMs + STEP_MS);
    this.check();
    if (!inTime) throw new Error(`${what} does not end within ${STEP_MS} virtual ms`);
    return ended;
  }

  storeFaults() {
    const rate = this.swarm.storeFaults;
    return { unavailable: rate, "timeout-after-success": rate, truncated: rate, "cut-off": rate };
  }

  targetFaults() {
    const rate = this.swarm.targetFaults;
    return { before: rate, after: rate, sleep: Math.floor(rate / 4) };
  }

  async sleep(ms: number): Promise<void> {
    await this.clock.sleep(ms, never);
  }
}
