// What outlives a process: the disk, the object stores, the target, and what the judges know.
import { WireError, type Random } from "@millrace/base";
import { Agenda, seededRandom, settle, SimulatedClock } from "@millrace/base/testkit";

import { ModelTarget } from "@millrace/ingest/testkit";
import type { ObjectStore } from "@millrace/stores";
import { memoryStore, type MemoryStore } from "@millrace/stores/testkit";
import { SimulatedDisk } from "@millrace/wal/testkit";
import { FencedJournal } from "./fenced-journal.ts";
import { drawSwarm, type Controls, type Swarm } from "./options.ts";
import { PassingJournal } from "./passing-journal.ts";
import { Process, ProcessEnded } from "./process.ts";
import { RawJournal } from "./raw-journal.ts";
import { RecordLedger } from "./record-ledger.ts";
import { SpoolRot } from "./spool-rot.ts";
import { Trace } from "./trace.ts";

export const FRAGMENTS = "file:///fragments/";
export const STAGING = "file:///staging/";
/** Journals below this prefix are made by their first append; their fragments go to a store. */
export const RAW_PREFIX = "raw/";
/** The same without a store (D19). */
export const LOCAL_PREFIX = "local/";

/** Virtual time that any one step of recovery or shutdown may take: stores that failed are asked again ever later. */
const STEP_MS = 2 * 3_600_000;
/** A failed sync must have ended the process within this time. */
const ENDS_MS = 5000;

export class World {
  readonly agenda = new Agenda();
  readonly clock = new SimulatedClock(this.agenda);
  readonly trace = new Trace(() => this.agenda.nowMs);
  /** How often what happened, faults above all: a fault that never comes proves nothing. */
  readonly tally = new Map<string, number>();
  readonly random: Random;
  readonly controls: Controls;
  readonly swarm: Swarm;
  readonly disk: SimulatedDisk;
  readonly fragments: MemoryStore;
  readonly staging: MemoryStore;
  readonly target: ModelTarget;
  /** By table. */
  readonly ledgers: ReadonlyMap<string, RecordLedger>;
  readonly journals = ["one", "two"].map((name) => new RawJournal(RAW_PREFIX + name));
  readonly fenced = new FencedJournal(`${RAW_PREFIX}fenced`);
  readonly passing = new PassingJournal(`${LOCAL_PREFIX}passing`);
  /** What the coordination store's counter must be; one more if that was asked for and never answered. */
  counter = { acknowledged: 0, isAsked: false };
  process: Process | undefined;
  readonly spoolRot = new SpoolRot(this);
  /** Told of each operation of the disk before it happens. */
  onDiskOp: ((line: string) => void) | undefined;
  /** Times what the disk does by this. */
  diskSlowness = 1;
  #isHealed = false;
  #failure: Error | undefined;

  constructor(seed: string, controls: Controls, swarm?: Swarm) {
    const { agenda, clock } = this;
    this.random = seededRandom(seed);
    this.controls = controls;
    this.swarm = swarm ?? drawSwarm(this.random.fork("swarm"), controls);
    this.disk = new SimulatedDisk({
      schedule: (delayMs, run) => void agenda.schedule(delayMs, run),
      random: this.random.fork("disk"),
      delayMs: (random) => (0.05 + random.below(200) / 1000) * this.diskSlowness,
      withoutSync: controls.withoutSync,
      onOp: (line) => this.#onDiskOp(line),
    });
    const random = this.random.fork("stores");
    const { listLagMs } = this.swarm.faults;
    const latencyMs = { min: 1, max: 20 };
    const store = (url: string): MemoryStore =>
      memoryStore({ url, clock, random: random.fork(url), latencyMs, listLagMs, faults: this.storeFaults() });
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
    const tables = Array.from({ length: this.swarm.sinks }, (_, i) => tableOf(i));
    this.ledgers = new Map(tables.map((table) => [table, new RecordLedger()]));
  }

  get nowMs(): number {
    return this.agenda.nowMs;
  }

  get rawJournals(): readonly RawJournal[] {
    return [...this.journals, this.fenced, this.passing.current];
  }

  /** Records and appends. */
  get acknowledged(): number {
    return this.rawJournals.reduce(
      (sum, { model }) => sum + model.acknowledgedCount,
      this.acknowledgedRecords,
    );
  }

  get acknowledgedRecords(): number {
    return [...this.ledgers.values()].reduce((sum, { acknowledged }) => sum + acknowledged, 0);
  }

  store(url: string): ObjectStore {
    return url === STAGING ? this.staging : this.fragments;
  }

  /** Something that is worth counting. */
  note(what: string, detail = ""): void {
    this.trace.add(`${what} ${detail}`);
    this.tally.set(what, (this.tally.get(what) ?? 0) + 1);
  }

  /** A process starts. */
  begin(number: number): Process {
    const process = new Process(number, this.disk.open());
    this.process = process;
    return process;
  }

  /** The process is gone: killed, or with the power. */
  end(how: "kill" | "crash"): void {
    this.process?.life.kill();
    this.process = undefined;
    this.disk.failSync(() => false);
    this.disk.failWrite(() => false);
    this.note(how === "crash" ? "power cut" : "killed");
    if (how === "crash") return this.losePower();
    this.disk.kill();
    for (const store of [this.fragments, this.staging]) store.kill();
  }

