// A log over a simulated disk, for tests: open, append texts, cut the power, open again.
import { MetricsRegistry, never, silentLogger, type Logger, type WireError } from "@millrace/base";
import { Agenda, seededRandom, SimulatedClock } from "@millrace/base/testkit";
import type { Disk } from "./disk.ts";
import { LOG_DEFAULTS, type LogOptions } from "./log-options.ts";
import { scanLog, type LogScan } from "./log-scan.ts";
import { SimulatedDisk, type SimulatedDiskOptions } from "./simulated-disk.ts";
import { WriteAheadLog } from "./write-ahead-log.ts";

/** Small, so that tests meet the ends of segments. */
export const SMALL_LOG: LogOptions = {
  ...LOG_DEFAULTS,
  name: "test",
  segmentBytes: 16 * 1024,
  firstSegmentBytes: 16 * 1024,
  groupBytesMax: 8 * 1024,
  queueBytesMax: 64 * 1024,
};

/** What became of one append: undefined while it is pending, then "synced" or the code of the failure. */
export interface Appended {
  readonly text: string;
  outcome: string | undefined;
}

export class LogFixture {
  readonly agenda = new Agenda();
  readonly clock = new SimulatedClock(this.agenda);
  readonly disk: SimulatedDisk;
  readonly options: LogOptions;
  readonly logger: Logger = silentLogger;
  readonly metrics = new MetricsRegistry();
  readonly fatal: WireError[] = [];
  readonly space: boolean[] = [];
  readonly #seed: string;
  session!: Disk;
  log!: WriteAheadLog;
  scan!: LogScan;
  /** Texts of the records that the last open or scan found. */
  replayed: string[] = [];

  constructor(seed: string, disk: Partial<SimulatedDiskOptions> = {}, options: Partial<LogOptions> = {}) {
    this.#seed = seed;
    this.options = { ...SMALL_LOG, ...options };
    const schedule = (delayMs: number, run: () => void): void => void this.agenda.schedule(delayMs, run);
    this.disk = new SimulatedDisk({ schedule, random: seededRandom(`${seed}/disk`), ...disk });
  }

  /** Reads and opens the log. */
  async open(from = 1): Promise<void> {
    this.session = this.disk.open();
    await this.read(from);
    const { clock, logger, metrics } = this;
    const random = seededRandom(`${this.#seed}/log/${this.disk.syncs}`);
    const hooks = {
      onFatal: (error: WireError) => this.fatal.push(error),
      onSpace: (full: boolean) => this.space.push(full),
    };
    const ports = { disk: this.session, clock, random, logger, metrics };
    this.log = await this.drive(WriteAheadLog.open(ports, this.options, hooks, this.scan));
  }

  /** Reads the log and changes nothing. */
  async read(from = 1): Promise<void> {
    this.replayed = [];
    const visit = (record: Uint8Array, { sequence }: { sequence: number }): void => {
      if (sequence >= from) this.replayed.push(Buffer.from(record).toString());
    };
    this.scan = await this.drive(scanLog(this.session, this.options.dir, from, visit, never));
  }

  append(text: string): Appended {
    const appended: Appended = { text, outcome: undefined };
    const onLogged = (failure: WireError | undefined): void => {
      appended.outcome = failure?.code ?? "synced";
    };
    if (!this.log.append([Buffer.from(text)], { onLogged })) appended.outcome = "not taken";
    return appended;
  }

  /** Appends and runs until each outcome is known. */
  async appendAll(...texts: string[]): Promise<Appended[]> {
    const appended = texts.map((text) => this.append(text));
    await this.agenda.runUntil(
      () => appended.every(({ outcome }) => outcome !== undefined),
      this.agenda.nowMs + 60_000,
    );
    return appended;
  }

  /** Runs the agenda until `promise` settles. */
  async drive<T>(promise: Promise<T>): Promise<T> {
    let settled = false;
    const watched = promise.finally(() => {
      settled = true;
    });
    watched.catch(() => undefined);
    await this.agenda.runUntil(() => settled, this.agenda.nowMs + 600_000);
    return watched;
  }
}
