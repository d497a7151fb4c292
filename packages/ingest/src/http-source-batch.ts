// Many records of one body, which http-source-walk.ts finds. A batch is not atomic and says so (D25): 200 with how many
// were accepted and which were not, 422 when none was, 503 when it is not known.
//
// B1 A record is accepted when every sink has mapped it; one that a sink cannot map goes to none of them.
import { type BodyBytes, sizeText, WireError } from "@millrace/base";
import type { RowBuffer } from "./csv-writer.ts";
import type { Exchange } from "./http1-exchange.ts";
import { appendError, type Answers, type DoorError } from "./http-source-answers.ts";
import type { DoorRecord } from "./http-source-record.ts";
import { publisherFor, type SinkRoute, type SourceRoute } from "./http-source-routes.ts";
import { mappingError } from "./http-source-single.ts";
import type { RecordTaker } from "./http-source-walk.ts";
import { REJECTIONS_LISTED_MAX } from "./limits.ts";
import type { AppendWaiter } from "./publisher-frame.ts";
import type { PartitionPublisher } from "./publisher.ts";

export interface BatchOptions {
  readonly answers: Answers;
  readonly recordBytesMax: number;
  /** Whether the answer says what each sink did. */
  readonly isVerbose: boolean;
}

/** What a sink did with the records that were mapped, for the verbose answer; bounded by the number of sinks. */
interface SinkTally {
  /** Records that this sink could not map: they went to none. */
  refused: number;
  /** Records of its frames that were not appended, or of which that is not known. */
  unwritten: number;
  first: DoorError | undefined;
}

interface Rejection {
  readonly index: number;
  readonly reason: string;
}

export class Batch implements RecordTaker {
  readonly #route: SourceRoute;
  readonly #record: DoorRecord;
  readonly #exchange: Exchange;
  readonly #options: BatchOptions;
  /**
   * Of each sink: its publisher and buffer, where the row of the record at hand begins, and the share of its open
   * frame.
   */
  readonly #publishers: PartitionPublisher[] = [];
  readonly #rows: RowBuffer[] = [];
  readonly #begins: number[] = [];
  readonly #shares: FrameShare[] = [];
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
  #isAwaited = false;
  readonly #tallies: readonly SinkTally[];

  constructor(route: SourceRoute, record: DoorRecord, exchange: Exchange, options: BatchOptions) {
    const tally = (): SinkTally => ({ refused: 0, unwritten: 0, first: undefined });
    this.#tallies = route.sinks.map(tally);
    this.#route = route;
    this.#record = record;
    this.#exchange = exchange;
    this.#options = options;
  }

  reject(reason: string): void {
    this.#note(this.#index++, reason);
  }

