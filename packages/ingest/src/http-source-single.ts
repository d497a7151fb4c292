// One record to all sinks of its source, each on its own: one may accept what another cannot map (keboola-stream
// specification 2.3, 2.4). The usual case, one sink and a short answer, makes one object and no closure.
import { WireError } from "@millrace/base";
import type { RowBuffer } from "./csv-writer.ts";
import { isLetter, putLetter } from "./dead-letter.ts";
import type { Exchange } from "./http1-exchange.ts";
import { appendError, type Answers, type DoorError } from "./http-source-answers.ts";
import type { DoorRecord } from "./http-source-record.ts";
import { publisherFor, type SinkRoute, type SourceRoute } from "./http-source-routes.ts";
import type { MappingFailure } from "./mapping-record.ts";
import type { AppendWaiter } from "./publisher-frame.ts";
import type { PartitionPublisher } from "./publisher.ts";

/** What became of a record in one sink. */
interface SinkResult {
  readonly sinkId: string;
  statusCode: number;
  error?: string;
  message: string;
  retryAfter?: number;
}

const PROCESSED = 200;
const ACCEPTED = 202;
/** What a sink says of a record that it has put to its dead letters. */
const DEAD_LETTERED = "dead-lettered";

/** A record that was taken, and whether as a row or as a dead letter. */
export type Written = "row" | "letter";

/** Writes `record` and answers `exchange` when all its sinks have. */
export function writeSingle(
  route: SourceRoute,
  record: DoorRecord,
  exchange: Exchange,
  how: { readonly answers: Answers; readonly isVerbose: boolean },
): void {
  if (route.sinks.length === 1 && !how.isVerbose) {
    writeToOne(route, route.sinks[0]!, record, exchange, how.answers);
    return;
  }
  new RecordReply(route, exchange, how).write(record);
}

function writeToOne(
  route: SourceRoute,
  sink: SinkRoute,
  record: DoorRecord,
  exchange: Exchange,
  answers: Answers,
): void {
  const waiter = sink.isAwaited ? new PlainReply(route, sink, exchange, answers) : undefined;
  const written = writeToSink(sink, record, waiter);
  if (typeof written !== "string") exchange.send(plainFailure(route, sink, written, exchange, answers));
  else if (waiter === undefined) exchange.send(answers.accepted(ACCEPTED, exchange.isLast));
}

/** Maps the record into the sink's open frame, or puts it to its dead letters. @returns why it is nowhere */
export function writeToSink(
  sink: SinkRoute,
  record: DoorRecord,
  waiter: AppendWaiter | undefined,
): Written | DoorError {
  const full = sink.quota?.refusal();
  if (full !== undefined) return full;
  const publisher = publisherFor(sink, record.key);
  const rows = publisher.begin(sink.version, record.acceptedAtMs, sink.isAwaited);
  if (rows instanceof WireError) return appendError(rows);
  const begin = rows.at;
  const failure = sink.mapping.write(record, rows);
  if (failure === undefined) {
    publisher.commit(rows.at - begin, waiter, record.key);
    return "row";
  }
  const letter = beginLetter(sink, record, failure);
  if (!(letter instanceof OpenLetter)) return letter;
  letter.publisher.commit(letter.rows.at - letter.begin, waiter, record.key);
  return "letter";
}

/** A letter that is written and not committed. */
export class OpenLetter {
  readonly publisher: PartitionPublisher;
  readonly rows: RowBuffer;
  readonly begin: number;

  constructor(publisher: PartitionPublisher, rows: RowBuffer, begin: number) {
    this.publisher = publisher;
    this.rows = rows;
    this.begin = begin;
  }
}

/** Writes a record that `failure` keeps from its sink to the sink's dead letters, if it has any. */
export function beginLetter(
  { letters, letterQuota, version, isAwaited }: SinkRoute,
  record: DoorRecord,
  failure: MappingFailure,
): OpenLetter | DoorError {
  if (letters === undefined || !isLetter(failure)) return mappingError(failure);
  const full = letterQuota?.refusal();
  if (full !== undefined) return full;
  const rows = letters.begin(version, record.acceptedAtMs, isAwaited);
  if (rows instanceof WireError) return appendError(rows);
  const begin = rows.at;
  if (!putLetter(rows, record, { failure, version, attempts: 1 })) return mappingError(failure);
  return new OpenLetter(letters, rows, begin);
}

export function mappingError(failure: MappingFailure): DoorError {
  return { status: failure.status, name: failure.name, message: failure.message };
}

