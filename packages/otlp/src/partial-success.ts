// What became of a request's records, and the message that says so: in the encoding of the request.
import { utf8 } from "@millrace/base";
import { encode, extension, int64, type Message, message, named, string } from "@millrace/protobuf";
import type { Signal } from "./flat-records.ts";
import { FIRST_ERROR_CHARS_MAX } from "./limits.ts";
import type { OtlpEncoding } from "./part-opening.ts";

/** What became of the records of one request. */
export interface ExportOutcome {
  readonly total: number;
  readonly rejected: number;
  /** Of the rejected ones, when there are any. */
  readonly failure?: ExportFailure;
}

export interface ExportFailure {
  /** The worst HTTP status among them. */
  readonly status: number;
  /** Why the first one was rejected. */
  readonly firstError: string;
  /** Seconds after which the same records may be taken. */
  readonly retryAfter?: number;
}

interface PartialSuccess {
  readonly rejected: number;
  readonly errorMessage: string;
}

interface ExportResponse {
  readonly partialSuccess?: PartialSuccess;
}

const RESPONSES: Readonly<Record<Signal, Message<ExportResponse>>> = {
  logs: responseOf("rejected_log_records"),
  metrics: responseOf("rejected_data_points"),
  traces: responseOf("rejected_spans"),
};

/** Whether nothing of the request was taken: that is no success, not even a partial one. */
export function isRejected({ total, rejected }: ExportOutcome): boolean {
  return rejected > 0 && rejected === total;
}

/** `3 of 5 records rejected; first error: …` */
export function rejectionText({ total, rejected, failure }: ExportOutcome): string {
  const counts = `${rejected} of ${total} records rejected`;
  if (failure === undefined) return counts;
  return `${counts}; first error: ${failure.firstError.slice(0, FIRST_ERROR_CHARS_MAX)}`;
}

/** The Export…ServiceResponse of an outcome that is at least a partial success. */
export function encodeResponse(signal: Signal, encoding: OtlpEncoding, outcome: ExportOutcome): Uint8Array {
  const { rejected } = outcome;
  const response: ExportResponse =
    rejected === 0 ? {} : { partialSuccess: { rejected, errorMessage: rejectionText(outcome) } };
  const table = RESPONSES[signal];
  return encoding === "protobuf" ? encode(table, response) : utf8(JSON.stringify(table.toJson(response)));
}

function responseOf(rejectedName: string): Message<ExportResponse> {
  const partialSuccess = message<PartialSuccess>({
    rejected: named(rejectedName, int64(1)),
    errorMessage: string(2),
  });
  return message<ExportResponse>({ partialSuccess: extension(1, partialSuccess) });
}