  /** The scanner holds the record's values; it lies in body[begin, end). */
  write(body: BodyBytes, begin: number, end: number): void {
    const max = this.#options.recordBytesMax;
    if (end - begin > max) return this.reject(`Record size is over the maximum "${sizeText(max)}".`);
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
    const record = this.#record;
    record.refuse(problem);
    this.write(body, begin, end);
    record.form = "scanned";
    record.bodyIsText = true;
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
      return this.reject(
        sinks.length === 1 ? failure.message : `${sinks[i]!.sink.sinkId}: ${failure.message}`,
      );
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
        this.#note(index, error.message);
      }
    }
    this.#settleOne();
  }

  #map(sink: SinkRoute, i: number): DoorError | undefined {
    const publisher = publisherFor(sink);
    this.#publishers[i] = publisher;
    const rows = publisher.begin(sink.version, this.#record.acceptedAtMs, sink.isAwaited);
    if (rows instanceof WireError) return appendError(rows);
    this.#rows[i] = rows;
    this.#begins[i] = rows.at;
    const failure = sink.mapping.write(this.#record, rows);
    return failure === undefined ? undefined : mappingError(failure);
  }

  #commit(sink: SinkRoute, i: number): void {
    const publisher = this.#publishers[i]!;
    const length = this.#rows[i]!.at - this.#begins[i]!;
    if (!sink.isAwaited) {
      publisher.commit(length, undefined);
      return;
    }
    let share = this.#shares[i];
    if (share === undefined || share.publisher !== publisher || share.frame !== publisher.frame) {
      share = new FrameShare(this, publisher, i);
      this.#shares[i] = share;
      this.#missing++;
      this.#isAwaited = true;
    }
    share.indexes.push(this.#index);
    publisher.commit(length, share);
  }

  #note(index: number, reason: string): void {
    this.#rejected++;
    if (this.#rejections.length < REJECTIONS_LISTED_MAX) this.#rejections.push({ index, reason });
  }

  #settleOne(): void {
    if (--this.#missing > 0) return;
    const { answers } = this.#options;
    const hasSinks = this.#route.sinks.length > 0;
    const accepted = hasSinks ? this.#mapped - this.#unwritten.size : 0;
    const total = hasSinks ? accepted + this.#rejected : 0;
    const failure =
      this.#unknown ?? (accepted > 0 || total === 0 ? undefined : (this.#failure ?? NONE_ACCEPTED));
    const statusCode = failure?.status ?? (this.#isAwaited || accepted === 0 ? 200 : 202);
    const outcome = hasSinks ? `Accepted ${accepted} of ${total} records.` : "No enabled sink found.";
    const body = {
      statusCode,
      ...(failure === undefined ? {} : { error: `stream.in.${failure.name}` }),
      message: this.#unknown?.message ?? outcome,
      accepted,
      rejected: this.#rejections.sort((a, b) => a.index - b.index),
      // The list is cut when it is very long.
      rejectedCount: this.#rejected,
      ...(this.#options.isVerbose ? { sources: [this.#sourceBody(statusCode)] } : {}),
    };
    if (this.#rejected > 0) answers.rejected(this.#rejected);
    this.#exchange.send(answers.json(statusCode, body, this.#exchange.isLast, failure?.retryAfter));
  }

  #sourceBody(statusCode: number): object {
    const { sinks, source } = this.#route;
    const { projectId, sourceId, branchId } = source;
    const results = sinks.map((sink, i) => this.#sinkBody(sink, this.#tallies[i]!));
    const failed = this.#tallies.filter((tally) => tally.first !== undefined && !this.#isTaken(tally)).length;
    const written = `${sinks.length - failed}/${sinks.length} sinks.`;
    const done = sinks.length === 0 ? "No enabled sink found." : `Successfully written to ${written}`;
    const message = failed === 0 ? done : `Written to ${written}`;
    return { projectId, sourceId, branchId, statusCode, message, sinks: results };
  }

  /** Whether the sink has all records that were mapped, and there are some. */
  #isTaken({ unwritten }: SinkTally): boolean {
    return this.#mapped > 0 && unwritten === 0;
  }

  /** The first thing that went wrong stands for all: reasons of the records are in `rejected`. */
  #sinkBody({ sink, isAwaited }: SinkRoute, tally: SinkTally): object {
    const { sinkId } = sink;
    const { refused, first } = tally;
    const accepted = this.#mapped - tally.unwritten;
    const done = isAwaited ? 200 : 202;
    if (first === undefined) {
      return { sinkId, statusCode: done, message: isAwaited ? "processed" : "accepted", accepted, refused };
    }
    const { status, name, message } = first;
    const statusCode = this.#isTaken(tally) ? done : status;
    return { sinkId, statusCode, error: `stream.in.${name}`, message, accepted, refused };
  }
}

/** The records of a batch that stand in one frame. */
class FrameShare implements AppendWaiter {
  readonly indexes: number[] = [];
  readonly publisher: PartitionPublisher;
  readonly frame: number;
  /** Position of the sink in the route. */
  readonly sink: number;
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

const NONE_ACCEPTED: DoorError = { status: 422, name: "unprocessableContent", message: "" };