class PlainReply implements AppendWaiter {
  readonly #route: SourceRoute;
  readonly #sink: SinkRoute;
  readonly #exchange: Exchange;
  readonly #answers: Answers;

  constructor(route: SourceRoute, sink: SinkRoute, exchange: Exchange, answers: Answers) {
    this.#route = route;
    this.#sink = sink;
    this.#exchange = exchange;
    this.#answers = answers;
  }

  onAppended(_rows: number, failure: WireError | undefined): void {
    const exchange = this.#exchange;
    if (failure === undefined) exchange.send(this.#answers.accepted(PROCESSED, exchange.isLast));
    else exchange.send(plainFailure(this.#route, this.#sink, appendError(failure), exchange, this.#answers));
  }
}

function plainFailure(
  route: SourceRoute,
  sink: SinkRoute,
  error: DoorError,
  exchange: Exchange,
  answers: Answers,
): string {
  const result: SinkResult = { sinkId: sink.sink.sinkId, statusCode: 0, message: "" };
  setError(result, error);
  return renderResults(route, [result], exchange, { answers, isVerbose: false });
}

/** Collects what the sinks say. */
class RecordReply {
  readonly #route: SourceRoute;
  readonly #exchange: Exchange;
  readonly #how: { readonly answers: Answers; readonly isVerbose: boolean };
  readonly #results: SinkResult[] = [];
  #missing = 1;

  constructor(
    route: SourceRoute,
    exchange: Exchange,
    how: { readonly answers: Answers; readonly isVerbose: boolean },
  ) {
    this.#route = route;
    this.#exchange = exchange;
    this.#how = how;
  }

  write(record: DoorRecord): void {
    for (const sink of this.#route.sinks) {
      const result: SinkResult = { sinkId: sink.sink.sinkId, statusCode: ACCEPTED, message: "accepted" };
      this.#results.push(result);
      const waiter = sink.isAwaited ? this.#waiter(result) : undefined;
      const written = writeToSink(sink, record, waiter);
      if (typeof written !== "string") setError(result, written);
      else {
        if (written === "letter") result.message = DEAD_LETTERED;
        if (waiter !== undefined) this.#missing++;
      }
    }
    this.#settle();
  }

  #waiter(result: SinkResult): AppendWaiter {
    return {
      onAppended: (_rows, failure) => {
        if (failure === undefined) {
          result.statusCode = PROCESSED;
          if (result.message !== DEAD_LETTERED) result.message = "processed";
        } else setError(result, appendError(failure));
        this.#settle();
      },
    };
  }

  #settle(): void {
    if (--this.#missing > 0) return;
    this.#exchange.send(renderResults(this.#route, this.#results, this.#exchange, this.#how));
  }
}

function setError(result: SinkResult, error: DoorError): void {
  result.statusCode = error.status;
  result.error = `stream.in.${error.name}`;
  result.message = error.message;
  if (error.retryAfter !== undefined) result.retryAfter = error.retryAfter;
}

/** The short answer, or the whole story when it is asked for or something went wrong. */
function renderResults(
  route: SourceRoute,
  results: readonly SinkResult[],
  exchange: Exchange,
  how: { readonly answers: Answers; readonly isVerbose: boolean },
): string {
  const outcome = outcomeOf(results);
  if (!how.isVerbose && outcome.error === undefined) {
    return how.answers.accepted(outcome.statusCode === ACCEPTED ? 202 : 200, exchange.isLast);
  }
  const { projectId, sourceId, branchId } = route.source;
  const sinks = results.map(({ retryAfter: _retryAfter, ...result }) => result);
  const body = { ...outcome, sources: [{ projectId, sourceId, branchId, ...outcome, sinks }] };
  const retryAfter = results.reduce((max, result) => Math.max(max, result.retryAfter ?? 0), 0);
  return how.answers.json(
    outcome.statusCode,
    body,
    exchange.isLast,
    retryAfter === 0 ? undefined : retryAfter,
  );
}

function outcomeOf(results: readonly SinkResult[]): { statusCode: number; error?: string; message: string } {
  if (results.length === 0) return { statusCode: 200, message: "No enabled sink found." };
  const statusCode = Math.max(...results.map((result) => result.statusCode));
  const failed = results.filter((result) => result.error !== undefined).length;
  const written = `${results.length - failed}/${results.length} sinks.`;
  if (failed === 0) return { statusCode, message: `Successfully written to ${written}` };
  return { statusCode, error: "stream.in.writeFailed", message: `Written to ${written}` };
}
