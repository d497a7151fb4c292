// Random use of local storage on a simulated disk: appends, rolls, releases, reads, removals, power cuts, full disks,
// failing syncs; compared with the onlooker's model after every restart. One seed decides everything.
import { createHash } from "node:crypto";
import { MetricsRegistry, never, silentLogger, WireError, type Random } from "@millrace/base";
import { Agenda, seededRandom, SimulatedClock } from "@millrace/base/testkit";
import { EMPTY_LABELS, labelSet } from "@millrace/protocol";
import { rotSomewhere, SimulatedDisk } from "@millrace/wal/testkit";
import { openSpools } from "./durable-spools.ts";
import { SPOOL_DEFAULTS, type SpoolOptions } from "./spool-limits.ts";
import { contentOf, JournalModel, Violation, type ModelAppend, type ModelCut } from "./spool-model.ts";
import type { CommitOutcome, Spool, SpoolAppend, Spools } from "./spools.ts";

/** Small, so that a short run meets every border. */
export const SMALL_SPOOLS: SpoolOptions = {
  ...SPOOL_DEFAULTS,
  log: {
    ...SPOOL_DEFAULTS.log,
    segmentBytes: 24 * 1024,
    firstSegmentBytes: 12 * 1024,
    groupBytesMax: 8 * 1024,
    queueBytesMax: 32 * 1024,
  },
  directBytesMin: 3 * 1024,
  tailBytesMax: 8 * 1024,
  tailBlockBytesMin: 256,
  tailBlockBytesMax: 2 * 1024,
  queueBytesMax: 16 * 1024,
  checkpointLogBytes: 48 * 1024,
  reserveBytes: 64 * 1024,
  syncBehindBytes: 4 * 1024,
  syncBatchFiles: 3,
};

/** The longest that anything may take while the disk has room, in virtual milliseconds. */
const PATIENCE_MS = 120_000;
const REFUSALS: ReadonlySet<string> = new Set(["DISK_FULL", "SHUTTING_DOWN", "UNAVAILABLE"]);
const WEIRD_NAME = `../../etc/${"ü".repeat(120)}`;

export interface SimulationOptions {
  readonly seed: string;
  readonly steps: number;
  readonly withoutSync?: boolean;
  /** Chances per thousand steps; see the defaults. */
  readonly chances?: Partial<typeof CHANCES>;
}

const CHANCES = { crash: 12, kill: 8, restart: 6, failSync: 4, failWrite: 4, capacity: 12, recreate: 4 };

interface Claimed {
  readonly model: JournalModel;
  readonly spool: Spool;
  busy: boolean;
  /** What is synced is hidden until it is confirmed. */
  hides: boolean;
}

export class SpoolSimulation {
  readonly #random: Random;
  readonly #agenda = new Agenda();
  readonly #clock = new SimulatedClock(this.#agenda);
  readonly #disk: SimulatedDisk;
  readonly #options: SimulationOptions;
  readonly #chances: typeof CHANCES;
  readonly #models = new Map<string, JournalModel>();
  readonly #trace = createHash("sha256");
  #claimed: Claimed[] = [];
  #spools!: Spools;
  #nextAppend = 1;
  #life = 0;
  /** The process must end: the log failed. */
  #fatal = false;
  /** It failed in the last life that had journals. */
  #logFailed = false;
  /** What an asynchronous part of the simulation found. */
  #failure: Error | undefined;
  readonly counts = {
    acknowledged: 0,
    refused: 0,
    crashes: 0,
    direct: 0,
    reads: 0,
    rotten: 0,
    refusedRotten: 0,
    cuts: 0,
    adopted: 0,
  };

