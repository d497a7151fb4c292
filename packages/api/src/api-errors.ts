// Errors of the configuration API as its envelope (specification 1.6), in one place.
import { CODES, WireError } from "@millrace/base";
import { listOf } from "@millrace/ingest";

export type ApiErrorName =
  | "missingField"
  | "invalidLength"
  | "invalidEnumValue"
  | "invalidFieldType"
  | "invalidRange"
  | "badRequest"
  | "forbidden"
  | "sourceNotFound"
  | "sinkNotFound"
  | "taskNotFound"
  | "sourceAlreadyExists"
  | "sinkAlreadyExists"
  | "sourceCountLimitReached"
  | "sinkCountLimitReached"
  | "endpointNotFound"
  | "internalError";

/** An answer that is not the one that was asked for. */
export class ApiError extends Error {
  readonly status: number;
  readonly errorName: string;

  constructor(status: number, name: ApiErrorName, message: string) {
    super(sentence(message));
    this.name = "ApiError";
    this.status = status;
    this.errorName = `stream.api.${name}`;
  }
}

export interface ErrorEnvelope {
  readonly statusCode: number;
  readonly error: string;
  readonly message: string;
  readonly exceptionId?: string;
}

/** One thing that is wrong with a request. */
export interface Problem {
  readonly name: ApiErrorName;
  readonly message: string;
}

/** @throws {ApiError} 400 with all problems, unless there are none */
export function refuseProblems(problems: readonly Problem[]): void {
  const first = problems[0];
  if (first === undefined) return;
  throw new ApiError(400, first.name, listOf(problems.map((problem) => sentence(problem.message))));
}

/**
 * @param exceptionId names an unexpected error, in the answer and in the log
 */
export function envelopeOf(thrown: unknown, exceptionId: string): ErrorEnvelope {
  if (thrown instanceof ApiError) {
    return { statusCode: thrown.status, error: thrown.errorName, message: thrown.message };
  }
  const fromFramework = frameworkError(thrown);
  if (fromFramework !== undefined) return fromFramework;
  const error = WireError.from(thrown);
  const statusCode = CODES[error.code].status;
  if (statusCode < 500 || statusCode === 503 || statusCode === 507) {
    return { statusCode, error: `stream.api.${camelCase(error.code)}`, message: sentence(error.message) };
  }
  const message = `Application error. Please contact the operator with exception id (${exceptionId}) attached.`;
  return { statusCode, error: "stream.api.internalError", message, exceptionId };
}

/** fastify's own refusals of a body: its type, its size, its JSON. */
function frameworkError(thrown: unknown): ErrorEnvelope | undefined {
  if (!(thrown instanceof Error) || !("statusCode" in thrown) || thrown instanceof WireError)
    return undefined;
  const statusCode = thrown.statusCode;
  if (typeof statusCode !== "number" || statusCode < 400 || statusCode >= 500) return undefined;
  return { statusCode, error: "stream.api.badRequest", message: sentence(thrown.message) };
}

/** First letter upper case, a period at the end. */
function sentence(text: string): string {
  const capital = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(capital) ? capital : `${capital}.`;
}

function camelCase(code: string): string {
  return code.toLowerCase().replace(/_([a-z])/g, (_match, letter: string) => letter.toUpperCase());
}
