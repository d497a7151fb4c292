// Publishes the rows of one partition: what arrives in one turn of the event loop, and while an append is under way,
// becomes one frame and one append.
//
//   filling ──turn ends, lane free──> under way ──written──> settled
//                                       │  └──certainly not written──> settled with the failure (awaited frames)
//                                       └──unknown──> the same bytes again … ──> under way
//
// P1 A lane is a producer with its own sequence. It has one frame under way and begins none before that is settled: an
//    append of unknown outcome is retried unchanged before any later frame of the producer, and readers drop the
//    double.
// P2 Once an attempt's outcome is unknown, only success settles the frame; what a later attempt says is no news.
// P3 A frame whose rows were acknowledged before their append is tried until it is written or the process ends.
// P4 Rows that wait are bounded in bytes; beyond that new ones are refused, which costs nobody anything.
// P5 Memory of a frame is used again only if its first attempt succeeded: a lost attempt may still be read by someone.
// P6 A frame lingers for those who were just answered: each of them is likely to send its next record at once, and an
//    append costs as much as a dozen records. It waits no longer than LINGER_MS, nor than the last append took; a lone
//    sender never waits.
// P7 A sink that is gone for good ends every try: what may have been written for it went with it.
// P8 A frame that was given an offset below where its journal had ended already may be behind its readers, since bytes
//    were given up: its outcome is unknown. The partition is looked at before the next attempt, and also when it has
//    taken nothing for LOOK_AGAIN_MS: then it says what stands against it.
// P9 What waits behind a frame whose outcome is unknown for long, while there is no broker or the partition is not
//    ready, is certainly not written: it is refused with what stands against it, rather than kept waiting for as long.
import {
  assert,
  type Clock,
  hex,
  type Logger,
  type Random,
  sizeText,
  type TaskGroup,
  WireError,
} from "@millrace/base";
import { appendChecked, WentBack } from "./checked-append.ts";
import { partitionJournal, type SinkLife } from "./definitions.ts";
import { FRAME_ROWS_MAX, FRAME_SEAL_BYTES } from "./limits.ts";
import type { RowBuffer } from "./csv-writer.ts";
import type { PublisherMetrics } from "./publisher-metrics.ts";
import { OpenFrame, type BufferPool, type AppendWaiter } from "./publisher-frame.ts";
import type { Turns } from "./publisher-turns.ts";

/** Where frames go. */
export interface FramePort {
  /**
   * Appends `content` to `journal` as one atomic append. The content does not change until the promise settles.
   * @throws {WireError} what says that nothing was written, or OUTCOME_UNKNOWN, INTERNAL, or the signal's reason
   */
  appendFrame(
    journal: string,
    content: readonly Uint8Array[],
    signal: AbortSignal,
  ): Promise<{ readonly begin: number; readonly end: number }>;
}

/** Told where a partition's journal ended when a frame was appended; frames of several lanes come in any order. */
export type OnAppended = (partition: SinkLife & { readonly n: number }, journal: string, end: number) => void;

/** Who makes sure that a partition is there (D26). */
export interface PartitionPort {
  /** @returns the partition's journal @throws {SinkGone} for good @throws {WireError} when asking again may help */
  ensure(sink: SinkLife, n: number, signal: AbortSignal): Promise<string>;
  /** What is appended to the partition's journal now stands behind it (P8). Absent: nothing is known. */
  knownEnd?(sink: SinkLife, n: number, journal: string): number;
  /** The journal may have gone back: the next `ensure` looks at it again. */
  forget?(sink: SinkLife, n: number, journal: string): void;
}

/** The partition, or another journal of the sink, that a publisher fills. */
export interface PublishedPlace {
  readonly key: SinkLife;
  readonly n: number;
  /** For messages; absent: the partition's journal. */
  readonly name?: string;
}

/** There is no such sink, or none of this life: nothing can be written for it any more. */
export class SinkGone extends WireError {
  constructor(message: string) {
    super("NOT_FOUND", message);
  }
}

export interface PublisherPorts {
  readonly frames: FramePort;
  readonly partitions: PartitionPort;
  readonly onAppended?: OnAppended;
  readonly turns: Turns;
  readonly budget: QueueBudget;
  readonly buffers: BufferPool;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: PublisherMetrics;
}