  constructor(options: SimulationOptions) {
    this.#options = options;
    this.#chances = { ...CHANCES, ...options.chances };
    this.#random = seededRandom(options.seed);
    this.#disk = new SimulatedDisk({
      schedule: (delayMs, run) => void this.#agenda.schedule(delayMs, run),
      random: this.#random.fork("disk"),
      withoutSync: options.withoutSync ?? false,
      onOp: (line) => this.#trace.update(`${this.#agenda.nowMs} ${line}\n`),
    });
    for (const [i, journal] of ["a/one", "b/two", WEIRD_NAME].entries()) {
      this.#models.set(journal, new JournalModel(journal, 10 + i, EMPTY_LABELS));
    }
  }

  /** @throws {Violation} @returns a hash of every operation of the disk */
  async run(): Promise<string> {
    await this.#open();
    for (let step = 0; step < this.#options.steps; step++) {
      await this.#step();
      if (this.#failure !== undefined) throw this.#failure;
    }
    await this.#restart(true);
    await this.#restart(false); // a second recovery finds the same
    return this.#trace.digest("hex");
  }

  async #step(): Promise<void> {
    const dice = this.#random.below(1000);
    const { crash, kill, restart, failSync, failWrite, capacity, recreate } = this.#chances;
    const bounds = [crash, kill, restart, failSync, failWrite, capacity, recreate];
    let below = 0;
    const which = bounds.findIndex((chance) => dice < (below += chance));
    if (which === 0 || this.#fatal) await this.#restart(true);
    else if (which === 1) await this.#restart(false);
    else if (which === 2) await this.#closeAndOpen();
    else if (which === 3) this.#disk.failSync((path) => this.#random.below(2) === 0 || path.endsWith(".seg"));
    else if (which === 4) this.#disk.failWrite((path) => path.endsWith(".seg"));
    else if (which === 5) this.#toggleCapacity();
    else if (which === 6) await this.#recreate();
    else this.#use();
    if (this.#random.below(3) > 0) await this.#agenda.advance(this.#random.below(12) / 10);
    if (this.#random.below(60) === 0) await this.#agenda.advance(300);
  }

  #use(): void {
    const journal = this.#claimed[this.#random.below(this.#claimed.length)]!;
    const { model, spool } = journal;
    if (journal.busy) return;
    if (this.#random.below(8) === 0) return this.#confirm(journal);
    const dice = this.#random.below(100);
    if (dice < 60) this.#append(journal, this.#random.below(this.#random.below(8) === 0 ? 2900 : 300));
    else if (dice < 66) this.#append(journal, 2000 + this.#random.below(9000));
    else if (dice < 74) {
      const jump = this.#random.below(4) === 0 ? this.#random.below(5000) : 0;
      const registers = jump > 0 ? labelSet(["author", String(this.#nextAppend++)]) : undefined;
      const begin = spool.pendingEnd + jump;
      model.pending.push({ kind: "roll", begin, registers });
      spool.roll(begin, registers);
      // Without an append behind it nobody is told; this one is.
      this.#append(journal, 0, true);
    } else if (dice < 82) {
      this.#adopt(journal);
    } else if (dice < 90) {
      const [first] = spool.fragments();
      if (first === undefined || !first.closed) return;
      const range = { begin: first.begin, end: first.end };
      model.released.push(range);
      spool.release(range);
    } else this.#read(journal);
  }

  /** Hides what comes, confirms some or all of what is hidden, or cuts it. */
  #confirm(journal: Claimed): void {
    const { model, spool } = journal;
    if (!journal.hides) {
      journal.hides = true;
      spool.hide(spool.syncedEnd);
      return;
    }
    const hidden = spool.syncedEnd - spool.end;
    const dice = this.#random.below(4);
    if (dice === 0) {
      journal.hides = false;
      spool.confirm(Number.POSITIVE_INFINITY);
    } else if (dice === 1) spool.confirm(spool.syncedEnd);
    else if (dice === 2 || model.pending.length > 0 || spool.pendingEnd !== spool.syncedEnd) {
      spool.confirm(spool.end + this.#random.below(hidden + 1));
    } else {
      this.#cut(journal, spool.end + this.#random.below(hidden + 1));
    }
    model.check(spool);
  }

  /** Copies back what was released, or a part of it. */
  #adopt({ model, spool }: Claimed): void {
    const released = model.released.at(this.#random.below(Math.max(1, model.released.length)));
    if (released === undefined) return;
    const whole = model.contentOf(released);
    if (whole === undefined) return;
    const life = this.#life;
    const content = async function* (agenda: Agenda): AsyncGenerator<Uint8Array> {
      for (const part of whole) {
        await new Promise<void>((resolve) => agenda.schedule(1, resolve));
        yield part;
      }
    };
    spool.adopt(released, content(this.#agenda), never).then(
      (end) => {
        if (life !== this.#life) return;
        this.counts.adopted++;
        model.released = model.released.filter((one) => one !== released);
        if (end !== released.end) this.#failure ??= new Violation(`adopted to ${end}, not ${released.end}`);
      },
      (error: unknown) => {
        if (life !== this.#life) return;
        const { code } = WireError.from(error);
        if (code === "OUTCOME_UNKNOWN" || code === "UNAVAILABLE") this.#fatal = true;
        else if (code !== "CONFLICT" && code !== "NOT_FOUND" && !REFUSALS.has(code))
          this.#failure ??= asError(error);
      },
    );
  }

  #cut(journal: Claimed, begin: number): void {
    const { model, spool } = journal;
    const life = this.#life;
    const op: ModelCut = { kind: "cut", begin, registers: labelSet(["author", `c${this.#nextAppend++}`]) };
    model.pending.push(op);
    journal.busy = true;
    this.counts.cuts++;
    spool.cut(begin, op.registers).then(
      () => {
        if (life !== this.#life) return;
        journal.busy = false;
        model.acknowledge(op);
        if (spool.syncedEnd !== begin)
          this.#failure ??= new Violation(`cut at ${begin}, ends at ${spool.syncedEnd}`);
      },
      (error: unknown) => {
        if (life !== this.#life) return;
        journal.busy = false;
        const { code } = WireError.from(error);
        if (code === "OUTCOME_UNKNOWN") model.leaveOpen(op);
        else model.refuse(op);
        if (code === "OUTCOME_UNKNOWN" || code === "UNAVAILABLE") this.#fatal = true;
        else if (!REFUSALS.has(code)) this.#failure ??= asError(error);
      },
    );
  }

  /** An append in pieces, committed or rolled back. */
  #append(journal: Claimed, length: number, surely = false): void {
    const { spool } = journal;
    const id = this.#nextAppend++;
    const life = this.#life;
    const registers = this.#random.below(6) === 0 ? labelSet(["author", `a${id}`]) : undefined;
    const pieces = 1 + this.#random.below(3);
    const rollsBack = !surely && this.#random.below(12) === 0;
    const pauses = this.#random.below(4) === 0;
    const bytes = contentOf(id, length);
    const append = spool.openAppend();
    const { signal } = new AbortController();
    journal.busy = true;
    const finish = (): void => {
      journal.busy = false;
      if (rollsBack) return append.rollback();
      this.#commit(journal, append, id, registers);
    };
    const write = async (from: number): Promise<void> => {
      for (let at = from; at < bytes.length;) {
        const piece = bytes.slice(at, at + Math.ceil(bytes.length / pieces));
        const writing = append.write(piece, signal);
        if (writing !== undefined) await writing;
        piece.fill(0xee); // it is the caller's again
        at += piece.length;
        if (pauses)
          await new Promise<void>((resolve) => this.#agenda.schedule(this.#random.below(3), resolve));
      }
      if (life === this.#life) finish();
    };
    write(0).catch((error: unknown) => {
      if (life !== this.#life) return;
      if (!(error instanceof WireError) || !REFUSALS.has(error.code)) this.#failure ??= asError(error);
      this.counts.refused++;
      journal.busy = false;
      append.rollback();
    });
    if (length >= SMALL_SPOOLS.directBytesMin) this.counts.direct++;
  }

  #commit(
    { model, spool }: Claimed,
    append: SpoolAppend,
    id: number,
    registers: ModelAppend["registers"],
  ): void {
    const life = this.#life;
    const op: ModelAppend = {
      kind: "append",
      id,
      begin: append.begin,
      end: append.begin + append.bytes,
      registers,
    };
    const sum = this.#random.below(4) === 0 ? sumOf(append) : undefined;
    if (sum !== undefined && sum !== createHash("sha1").update(contentOf(id, append.bytes)).digest("hex")) {
      this.#failure ??= new Violation(`sum of append ${id}`);
    }
    model.pending.push(op);
    append.commit(registers, (outcome) => {
      try {
        if (life !== this.#life) throw new Violation("an outcome from another life");
        this.#onOutcome(model, spool, op, outcome);
      } catch (error) {
        this.#failure ??= asError(error);
      }
    });
  }

  #onOutcome(model: JournalModel, spool: Spool, op: ModelAppend, outcome: CommitOutcome): void {
    if (outcome.kind === "unknown") {
      model.leaveOpen(op);
      this.#fatal = true; // the process ends; only a restart can tell
    } else if (outcome.kind === "refused") {
      this.counts.refused++;
      model.refuse(op);
      if (outcome.error.code === "UNAVAILABLE") this.#fatal = true; // the log failed under what was before it
    } else {
      if (outcome.begin !== op.begin || outcome.end !== op.end)
        throw new Violation(`append ${op.id} stands elsewhere`);
      model.acknowledge(op);
      if (spool.syncedEnd < op.end) throw new Violation(`append ${op.id} acknowledged before it is visible`);
      this.counts.acknowledged++;
    }
    if (this.#fatal) return;
    if (model.pending.every(({ kind }) => kind === "roll") && spool.pendingEnd === spool.syncedEnd)
      model.settleRolls(spool);
  }

  #read({ model, spool }: Claimed): void {
    const fragments = spool.fragments();
    const fragment = fragments[this.#random.below(Math.max(1, fragments.length))];
    if (fragment === undefined || fragment.end === fragment.begin) return;
    const offset = fragment.begin + this.#random.below(fragment.end - fragment.begin);
    const life = this.#life;
    this.counts.reads++;
    model.seenEnd = Math.max(model.seenEnd, spool.end);
    spool.read(offset, 1 + this.#random.below(3000), never).then(
      (bytes) => {
        try {
          if (bytes.length === 0) throw new Violation("a read of nothing");
          if (life === this.#life) model.compare(offset, bytes);
        } catch (error) {
          this.#failure ??= asError(error);
        }
      },
      (error: unknown) => {
        // The fragment may have been released meanwhile.
        const released = model.released.some(({ begin, end }) => begin <= offset && offset < end);
        if (life === this.#life && !released) this.#failure ??= asError(error);
      },
    );
  }

  #toggleCapacity(): void {
    const full = this.#disk.capacityBytes === Number.MAX_SAFE_INTEGER;
    const room = this.#random.below(120 * 1024);
    this.#disk.capacityBytes = full ? this.#disk.usedBytes + room : Number.MAX_SAFE_INTEGER;
  }

  /** Deletes a journal and creates it again: nothing of it may be inherited (D1). */
  async #recreate(): Promise<void> {
    const at = this.#random.below(this.#claimed.length);
    const { model, spool, busy } = this.#claimed[at]!;
    if (busy || model.pending.length > 0 || spool.pendingEnd !== spool.syncedEnd) return;
    if (this.#random.below(2) === 0) spool.remove();
    const next = new JournalModel(model.journal, model.createRevision + 1, EMPTY_LABELS);
    this.#models.set(model.journal, next);
    this.#claimed.splice(at, 1);
    await this.#claim(next).catch((error: unknown) => {
      if (!this.#fatal) throw error; // a sync failed under it: the next life claims it
    });
  }

  async #closeAndOpen(): Promise<void> {
    this.#disk.capacityBytes = Number.MAX_SAFE_INTEGER;
    await this.#drive(this.#spools.close());
    if (this.#failure !== undefined) throw this.#failure;
    await this.#restart(this.#random.below(2) === 0);
  }

  /** Ends the process, with or without the power, and recovers; sometimes recovery is interrupted too. */
  async #restart(powerCut: boolean): Promise<void> {
    this.#end(powerCut);
    while (this.#random.below(3) === 0) {
      this.#disk.capacityBytes = Number.MAX_SAFE_INTEGER;
      this.#opening().catch(() => undefined);
      for (let events = this.#random.below(60); events > 0; events--)
        await this.#agenda.step(this.#agenda.nowMs + 1000);
      this.#end(this.#random.below(2) === 0);
    }
    if (powerCut && this.#random.below(3) === 0) await this.#openRotten();
    await this.#open();
  }

  #end(powerCut: boolean): void {
    this.counts.crashes++;
    this.#life++;
    this.#logFailed ||= this.#fatal;
    this.#fatal = false;
    this.#claimed = [];
    this.#disk.failSync(() => false);
    this.#disk.failWrite(() => false);
    if (powerCut) this.#disk.crash();
    else this.#disk.kill();
  }

  #opening(): Promise<Spools> {
    const life = ++this.#life;
    const ports = {
      disk: this.#disk.open(),
      clock: this.#clock,
      random: this.#random.fork(`life ${life}`),
      logger: silentLogger,
      metrics: new MetricsRegistry(),
      onFatal: () => {
        if (life === this.#life) this.#fatal = true;
      },
    };
    return openSpools(ports, SMALL_SPOOLS, never);
  }

  /** Bits of the log or the checkpoint flip: it is refused, or it does not matter. */
  async #openRotten(): Promise<void> {
    const rot = rotSomewhere(this.#disk, this.#random, (path) => path.startsWith("log/"));
    if (rot === undefined) return;
    this.counts.rotten++;
    this.#disk.capacityBytes = Number.MAX_SAFE_INTEGER;
    try {
      await this.#drive(this.#opening());
      // It does not matter, and stays. What was recovered is compared when the journals are claimed.
    } catch (error) {
      if (!(error instanceof WireError) || error.code !== "CORRUPT") throw error;
      if (error.facts["path"] === undefined) throw new Violation(`no file is named: ${error.message}`);
      this.counts.refusedRotten++;
      rot.undo();
    }
    this.#end(this.#random.below(2) === 0);
  }

  async #open(): Promise<void> {
    this.#disk.capacityBytes = Number.MAX_SAFE_INTEGER;
    this.#spools = await this.#drive(this.#opening());
    for (const model of this.#models.values()) await this.#claim(model);
    this.#logFailed = false;
  }

  async #claim(model: JournalModel): Promise<void> {
    const { journal, createRevision } = model;
    const spool = await this.#drive(
      this.#spools.claim({ journal, createRevision, epoch: 1 + this.#life }, 0),
    );
    model.recover(spool, { logFailed: this.#logFailed });
    await this.#drive(model.compareAll(spool));
    this.#claimed.push({ model, spool, busy: false, hides: false });
  }

  async #drive<T>(promise: Promise<T>): Promise<T> {
    let settled = false;
    const watched = promise.finally(() => {
      settled = true;
    });
    watched.catch(() => undefined);
    const done = await this.#agenda.runUntil(() => settled, this.#agenda.nowMs + PATIENCE_MS);
    if (!done) throw new Violation("it hangs");
    return watched;
  }
}

function sumOf(append: SpoolAppend): string | undefined {
  try {
    return append.sum();
  } catch {
    return undefined; // it was lost
  }
}

function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}
