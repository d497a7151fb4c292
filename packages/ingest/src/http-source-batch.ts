// Many records of one body, which http-source-walk.ts finds. A batch is not atomic and says so (D25): what became of it
// is known of each record, and told to whom the door is for (http-source-batch-answer.ts, otlp-intake.ts).
//
// B1 A record is accepted when every sink has mapped it, or put it to its dead letters; one that a sink refuses goes to
//    none of them.
import { type BodyBytes, sizeText, WireError } from "@millrace/base";
import type { RowBuffer } from "./csv-writer.ts";
import { appendError, type DoorError } from "./http-source-answers.ts";
import { batchKeyHash } from "./idempotency-key.ts";
import type { DoorRecord } from "./http-source-record.ts";
import { publisherFor, type SinkRoute, type SourceRoute } from "./http-source-routes.ts";
import { beginLetter, OpenLetter } from "./http-source-single.ts";
import type { RecordTaker } from "./http-source-walk.ts";
import { REJECTIONS_LISTED_MAX } from "./limits.ts";
import { NO_PLACE, type AppendWaiter } from "./publisher-frame.ts";
import type { PartitionPublisher } from "./publisher.ts";

export interface BatchOptions {
  readonly recordBytesMax: number;
  /** That the request has (X1 of idempotency-key.ts). */
  readonly key?: string | undefined;
  /** Called once, when it is known of each record what became of it. */
  readonly onSettled: (batch: SettledBatch) => void;
}

/** What became of a batch. */
export interface SettledBatch {
  /** 0 without an enabled sink. */
  readonly total: number;
  readonly accepted: number;
  /** Records that every sink has mapped. */
  readonly mapped: number;
  readonly rejected: number;
  /** The first of the rejected ones, in no order. */
  readonly rejections: readonly Rejection[];
  /** Whether an append was waited for. */
  readonly isAwaited: boolean;
  /** Of some records it is not known whether they were appended. */
  readonly unknown: DoorError | undefined;
  /** Why records were not written that were as they should be. */
  readonly failure: DoorError | undefined;
  /** Of all that went wrong with records, what has the highest status. */
  readonly worst: DoorError | undefined;
  /** One for each sink of the route. */
  readonly tallies: readonly SinkTally[];
}

/** What a sink did with the records that were mapped, for the verbose answer; bounded by the number of sinks. */
export interface SinkTally {
  /** Records that this sink could not map: they went to none. */
  refused: number;
  /** Records that it could not map and that went to its dead letters. */
  letters: number;
  /** Records of its frames that were not appended, or of which that is not known. */
  unwritten: number;
  first: DoorError | undefined;
}

export interface Rejection {
  readonly index: number;
  readonly reason: string;
}

export class Batch implements RecordTaker {
  readonly #route: SourceRoute;
  readonly #record: DoorRecord;
  readonly #options: BatchOptions;
  /**
   * Of each sink: its publisher and buffer, where the row of the record at hand begins, and the share of its open
   * frame. A dead letter takes the place of a row; it has a share of its own.
   */
  readonly #publishers: PartitionPublisher[] = [];
  readonly #rows: RowBuffer[] = [];
  readonly #begins: number[] = [];
  readonly #shares: FrameShare[] = [];
  readonly #letterShares: FrameShare[] = [];
  #index = 0;
  #mapped = 0;
  readonly #rejections: Rejection[] = [];
  #rejected = 0;
  /** Mapped records that some sink has not written. */
  readonly #unwritten = new Set<number>();
  /** Frames that are not settled, and one until the batch is closed. */
  #missing = 1;
  #failure: DoorError | undefined;
  #unknown: DoorError | undefined;
  #worst: DoorError | undefined;
  #isAwaited = false;
  readonly #tallies: readonly SinkTally[];

  constructor(route: SourceRoute, record: DoorRecord, options: BatchOptions) {
    const tally = (): SinkTally => ({ refused: 0, letters: 0, unwritten: 0, first: undefined });
    this.#tallies = route.sinks.map(tally);
    this.#route = route;
    this.#record = record;
    this.#options = options;
  }

