// The synced write-ahead log: one gathered write and one sync commit everything that arrived meanwhile.
//
//            append                    idle, or the last sync ended              synced
//   record ----------> open group ------------------------------------> written ---------> listeners, in order
//
//   W1  One group is in flight; the next is written after the sync before it. So a group's header can always say that
//       everything before it is synced.
//   W2  The segment of a group is decided when the group is opened: the owner asks with `reserve` and makes every
//       segment self-contained.
//   W3  A failed sync is fatal and never retried (D5): the outcome of all that is pending is unknown, `onFatal` is
//       called once, and nothing is written any more.
//   W4  While no segment can be made ready (full disk) records are refused, never half written. It recovers by itself.
//   W5  Opening always begins a new segment: nothing is ever written behind a tail that may be torn (D2).
//   W6  The last group that was found is written and synced again, as the first one of the new segment, which voids
//       the old one (S3 of log-scan.ts): a process that was killed may have left it in the kernel's memory only, and
//       after a failed sync the kernel may hold it for clean though it never reached the disk.
//   W7  The newest segment that has a group stays, and empty segments go newest first: so a start can tell from the
//       headers of those that are there whether one is missing (log-whole.ts).
import {
  assert,
  type Clock,
  type Labels,
  type Logger,
  type Metrics,
  type Random,
  WireError,
} from "@millrace/base";
import { DiskError, type Disk } from "./disk.ts";
import { GROUP_HEADER_BYTES, sealGroup } from "./group-codec.ts";
import type { LogListener, OpenGroup } from "./log-group.ts";
import { logMetrics, type LogMetrics } from "./log-metrics.ts";
import type { LogOptions } from "./log-options.ts";
import { LogQueue, recordBytes } from "./log-queue.ts";
import type { LogScan, ScannedSegment } from "./log-scan.ts";
import { SEGMENT_HEADER_BYTES } from "./segment-codec.ts";
import { SegmentPool, type ReadySegment } from "./segment-pool.ts";

export interface LogPorts {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

export interface LogHooks {
  /** Called once, when the log cannot go on: the process must end (D5). */
  onFatal(error: WireError): void;
  /** Called after the listeners of each group. `sequence`: everything up to it is synced. */
  onSynced?(sequence: number): void;
  /** The log began or ceased to refuse records for want of space. */
  onSpace?(full: boolean): void;
}

/** A segment that holds groups which may still be needed. */
interface LiveSegment extends ReadySegment {
  last: number;
  /** It has a group that is synced. */
  isUsed: boolean;
}

type NextSegment =
  | { readonly kind: "preparing" }
  | { readonly kind: "ready"; readonly segment: ReadySegment }
  | { readonly kind: "failed"; readonly error: DiskError };

/** What opening leaves to begin with. */
interface Opened {
  readonly pool: SegmentPool;
  readonly live: LiveSegment[];
  readonly first: ReadySegment;
  readonly nextSequence: number;
  readonly tail: LogScan["tail"];
}

type State = "open" | "closing" | "closed" | "failed";

export class WriteAheadLog {
  readonly #disk: Disk;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #options: LogOptions;
  readonly #hooks: LogHooks;
  readonly #metrics: LogMetrics;
  /** One object for all series, so that its text is made once. */
  readonly #labels: Labels;
  readonly #pool: SegmentPool;
  readonly #queue: LogQueue;
  readonly #onThrown = (error: unknown): void => this.#fail(WireError.from(error));

  #state: State = "open";
  /** Earlier segments, ascending, then the current one. */
  readonly #live: LiveSegment[];
  #current: LiveSegment;
  /** Where the next group goes in the current segment. */
  #position: number;
  #next: NextSegment = { kind: "preparing" };
  #full = false;

  #inFlight: OpenGroup | undefined;
  #scheduled = false;

  #sequence: number;
  #synced: number;
  /** The newest group has records and no later one says that it is synced. */
  #uncovered = false;
  #lastSyncMs: number;
  /** When the group in flight was handed to the disk. */
  #startedMs = 0;
  #cancelIdle: (() => void) | undefined;
  #cancelRetry: (() => void) | undefined;
  #drained: (() => void) | undefined;