/** Bytes that wait, all partitions together (P4). */
export class QueueBudget {
  readonly bytesMax: number;
  readonly partitionBytesMax: number;
  bytes = 0;

  constructor(limits: { readonly queuedBytesMax: number; readonly partitionQueuedBytesMax: number }) {
    this.bytesMax = limits.queuedBytesMax;
    this.partitionBytesMax = limits.partitionQueuedBytesMax;
  }
}

interface Lane {
  readonly producer: string;
  sequence: number;
  isBusy: boolean;
}

const LINGER_MS = 1;
const BACKOFF_MS_FIRST = 20;
const BACKOFF_MS_MAX = 2000;
/** Those who wait for a frame of unknown outcome are told so after this time; the frame is retried all the same. */
const UNKNOWN_TOLD_AFTER_MS = 10_000;
const ENSURE_ATTEMPTS_MAX = 3;
/** Longer than brokers take over from each other. */
const LOOK_AGAIN_MS = 15_000;

export class PartitionPublisher {
  readonly #ports: PublisherPorts;
  readonly #place: PublishedPlace;
  readonly #lanes: readonly Lane[];
  readonly #tasks: TaskGroup;
  readonly #sealed: OpenFrame[] = [];
  #open: OpenFrame | undefined;
  #frame = 0;
  #journal: string | undefined;
  #isScheduled = false;
  #isClosing = false;
  /** Bytes of frames that are sealed or under way. */
  #sealedBytes = 0;
  #onIdle: (() => void) | undefined;
  /** Until when the open frame lingers, unless as many wait for it as are expected (P6). */
  #lingerUntilMs = 0;
  #expected = 0;
  #isTimed = false;
  /** Since when appends fail for want of a broker, or since the partition was looked at for that. */
  #failingSinceMs: number | undefined;

