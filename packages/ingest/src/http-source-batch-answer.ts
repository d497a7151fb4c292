// What is said of a batch over HTTP (D25): 200 with how many records were accepted and which were not, 422 when none
// was, 503 when it is not known.
import type { Exchange } from "./http1-exchange.ts";
import type { Answers, DoorError } from "./http-source-answers.ts";
import type { SettledBatch, SinkTally } from "./http-source-batch.ts";
import type { SinkRoute, SourceRoute } from "./http-source-routes.ts";

const NONE_ACCEPTED: DoorError = { status: 422, name: "unprocessableContent", message: "" };

export interface BatchAnswerOptions {
  readonly answers: Answers;
  readonly exchange: Exchange;
  /** Whether the answer says what each sink did. */
  readonly isVerbose: boolean;
}

export function answerBatch(
  route: SourceRoute,
  batch: SettledBatch,
  { answers, exchange, isVerbose }: BatchAnswerOptions,
): void {
  const { accepted, total, unknown, rejections, rejected } = batch;
  const failure = unknown ?? (accepted > 0 || total === 0 ? undefined : (batch.failure ?? NONE_ACCEPTED));
  const statusCode = failure?.status ?? (batch.isAwaited || accepted === 0 ? 200 : 202);
  const hasSinks = route.sinks.length > 0;
  const outcome = hasSinks ? `Accepted ${accepted} of ${total} records.` : "No enabled sink found.";
  const body = {
    statusCode,
    ...(failure === undefined ? {} : { error: `stream.in.${failure.name}` }),
    message: unknown?.message ?? outcome,
    accepted,
    rejected: rejections.toSorted((a, b) => a.index - b.index),
    // The list is cut when it is very long.
    rejectedCount: rejected,
    ...(isVerbose ? { sources: [sourceBody(route, batch, statusCode)] } : {}),
  };
  if (rejected > 0) answers.rejected(rejected);
  exchange.send(answers.json(statusCode, body, exchange.isLast, failure?.retryAfter));
}

function sourceBody({ sinks, source }: SourceRoute, batch: SettledBatch, statusCode: number): object {
  const { projectId, sourceId, branchId } = source;
  const { tallies } = batch;
  const results = sinks.map((sink, i) => sinkBody(sink, tallies[i]!, batch));
  const failed = tallies.filter((tally) => tally.first !== undefined && !isTaken(tally, batch)).length;
  const written = `${sinks.length - failed}/${sinks.length} sinks.`;
  const done = sinks.length === 0 ? "No enabled sink found." : `Successfully written to ${written}`;
  const message = failed === 0 ? done : `Written to ${written}`;
  return { projectId, sourceId, branchId, statusCode, message, sinks: results };
}

/** Whether the sink has all records that were mapped, and there are some. */
function isTaken({ unwritten }: SinkTally, { mapped }: SettledBatch): boolean {
  return mapped > 0 && unwritten === 0;
}

/** The first thing that went wrong stands for all: reasons of the records are in `rejected`. */
function sinkBody({ sink, isAwaited }: SinkRoute, tally: SinkTally, batch: SettledBatch): object {
  const { sinkId } = sink;
  const { refused, letters, first } = tally;
  const accepted = batch.mapped - tally.unwritten;
  const done = isAwaited ? 200 : 202;
  const counts = { accepted, refused, ...(letters === 0 ? {} : { deadLettered: letters }) };
  if (first === undefined) {
    return { sinkId, statusCode: done, message: isAwaited ? "processed" : "accepted", ...counts };
  }
  const { status, name, message } = first;
  const statusCode = isTaken(tally, batch) ? done : status;
  return { sinkId, statusCode, error: `stream.in.${name}`, message, ...counts };
}