  /**
   * Continues the log that `scan` read. @throws {DiskError} when the first segment cannot be made
   */
  static async open(
    ports: LogPorts,
    options: LogOptions,
    hooks: LogHooks,
    scan: LogScan,
  ): Promise<WriteAheadLog> {
    const { groupBytesMax, segmentBytes } = options;
    const fit = groupBytesMax + SEGMENT_HEADER_BYTES + GROUP_HEADER_BYTES <= segmentBytes;
    assert(fit, "a segment has room for a group", { groupBytesMax, segmentBytes });
    const pool = new SegmentPool(ports, options);
    await ports.disk.run("bulk", [{ kind: "make-dir", path: options.dir }]);
    await pool.adopt(scan.spares);
    const { tail, nextSequence } = scan;
    const last = scan.segments.at(-1)?.header.number ?? 0;
    const live: LiveSegment[] = [];
    const unused: ScannedSegment[] = [];
    for (const segment of scan.segments) {
      // What has no group was made ready and not used; its number is spent all the same (W5). What begins with the
      // last group is about to be void.
      if (segment.first === undefined || segment.first === tail?.sequence) unused.push(segment);
      else live.push({ ...segment, last: segment.last ?? segment.first, isUsed: true });
    }
    // The copy relies on what the segment before it says, which therefore stays as long as the copy is wanted.
    const before = live.at(-1);
    if (before !== undefined && tail !== undefined) before.last = Math.max(before.last, tail.sequence);
    // W7: also the last segment of all stays until there is another one.
    const later = unused.filter(({ first }, i) => first !== undefined || (i === 0 && live.length === 0));
    const empty = unused.filter((segment) => !later.includes(segment)).reverse();
    for (const [i, segment] of empty.entries()) {
      if (i > 0) await ports.disk.run("bulk", [{ kind: "sync-dir", path: options.dir }]); // W7
      await pool.recycle(segment);
    }
    const fits = SEGMENT_HEADER_BYTES + (tail?.bytes.length ?? 0) <= options.firstSegmentBytes;
    const first = await pool.prepare(last + 1, {
      bytes: fits ? options.firstSegmentBytes : options.segmentBytes,
      // The tail may not be synced before it is written again.
      begin: tail?.sequence ?? nextSequence,
      previous: scan.segments.findLast((segment) => segment.first !== undefined)?.header.number ?? 0,
    });
    if (tail !== undefined) await writeTail(ports.disk, first, tail);
    for (const segment of later) await pool.recycle(segment);
    return new WriteAheadLog(ports, options, hooks, { pool, live, first, nextSequence, tail });
  }

  private constructor(
    ports: LogPorts,
    options: LogOptions,
    hooks: LogHooks,
    { pool, live, first, nextSequence, tail }: Opened,
  ) {
    this.#disk = ports.disk;
    this.#clock = ports.clock;
    this.#logger = ports.logger;
    this.#options = options;
    this.#hooks = hooks;
    this.#metrics = logMetrics(ports.metrics);
    this.#labels = { log: options.name };
    this.#pool = pool;
    this.#sequence = nextSequence;
    this.#synced = nextSequence - 1;
    this.#lastSyncMs = ports.clock.monotonicMs();
    this.#current = { ...first, last: nextSequence - 1, isUsed: tail !== undefined };
    this.#live = [...live, this.#current];
    this.#position = SEGMENT_HEADER_BYTES + (tail?.bytes.length ?? 0);
    this.#queue = new LogQueue(options, first.header.number, first.bytes - this.#position);
    this.#uncovered = tail !== undefined && tail.bytes.length > GROUP_HEADER_BYTES;
    this.#prepareNext();
    this.#armIdle();
  }

  /** Everything up to this sequence is synced. */
  get synced(): number {
    return this.#synced;
  }

  get queuedBytes(): number {
    return this.#queue.bytes;
  }