  losePower(): void {
    this.disk.crash();
    for (const store of [this.fragments, this.staging]) {
      if (store.crash() > 0) this.note("objects lost", store.url);
    }
  }

  /** A process says that it cannot go on. */
  onFatal(process: Process, error: WireError): void {
    this.note("ended itself", error.code);
    if (process.syncFailed) process.fatal ??= error;
    else this.fail(error);
  }

  /** The next sync of a path that `matches` fails; the process then has to end (D5). */
  failNextSync(matches: (path: string) => boolean): void {
    this.disk.failSync((path) => {
      const { process } = this;
      if (process === undefined || !matches(path)) return false;
      this.note("sync failed", path);
      process.syncFailed = true;
      this.agenda.schedule(ENDS_MS, () => {
        if (this.process === process && process.fatal === undefined) {
          this.fail(new Error(`the sync of ${path} failed and the process goes on`));
        }
      });
      return true;
    });
  }

  /** The next write to a path that `matches` fails halfway. */
  failNextWrite(matches: (path: string) => boolean): void {
    this.disk.failWrite((path) => {
      if (this.process === undefined || !matches(path)) return false;
      this.note("write failed", path);
      return true;
    });
  }

  /** The process ends when what happens now has happened. */
  cut(process: Process): void {
    process.fatal ??= new WireError("UNAVAILABLE", "cut off");
  }

  /** Remembers a failure that nobody awaits; the run ends with it. */
  fail(error: unknown): void {
    this.#failure ??= error instanceof Error ? error : new Error(String(error));
  }

  /** @throws what failed; {@link ProcessEnded} */
  check(): void {
    if (this.#failure !== undefined) throw this.#failure;
    for (const [table, ledger] of this.ledgers) ledger.observe(this.target.tables.get(table));
    if (this.process?.fatal !== undefined) throw new ProcessEnded(this.process.fatal.message);
  }

  /** From now on nothing fails any more. */
  heal(): void {
    this.#isHealed = true;
    this.setStoreFaults({});
    for (const store of [this.fragments, this.staging]) store.listLagMs = 0;
    this.target.faults = {};
    this.diskSlowness = 1;
    this.spoolRot.mend();
    this.giveSpace();
  }

  get isFull(): boolean {
    return this.disk.capacityBytes < Number.MAX_SAFE_INTEGER;
  }

  /** @param bytes that still fit */
  takeSpace(bytes: number): void {
    this.disk.capacityBytes = this.disk.usedBytes + bytes;
    this.note("disk full");
  }

  giveSpace(): void {
    this.disk.capacityBytes = Number.MAX_SAFE_INTEGER;
  }

  /** Lets virtual time pass until `work` is done. @throws what it rejects with, or when it does not end */
  async finish<T>(what: string, work: Promise<T>): Promise<T> {
    let isOver = false;
    const ended = work.finally(() => {
      isOver = true;
    });
    ended.catch(() => undefined);
    const inTime = await this.#run(() => isOver, this.nowMs + STEP_MS);
    if (!inTime) throw new Error(`${what} does not end within ${STEP_MS} virtual ms`);
    return ended;
  }

  async passTime(ms: number): Promise<void> {
    const endMs = this.nowMs + ms;
    await this.#run(() => false, endMs);
    await this.agenda.advance(Math.max(0, endMs - this.nowMs));
    this.check();
  }

  #onDiskOp(line: string): void {
    this.trace.add(line);
    this.onDiskOp?.(line);
    const what = line.startsWith("bulk rename") ? whatRenamed(line) : undefined;
    if (what !== undefined) this.tally.set(what, (this.tally.get(what) ?? 0) + 1);
  }

  async #run(isDone: () => boolean, endMs: number): Promise<boolean> {
    await settle();
    for (;;) {
      if (isDone()) return true;
      this.check();
      if (!(await this.agenda.step(endMs))) {
        this.check();
        return isDone();
      }
    }
  }

  /** Unless everything has healed. */
  setStoreFaults(faults: MemoryStore["faults"]): void {
    for (const store of [this.fragments, this.staging]) store.faults = this.#isHealed ? {} : faults;
  }

  storeFaults(): MemoryStore["faults"] {
    const rate = this.swarm.faults.store;
    const slow = Math.ceil(rate / 10);
    const torn = { truncated: rate, "wrong-length": rate, unsynced: rate, "cut-off": rate };
    return { unavailable: rate, "timeout-after-success": rate, ...torn, slow };
  }

  targetFaults(): ModelTarget["faults"] {
    const rate = this.swarm.faults.target;
    return { before: rate, after: rate, sleep: Math.floor(rate / 4) };
  }

  /** A user's pause: it goes on whatever becomes of the process. */
  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.agenda.schedule(ms, resolve));
  }
}

/** Table of the sink with number `i`. */
export function tableOf(i: number): string {
  return `main.rows${i}`;
}

export function chance(random: Random, thousandths: number): boolean {
  return random.below(1000) < thousandths;
}

function whatRenamed(line: string): string | undefined {
  if (line.endsWith(".spare")) return "segments recycled";
  if (line.includes(" quarantine/")) return "quarantined";
  return /\/checkpoint\.[01]$/.test(line) ? "checkpoints" : undefined;
}