  #reject(error: DoorError, reason = error.message): void {
    this.#note(this.#index++, error, reason);
  }

  /** The scanner holds the record's values; it lies in body[begin, end). */
  write(body: BodyBytes, begin: number, end: number): void {
    this.#route.limiter?.count("records", 1);
    const max = this.#options.recordBytesMax;
    if (end - begin > max) {
      const message = `Record size is over the maximum "${sizeText(max)}".`;
      return this.#reject({ status: 413, name: "bodyTooLarge", message });
    }
    const { key } = this.#options;
    this.#record.key = key === undefined ? undefined : batchKeyHash(key, this.#index);
    this.#record.start(body, begin, end);
    this.#writeRecord();
    this.#record.end();
  }

  /** A line that is not what it should be is a record for sinks that do not look into it. */
  writeUndecodable(
    body: BodyBytes,
    { begin, end }: { readonly begin: number; readonly end: number },
    problem: string,
  ): void {
    this.#record.whileRefused(problem, () => this.write(body, begin, end));
  }

  #writeRecord(): void {
    const { sinks } = this.#route;
    for (let i = 0; i < sinks.length; i++) {
      const failure = this.#map(sinks[i]!, i);
      if (failure === undefined) continue;
      for (let before = 0; before < i; before++) this.#rows[before]!.at = this.#begins[before]!; // B1
      if (failure.status >= 429) this.#failure = failure;
      const tally = this.#tallies[i]!;
      tally.refused++;
      tally.first ??= failure;
      const { message } = failure;
      return this.#reject(failure, sinks.length === 1 ? message : `${sinks[i]!.sink.sinkId}: ${message}`);
    }
    for (let i = 0; i < sinks.length; i++) this.#commit(sinks[i]!, i);
    this.#mapped++;
    this.#index++;
  }

  close(): void {
    this.#settleOne();
  }

  /** A frame has been appended, or not. */
  onFrame(share: FrameShare, failure: WireError | undefined): void {
    if (failure !== undefined) {
      const error = appendError(failure);
      if (failure.code === "OUTCOME_UNKNOWN") this.#unknown = error;
      else this.#failure = error;
      const tally = this.#tallies[share.sink]!;
      tally.unwritten += share.indexes.length;
      tally.first ??= error;
      for (const index of share.indexes) {
        if (this.#unwritten.has(index)) continue;
        this.#unwritten.add(index);
        this.#note(index, error, error.message);
      }
    }
    this.#settleOne();
  }

  #map(sink: SinkRoute, i: number): DoorError | undefined {
    const full = sink.quota?.refusal();
    if (full !== undefined) return full;
    const publisher = publisherFor(sink, this.#record.key);
    this.#publishers[i] = publisher;
    const rows = publisher.begin(sink.version, this.#record.acceptedAtMs, sink.isAwaited);
    if (rows instanceof WireError) return appendError(rows);
    this.#rows[i] = rows;
    this.#begins[i] = rows.at;
    const failure = sink.mapping.write(this.#record, rows);
    if (failure === undefined) return undefined;
    const letter = beginLetter(sink, this.#record, failure);
    if (!(letter instanceof OpenLetter)) return letter;
    this.#publishers[i] = letter.publisher;
    this.#rows[i] = letter.rows;
    this.#begins[i] = letter.begin;
    return undefined;
  }

  #commit(sink: SinkRoute, i: number): void {
    const publisher = this.#publishers[i]!;
    const length = this.#rows[i]!.at - this.#begins[i]!;
    const isLetter = publisher === sink.letters;
    if (isLetter) this.#tallies[i]!.letters++;
    if (!sink.isAwaited) {
      publisher.commit(length, undefined, this.#record.key);
      return;
    }
    const shares = isLetter ? this.#letterShares : this.#shares;
    let share = shares[i];
    if (share === undefined || share.publisher !== publisher || share.frame !== publisher.frame) {
      share = new FrameShare(this, publisher, i);
      shares[i] = share;
      this.#missing++;
      this.#isAwaited = true;
    }
    share.indexes.push(this.#index);
    publisher.commit(length, share, this.#record.key);
  }

  #note(index: number, error: DoorError, reason: string): void {
    this.#rejected++;
    if (error.status > (this.#worst?.status ?? 0)) this.#worst = error;
    if (this.#rejections.length < REJECTIONS_LISTED_MAX) this.#rejections.push({ index, reason });
  }

  #settleOne(): void {
    if (--this.#missing > 0) return;
    const hasSinks = this.#route.sinks.length > 0;
    const accepted = hasSinks ? this.#mapped - this.#unwritten.size : 0;
    this.#options.onSettled({
      total: hasSinks ? accepted + this.#rejected : 0,
      accepted,
      mapped: this.#mapped,
      rejected: this.#rejected,
      rejections: this.#rejections,
      isAwaited: this.#isAwaited,
      unknown: this.#unknown,
      failure: this.#failure,
      worst: this.#worst,
      tallies: this.#tallies,
    });
  }
}

/** The records of a batch that stand in one frame. */
class FrameShare implements AppendWaiter {
  readonly indexes: number[] = [];
  readonly publisher: PartitionPublisher;
  readonly frame: number;
  /** Position of the sink in the route. */
  readonly sink: number;
  /** The records of a body are found piece by piece, and others' come in between. */
  place = NO_PLACE;
  readonly #batch: Batch;

  constructor(batch: Batch, publisher: PartitionPublisher, sink: number) {
    this.#batch = batch;
    this.sink = sink;
    this.publisher = publisher;
    this.frame = publisher.frame;
  }

  onAppended(_rows: number, failure: WireError | undefined): void {
    this.#batch.onFrame(this, failure);
  }
}