  /** @param lanes frames that may be under way at the same time @param tasks owns the appends */
  constructor(ports: PublisherPorts, place: PublishedPlace, lanes: number, tasks: TaskGroup) {
    this.#ports = ports;
    this.#place = place;
    this.#tasks = tasks;
    this.#lanes = Array.from({ length: lanes }, () => ({
      producer: hex(ports.random.fill(new Uint8Array(8))),
      sequence: 0,
      isBusy: false,
    }));
  }

  /** Number of the frame that begin's buffer belongs to. */
  get frame(): number {
    return this.#frame;
  }

  /** Whether a frame is open for rows. */
  get isFilling(): boolean {
    return this.#open !== undefined;
  }

  /** Whether nothing waits and nothing is under way. */
  get isIdle(): boolean {
    return this.#open === undefined && this.#sealedBytes === 0;
  }

  /**
   * Where the next row goes; write it behind `at`, then call `commit`, or put `at` back.
   * @throws nothing; a WireError that is returned refuses the row (P4)
   */
  begin(sinkVersion: number, acceptedAtMs: number, isAwaited: boolean): RowBuffer | WireError {
    if (this.#isClosing) return new WireError("SHUTTING_DOWN", "node is shutting down");
    const open = this.#open;
    if (open !== undefined && open.sinkVersion === sinkVersion && open.isAwaited === isAwaited)
      return open.rows;
    if (open !== undefined) this.#seal();
    const { budget } = this.#ports;
    if (this.#sealedBytes >= budget.partitionBytesMax) return overloaded(budget.partitionBytesMax);
    if (budget.bytes >= budget.bytesMax) return overloaded(budget.bytesMax);
    this.#frame++;
    this.#open = new OpenFrame(this.#ports.buffers.take(), { sinkVersion, acceptedAtMs, isAwaited });
    return this.#open.rows;
  }

  /**
   * The last `length` bytes of begin's buffer are a row; `waiter` is told with its frame.
   * @param key hash of the key that the row has, if it has one
   */
  commit(length: number, waiter: AppendWaiter | undefined, key?: string): void {
    const open = this.#open;
    assert(open !== undefined, "a row is begun before it is committed");
    open.add(length, waiter, key);
    if (open.bytes >= FRAME_SEAL_BYTES || open.count >= FRAME_ROWS_MAX) this.#seal();
    if (!this.#isScheduled) this.#schedule();
  }

  /** Takes no more rows; resolves when all are written or failed. Call it once. */
  drain(): Promise<void> {
    this.#isClosing = true;
    this.#dropEmpty();
    return new Promise((resolve) => {
      if (this.isIdle) resolve();
      else this.#onIdle = resolve;
    });
  }

  #schedule(): void {
    this.#isScheduled = true;
    this.#ports.turns.atEnd(() => {
      this.#isScheduled = false;
      this.#pump();
    });
  }

  #seal(): void {
    const frame = this.#open!;
    this.#open = undefined;
    if (frame.count === 0) {
      this.#ports.buffers.give(frame.rows);
      return;
    }
    this.#sealed.push(frame);
    this.#sealedBytes += frame.bytes;
    this.#ports.budget.bytes += frame.bytes;
  }

  /** A record that could not be mapped may have left a frame without rows. */
  #dropEmpty(): void {
    if (this.#open !== undefined && this.#open.count === 0) this.#seal();
  }

  /** Gives frames to free lanes; an open one is sealed only when a lane can take it. */
  #pump(): void {
    for (const lane of this.#lanes) {
      if (lane.isBusy) continue;
      if (this.#sealed.length === 0 && this.#open !== undefined) {
        // While one is under way only full frames get a lane of their own: small ones cost as much.
        if (this.#lanes.some(({ isBusy }) => isBusy) || this.#lingers(this.#open)) break;
        this.#seal();
      }
      const frame = this.#sealed.shift();
      if (frame === undefined) break;
      lane.isBusy = true;
      lane.sequence++;
      this.#tasks.spawn("frame", (signal) => this.#publish(lane, frame, signal));
    }
    if (this.isIdle) this.#onIdle?.();
  }

  /** Whether `frame` is worth waiting for (P6); then it is looked at again in time. */
  #lingers(frame: OpenFrame): boolean {
    if (this.#isClosing || frame.waiters >= this.#expected) return false;
    const leftMs = this.#lingerUntilMs - this.#ports.clock.monotonicMs();
    if (leftMs <= 0) return false;
    if (this.#isTimed) return true;
    this.#isTimed = true;
    this.#ports.clock.after(leftMs, () => {
      this.#isTimed = false;
      this.#pump();
    });
    return true;
  }

  async #publish(lane: Lane, frame: OpenFrame, signal: AbortSignal): Promise<void> {
    const content = frame.encode(lane);
    const { metrics, clock, budget, buffers, logger } = this.#ports;
    const { count, bytes, waiters } = frame;
    const startedMs = clock.monotonicMs();
    let failure: WireError | undefined;
    try {
      const attempts = await this.#attempt(frame, content, signal);
      metrics.onWritten(count, bytes, clock.monotonicMs() - startedMs);
      if (attempts === 1) buffers.give(frame.rows); // P5
    } catch (thrown) {
      failure = signal.aborted ? unknownOutcome() : WireError.from(thrown);
      metrics.onFailed(count, failure.code);
      if (!frame.isAwaited)
        logger.error("accepted-records-lost", { partition: this.#name, count, error: failure });
    }
    metrics.onSettled(count, clock.wallMs() - frame.acceptedAtMs, failure?.code ?? "OK");
    this.#sealedBytes -= bytes;
    budget.bytes -= bytes;
    lane.isBusy = false;
    const nowMs = clock.monotonicMs();
    this.#expected = waiters + (this.#open?.waiters ?? 0);
    this.#lingerUntilMs = nowMs + Math.min(LINGER_MS, nowMs - startedMs);
    frame.settle(failure);
    if (!this.#isScheduled) this.#schedule();
  }

  /**
   * Tries until the frame is settled (P1). @returns attempts made @throws {WireError} when it is certainly not written
   */
  async #attempt(frame: OpenFrame, content: readonly Uint8Array[], signal: AbortSignal): Promise<number> {
    const { clock, logger } = this.#ports;
    const startedMs = clock.monotonicMs();
    let isUnknown = false;
    let missing = 0;
    for (let attempt = 1; ; attempt++) {
      const error = await this.#attemptOnce(content, signal);
      if (error === undefined) return attempt;
      if (error instanceof SinkGone) throw isUnknown ? unknownOutcome() : error; // P7
      if (mayHaveHappened(error)) isUnknown = true;
      if (isMissing(error)) missing++;
      const isMended = isMissing(error) && missing <= ENSURE_ATTEMPTS_MAX;
      if (!isUnknown && !isMended && (frame.isAwaited || error.retry === "never")) throw error; // P2, P3
      const waitMs = Math.min(BACKOFF_MS_MAX, BACKOFF_MS_FIRST * 2 ** Math.min(attempt - 1, 10));
      logger.warn("frame-retried", { partition: this.#name, attempt, waitMs, isUnknown, error });
      if (isUnknown && clock.monotonicMs() - startedMs >= UNKNOWN_TOLD_AFTER_MS) {
        frame.settle(unknownOutcome());
        if (error.code === "UNAVAILABLE") this.#refuseWaiting(error);
      }
      await clock.sleep(waitMs, signal);
    }
  }

  /** P9 */
  #refuseWaiting(error: WireError): void {
    if (this.#open?.isAwaited === true) this.#seal();
    const { metrics, clock, budget, buffers } = this.#ports;
    for (const waiting of this.#sealed.splice(0)) {
      if (!waiting.isAwaited) {
        this.#sealed.push(waiting);
        continue;
      }
      const { count, bytes } = waiting;
      this.#sealedBytes -= bytes;
      budget.bytes -= bytes;
      buffers.give(waiting.rows);
      metrics.onFailed(count, error.code);
      metrics.onSettled(count, clock.wallMs() - waiting.acceptedAtMs, error.code);
      waiting.settle(error);
    }
  }

  /** @returns the failure, if it has failed @throws the signal's reason */
  async #attemptOnce(content: readonly Uint8Array[], signal: AbortSignal): Promise<WireError | undefined> {
    if (this.#journal === undefined) {
      try {
        this.#journal = await this.#ports.partitions.ensure(this.#place.key, this.#place.n, signal);
      } catch (thrown) {
        if (signal.aborted) throw thrown;
        // Whatever became of that, no row is written.
        const cause = WireError.from(thrown);
        if (cause.code === "DISK_FULL" || cause instanceof SinkGone) return cause;
        return new WireError("UNAVAILABLE", `partition ${this.#name} is not ready: ${cause.message}`, {
          cause,
        });
      }
    }
    const journal = this.#journal;
    const { key, n } = this.#place;
    try {
      await appendChecked(this.#ports, { key, n, journal }, content, signal); // P8
      this.#failingSinceMs = undefined;
      return undefined;
    } catch (thrown) {
      if (signal.aborted) throw thrown;
      const error = WireError.from(thrown);
      if (error instanceof WentBack) this.#failingSinceMs = undefined;
      if (error instanceof WentBack || this.#isFailingLong(error)) {
        this.#ports.partitions.forget?.(key, n, journal);
        this.#journal = undefined;
      } else if (isMissing(error)) this.#journal = undefined;
      return error;
    }
  }

  #isFailingLong({ code }: WireError): boolean {
    if (code !== "UNAVAILABLE") return false;
    const nowMs = this.#ports.clock.monotonicMs();
    this.#failingSinceMs ??= nowMs;
    if (nowMs - this.#failingSinceMs < LOOK_AGAIN_MS) return false;
    this.#failingSinceMs = nowMs;
    return true;
  }

  get #name(): string {
    const { key, n, name } = this.#place;
    return name ?? partitionJournal(key, n);
  }
}

/** Whether an append that failed so may stand in the journal. Only what is known to say the contrary does not. */
function mayHaveHappened(error: WireError): boolean {
  return error.code === "OUTCOME_UNKNOWN" || error.code === "INTERNAL" || error.code === "REQUEST_TIMEOUT";
}

/** Its partition was retired or its journal deleted: ensure makes it anew. */
function isMissing(error: WireError): boolean {
  return error.code === "JOURNAL_NOT_FOUND" || error.code === "NOT_ALLOWED";
}

function unknownOutcome(): WireError {
  return new WireError("OUTCOME_UNKNOWN", "it is not known whether the append has happened");
}

function overloaded(bytesMax: number): WireError {
  return new WireError("OVERLOADED", `rows of ${sizeText(bytesMax)} are waiting to be appended`);
}
