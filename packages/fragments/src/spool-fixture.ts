// Local storage over a simulated disk, for tests: open, append, end the process or the power, open again.
import { MetricsRegistry, never, silentLogger, WireError, type LogFields } from "@millrace/base";
import { Agenda, seededRandom, SimulatedClock } from "@millrace/base/testkit";
import type { LabelSet } from "@millrace/protocol";
import type { Disk, DiskOp } from "@millrace/wal";
import { filesOf, SimulatedDisk, type SimulatedDiskOptions } from "@millrace/wal/testkit";
import { openSpools } from "./durable-spools.ts";
import type { SpoolOptions } from "./spool-limits.ts";
import { SMALL_SPOOLS } from "./spool-simulation.ts";
import type { CommitOutcome, Spool, Spools } from "./spools.ts";

export class SpoolFixture {
  readonly agenda = new Agenda();
  readonly clock = new SimulatedClock(this.agenda);
  readonly metrics = new MetricsRegistry();
  readonly disk: SimulatedDisk;
  readonly options: Partial<SpoolOptions>;
  readonly fatal: WireError[] = [];
  /** What was logged as an error: event and fields. */
  readonly errors: [event: string, fields: LogFields | undefined][] = [];
  /** Operations of the disk since the last `open` began. */
  ops: string[] = [];
  /** Delay of operations, in ms, where a test sets it. */
  delayMs: ((op: DiskOp | undefined) => number | undefined) | undefined;
  readonly #seed: string;
  #lives = 0;
  session!: Disk;
  spools!: Spools;

  constructor(seed: string, options: Partial<SpoolOptions> = {}, disk: Partial<SimulatedDiskOptions> = {}) {
    this.#seed = seed;
    this.options = { ...SMALL_SPOOLS, ...options };
    this.disk = new SimulatedDisk({
      schedule: (delayMs, run) => void this.agenda.schedule(delayMs, run),
      random: seededRandom(`${seed}/disk`),
      delayMs: (random, op) => this.delayMs?.(op) ?? 0.05 + random.below(100) / 1000,
      onOp: (line) => void this.ops.push(line),
      ...disk,
    });
  }

  async open(): Promise<Spools> {
    this.ops = [];
    this.session = this.disk.open();
    const ports = {
      disk: this.session,
      clock: this.clock,
      random: seededRandom(`${this.#seed}/${this.#lives++}`),
      logger: {
        ...silentLogger,
        error: (event: string, fields?: LogFields) => void this.errors.push([event, fields]),
      },
      metrics: this.metrics,
      onFatal: (error: WireError) => void this.fatal.push(error),
    };
    this.spools = await this.drive(openSpools(ports, this.options, never));
    return this.spools;
  }

  claim(journal: string, { createRevision = 1, epoch = 1, atLeast = 0 } = {}): Promise<Spool> {
    return this.drive(this.spools.claim({ journal, createRevision, epoch }, atLeast));
  }

  /** Opens and claims one journal. */
  async reopen(journal: string, how = {}): Promise<Spool> {
    await this.open();
    return this.claim(journal, how);
  }

  /** Starts an append. @returns what becomes of it */
  start(
    spool: Spool,
    content: string | Uint8Array,
    registers?: LabelSet,
  ): { outcome: CommitOutcome | undefined } {
    const started: { outcome: CommitOutcome | undefined } = { outcome: undefined };
    const append = spool.openAppend();
    const writing = append.write(typeof content === "string" ? Buffer.from(content) : content, never);
    if (writing !== undefined) throw new Error("use append for what is written directly");
    append.commit(registers, (outcome) => {
      if (started.outcome !== undefined) throw new Error("two outcomes");
      started.outcome = outcome;
    });
    return started;
  }

  /** Appends and waits for the outcome. */
  async append(spool: Spool, content: string | Uint8Array, registers?: LabelSet): Promise<CommitOutcome> {
    const append = spool.openAppend();
    try {
      const writing = append.write(typeof content === "string" ? Buffer.from(content) : content, never);
      if (writing !== undefined) await this.drive(writing);
    } catch (error) {
      append.rollback();
      return { kind: "refused", error: WireError.from(error) };
    }
    return this.drive(new Promise((resolve) => append.commit(registers, resolve)));
  }

  /** All local bytes of one fragment, or of the only one. */
  async bytes(spool: Spool, begin = spool.fragments()[0]!.begin): Promise<Uint8Array> {
    const fragment = spool.fragments().find((one) => one.begin === begin)!;
    const parts: Uint8Array[] = [];
    for (let at = fragment.begin; at < fragment.end;) {
      const part = await this.drive(spool.read(at, 1000, never));
      parts.push(part);
      at += part.length;
    }
    return Buffer.concat(parts);
  }

  async text(spool: Spool, begin?: number): Promise<string> {
    return Buffer.from(await this.bytes(spool, begin)).toString();
  }

  close(): Promise<void> {
    return this.drive(this.spools.close());
  }

  /** Runs the agenda until `promise` settles. */
  async drive<T>(promise: Promise<T>): Promise<T> {
    let settled = false;
    const watched = promise.finally(() => {
      settled = true;
    });
    watched.catch(() => undefined);
    const done = await this.agenda.runUntil(() => settled, this.agenda.nowMs + 600_000);
    if (!done) throw new Error("nothing more happens");
    return watched;
  }
}

/** Bytes of the files whose path begins with `prefix`, by path. */
export function contents(disk: SimulatedDisk, prefix = ""): Map<string, string> {
  const files = filesOf(disk).filter(({ path }) => path.startsWith(prefix));
  return new Map(
    files.map(({ path, bytes }) => [path, Buffer.from(disk.file(path)!.read(0, bytes)).toString("latin1")]),
  );
}