  /** Bytes of the segments that hold groups; `recycle` frees them. */
  get retainedBytes(): number {
    let bytes = this.#position;
    for (const segment of this.#live) if (segment !== this.#current) bytes += segment.bytes;
    return bytes;
  }

  /** What stands against appending; undefined when healthy. */
  unhealthy(): string | undefined {
    if (this.#state === "failed") return "the log has failed";
    if (this.#state !== "open") return "the log is closed";
    if (this.#full) return "no space for the log";
    const writingMs = this.#inFlight === undefined ? 0 : this.#clock.monotonicMs() - this.#startedMs;
    return writingMs > this.#options.stuckMs
      ? `the log's sync takes ${Math.round(writingMs)} ms by now`
      : undefined;
  }

  /** Whether `append` would take `records` records of together `bytes`, RECORD_HEADER_BYTES for each included. */
  accepts(bytes: number, records: number): boolean {
    return this.#state === "open" && this.#queue.accepts(bytes, records);
  }

  /**
   * Makes sure that the next records of together `bytes`, with RECORD_HEADER_BYTES for each, get into one group: all
   * of them become durable, or none.
   * @returns the scope: as long as it stays the same, what was appended under it stands before the next record in the
   * same segment. A record that others rely on (a definition) is written again in each scope.
   */
  reserve(bytes: number): number {
    return this.#queue.reserve(bytes);
  }

  /**
   * Adds one record made of `parts`, which are copied before it returns.
   * @returns false when the queue is full or the log is not open: then nothing happened
   */
  append(parts: readonly Uint8Array[], listener?: LogListener): boolean {
    const bytes = recordBytes(parts);
    if (!this.accepts(bytes, 1)) return false;
    this.#queue.add(parts, bytes, listener);
    this.#schedule();
    return true;
  }

  /** Frees the segments that hold only groups below `position`: their owner has synced what they cover (D6). */
  recycle(position: number): void {
    while (this.#live[0]!.last < position && this.#live.slice(1).some(({ isUsed }) => isUsed)) {
      const segment = this.#live.shift()!;
      // What could not be renamed or removed is found, and recycled, by the next start.
      this.#pool.recycle(segment).catch((error: unknown) => void this.#survivable(error));
    }
    // Its space may be what the next segment waits for.
    if (this.#next.kind === "failed") this.#prepareNext();
  }

  /** Writes what was appended, says that it is synced, and stops. */
  async close(): Promise<void> {
    if (this.#state === "open") {
      this.#state = "closing";
      await this.#drain();
      if (this.#uncovered && !this.#isFailed()) this.#wantEmptyGroup();
      await this.#drain();
      if (!this.#isFailed()) this.#state = "closed";
    }
    this.#cancelIdle?.();
    this.#cancelRetry?.();
    await this.#pool.close();
  }

  async #drain(): Promise<void> {
    this.#start();
    while (this.#isBusy()) await new Promise<void>((resolve) => (this.#drained = resolve));
  }

  #isFailed(): boolean {
    return this.#state === "failed";
  }

  #isBusy(): boolean {
    if (this.#isFailed()) return false;
    return this.#inFlight !== undefined || !this.#queue.isEmpty;
  }

  #schedule(): void {
    if (this.#scheduled || this.#inFlight !== undefined) return;
    this.#scheduled = true;
    // Not at once: what else arrives in this turn shares the sync.
    queueMicrotask(() => {
      this.#scheduled = false;
      this.#start();
    });
  }

  /** Writes the oldest group, unless one is in flight or its segment is not ready. */
  #start(): void {
    if (this.#inFlight !== undefined || this.#state === "failed" || this.#state === "closed") return;
    const group = this.#queue.oldest;
    if (group === undefined) return;
    if (group.segment !== this.#current.header.number) {
      if (this.#next.kind === "preparing") return;
      if (this.#next.kind === "failed") return this.#refuse(this.#next.error);
      this.#enter(this.#next.segment);
    }
    assert(group.segment === this.#current.header.number, "segments are used in order", {
      segment: group.segment,
    });
    this.#write(this.#queue.take());
  }

  #write(group: OpenGroup): void {
    const bytes = group.buffer.subarray(0, group.used);
    const { path, header } = this.#current;
    sealGroup(bytes, header, { sequence: this.#sequence, synced: this.#synced });
    this.#inFlight = group;
    this.#startedMs = this.#clock.monotonicMs();
    this.#disk
      .run("log", [
        { kind: "write", path, position: this.#position, bytes },
        { kind: "sync", path },
      ])
      .then(
        () => this.#onSynced(group),
        (error: unknown) => this.#onFailed(group, error),
      )
      .catch(this.#onThrown);
  }

  #onSynced(group: OpenGroup): void {
    this.#synced = this.#sequence++;
    this.#current.last = this.#synced;
    this.#current.isUsed = true;
    this.#position += group.used;
    this.#inFlight = undefined;
    this.#uncovered = group.records > 0;
    this.#lastSyncMs = this.#clock.monotonicMs();
    this.#finish(group);
    const labels = this.#labels;
    this.#metrics.syncs.add(1, labels);
    this.#metrics.syncSeconds.observe((this.#lastSyncMs - this.#startedMs) / 1000, labels);
    this.#metrics.bytes.add(group.used, labels);
    this.#metrics.records.add(group.records, labels);
    const sequence = this.#synced;
    // The disk's thread goes on with the next group while the listeners of this one run.
    this.#start();
    for (const listener of group.listeners) listener.onLogged(undefined);
    this.#hooks.onSynced?.(sequence);
    this.#armIdle();
    this.#drained?.();
  }

  #onFailed(group: OpenGroup, error: unknown): void {
    if (!(error instanceof DiskError) || error.kind !== "full") return this.#fail(WireError.from(error)); // W3
    // A preallocated file should have room; file systems that copy on write may refuse all the same. Part of the
    // group may stand in the file, so the log goes on in another segment, which voids it (S3 of log-scan.ts).
    this.#logger.warn("log-write-refused", { ...this.#labels, path: error.path, error: error.message });
    this.#inFlight = undefined;
    this.#finish(group);
    const unknown = new WireError("OUTCOME_UNKNOWN", error.message, { cause: error });
    for (const listener of group.listeners) listener.onLogged(unknown);
    this.#refuse(error);
  }

  /** Refuses all that is not written yet (W4); the log goes on in the next segment, when there is one. */
  #refuse(error: DiskError): void {
    const refusal = new WireError("DISK_FULL", `no space for the log: ${error.message}`, { cause: error });
    const refused = this.#queue.takeAll();
    this.#queue.moveTo(this.#current.header.number + 1);
    for (const group of refused) this.#metrics.refused.add(group.records, this.#labels);
    this.#tell(refused, refusal);
    this.#drained?.();
  }

  #fail(error: WireError): void {
    if (this.#state === "failed") return;
    this.#state = "failed";
    this.#cancelIdle?.();
    this.#cancelRetry?.();
    const unknown = new WireError("OUTCOME_UNKNOWN", `the log has failed: ${error.message}`, {
      cause: error,
    });
    const pending = this.#queue.takeAll();
    if (this.#inFlight !== undefined) pending.unshift(this.#inFlight);
    this.#inFlight = undefined;
    this.#logger.error("log-failed", { ...this.#labels, error: error.message });
    this.#tell(pending, unknown);
    this.#drained?.();
    this.#hooks.onFatal(error);
  }

  #tell(groups: readonly OpenGroup[], failure: WireError): void {
    for (const group of groups) {
      this.#finish(group);
      for (const listener of group.listeners) listener.onLogged(failure);
    }
  }

  #finish(group: OpenGroup): void {
    this.#queue.done(group);
    this.#metrics.queued.set(this.#queue.bytes, this.#labels);
  }

  #enter(segment: ReadySegment): void {
    this.#current = { ...segment, last: this.#synced, isUsed: false };
    this.#live.push(this.#current);
    this.#position = SEGMENT_HEADER_BYTES;
    this.#prepareNext();
  }

  #prepareNext(): void {
    this.#next = { kind: "preparing" };
    this.#cancelRetry?.();
    this.#cancelRetry = undefined;
    this.#pool
      .prepare(this.#current.header.number + 1, {
        bytes: this.#options.segmentBytes,
        begin: this.#synced + 1,
        previous: this.#current.header.number,
      })
      .then(
        (segment) => this.#onReady(segment),
        (error: unknown) => this.#onPrepareFailed(error),
      )
      .catch(this.#onThrown);
  }

  #onReady(segment: ReadySegment): void {
    this.#next = { kind: "ready", segment };
    this.#setFull(false);
    this.#start();
  }

  #onPrepareFailed(thrown: unknown): void {
    const error = this.#survivable(thrown);
    if (error === undefined) return;
    this.#next = { kind: "failed", error };
    this.#setFull(true);
    if (this.#state === "open") {
      this.#cancelRetry = this.#clock.after(this.#options.retryMs, () => {
        this.#cancelRetry = undefined;
        this.#prepareNext();
      });
    }
    this.#start();
  }

  /** Fails the log when its disk is not to be trusted any more (W3). @returns any other failure, after saying so */
  #survivable(error: unknown): DiskError | undefined {
    if (!(error instanceof DiskError) || error.kind === "sync-failed") {
      this.#fail(WireError.from(error));
      return undefined;
    }
    this.#logger.warn("log-segment-failed", { path: error.path, error: error.message });
    return error;
  }

  #setFull(full: boolean): void {
    if (this.#full === full) return;
    this.#full = full;
    this.#hooks.onSpace?.(full);
  }

  /** Arms the timer after which an empty group covers the newest one (D2). */
  #armIdle(): void {
    if (!this.#uncovered || this.#cancelIdle !== undefined || this.#state !== "open") return;
    // At least a millisecond: what rounding leaves of the pause must not become a loop.
    const pauseMs = Math.max(1, this.#options.idleMs - (this.#clock.monotonicMs() - this.#lastSyncMs));
    this.#cancelIdle = this.#clock.after(pauseMs, () => {
      this.#cancelIdle = undefined;
      const early = this.#clock.monotonicMs() - this.#lastSyncMs < this.#options.idleMs - 1;
      if (early || this.#isBusy()) this.#armIdle();
      else if (this.#uncovered) this.#wantEmptyGroup();
    });
  }

  #wantEmptyGroup(): void {
    this.#queue.reserve(0);
    this.#start();
  }
}

/** W6. */
async function writeTail(
  disk: Disk,
  segment: ReadySegment,
  tail: NonNullable<LogScan["tail"]>,
): Promise<void> {
  const bytes = tail.bytes.slice();
  sealGroup(bytes, segment.header, { sequence: tail.sequence, synced: tail.sequence - 1 });
  await disk.run("log", [
    { kind: "write", path: segment.path, position: SEGMENT_HEADER_BYTES, bytes },
    { kind: "sync", path: segment.path },
  ]);
}
