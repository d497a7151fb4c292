// Errors of the configuration API as its envelope (specification 1.6), in one place.
import { CODES, RequestIds, WireError, type Random } from "@millrace/base";
import { listOf, LostBytes } from "@millrace/ingest";
import type { FastifyReply } from "fastify";

/** An API request's body: a hundred columns with long paths fit. */
export const BODY_BYTES_MAX = 1024 * 1024;

/** Every error that an operation answers with by name, and when. */
export const API_ERRORS = {
  missingField: { status: 400, when: "a header, parameter or field is missing" },
  invalidLength: { status: 400, when: "a text or a list is too short or too long" },
  invalidEnumValue: { status: 400, when: "a value is none of those that there are" },
  invalidFieldType: { status: 400, when: "a value has another type" },
  invalidRange: { status: 400, when: "a number is out of its bounds" },
  badRequest: { status: 400, when: "what is asked makes no sense; the message says what and why" },
  unauthorized: { status: 401, when: "the access token is not, or no longer, a valid one" },
  forbidden: { status: 403, when: "the token's role, or a protected setting, does not allow it" },
  sourceNotFound: { status: 404, when: "there is no such source" },
  sinkNotFound: { status: 404, when: "there is no such sink" },
  sourceVersionNotFound: { status: 404, when: "the source has no such version" },
  sinkVersionNotFound: { status: 404, when: "the sink has no such version" },
  deletedSourceNotFound: { status: 404, when: "there is no such deleted source" },
  deletedSinkNotFound: { status: 404, when: "there is no such deleted sink" },
  tokenNotFound: { status: 404, when: "there is no such token" },
  taskNotFound: { status: 404, when: "there is no such task, or its record has been removed" },
  deadLetterNotFound: { status: 404, when: "the sink has no such dead letter, or no longer" },
  endpointNotFound: { status: 404, when: "there is no such path" },
  sourceAlreadyExists: { status: 409, when: "there is a source with this ID" },
  sinkAlreadyExists: { status: 409, when: "there is a sink with this ID" },
  resourceLocked: { status: 409, when: "another task works on it; the message has its URL" },
  lastAdminToken: { status: 409, when: "nobody could administer the project without the token" },
  payloadTooLarge: { status: 413, when: "the body, or what becomes of a record, is too large" },
  unsupportedMediaType: { status: 415, when: "the body's content type cannot be looked into" },
  resourceLimitReached: { status: 422, when: "there are as many as there may be" },
  unprocessableContent: { status: 422, when: "the record cannot be mapped" },
  internalError: { status: 500, when: "something unexpected; the log has it under the exception id" },
} as const satisfies Record<string, { readonly status: number; readonly when: string }>;

export type ApiErrorName = keyof typeof API_ERRORS;

/** What is wrong with one field of a request. */
export interface FieldProblem {
  /** As messages name it: `body.table.tableId`, or a parameter's name alone. */
  readonly field: string;
  readonly message: string;
}

/** An answer that is not the one that was asked for. */
export class ApiError extends Error {
  readonly status: number;
  readonly errorName: string;
  readonly problems: readonly FieldProblem[];

  /** @param problems by field, for who shows them there; a text: the field that the message is about */
  constructor(name: ApiErrorName, message: string, problems: readonly FieldProblem[] | string = []) {
    super(sentence(message));
    this.name = "ApiError";
    this.status = API_ERRORS[name].status;
    this.errorName = `stream.api.${name}`;
    this.problems = typeof problems === "string" ? [{ field: problems, message: this.message }] : problems;
  }
}

export interface ErrorEnvelope {
  readonly statusCode: number;
  readonly error: string;
  readonly message: string;
  readonly exceptionId?: string;
  readonly problems?: readonly FieldProblem[];
}

/** One thing that is wrong with a request. */
export interface Problem {
  readonly name: ApiErrorName;
  readonly message: string;
  /** Where, if it is about a field; what a check of a schema says is within what it checks. */
  readonly field?: string;
}

/** @throws {ApiError} with the first problem's name and all texts, unless there are none */
export function refuseProblems(problems: readonly Problem[]): void {
  const first = problems[0];
  if (first === undefined) return;
  const fields = problems.flatMap(({ field, message }): FieldProblem[] =>
    field === undefined ? [] : [{ field, message: sentence(message) }],
  );
  throw new ApiError(first.name, listOf(problems.map((problem) => sentence(problem.message))), fields);
}

/**
 * @param exceptionId names an unexpected error, in the answer and in the log
 */
export function envelopeOf(thrown: unknown, exceptionId: string): ErrorEnvelope {
  if (thrown instanceof ApiError) {
    const { status, errorName, message, problems } = thrown;
    return { statusCode: status, error: errorName, message, ...(problems.length > 0 ? { problems } : {}) };
  }
  const fromFramework = frameworkError(thrown);
  if (fromFramework !== undefined) return fromFramework;
  const error = WireError.from(thrown);
  const statusCode = CODES[error.code].status;
  // Of lost bytes the message says the way on.
  if (statusCode < 500 || statusCode === 503 || statusCode === 507 || error instanceof LostBytes) {
    return { statusCode, error: `stream.api.${camelCase(error.code)}`, message: sentence(error.message) };
  }
  const message = `Application error. Please contact the operator with exception id (${exceptionId}) attached.`;
  return { statusCode, error: "stream.api.internalError", message, exceptionId };
}

/** fastify's own refusals: of a path, and of a body for its type, its size, its JSON. */
function frameworkError(thrown: unknown): ErrorEnvelope | undefined {
  if (!(thrown instanceof Error) || !("statusCode" in thrown) || thrown instanceof WireError)
    return undefined;
  const statusCode = thrown.statusCode;
  if (typeof statusCode !== "number" || statusCode < 400 || statusCode >= 500) return undefined;
  if (statusCode === 413) {
    const message = `The body is too large: at most ${BODY_BYTES_MAX} bytes are taken.`;
    return { statusCode, error: "stream.api.payloadTooLarge", message };
  }
  if (statusCode === 415) {
    const message = "The body's content type is not supported: expected application/json.";
    return { statusCode, error: "stream.api.unsupportedMediaType", message };
  }
  return { statusCode, error: "stream.api.badRequest", message: sentence(thrown.message) };
}

/** What fastify refuses before there is a route: option `frameworkErrors` of whoever mounts the API. */
export function pathRefusals(random: Random): (error: Error, request: unknown, reply: FastifyReply) => void {
  const ids = new RequestIds(random);
  return (error, _request, reply) => {
    const id = ids.next();
    const envelope = envelopeOf(error, id);
    void reply.header("x-request-id", id).code(envelope.statusCode).send(envelope);
  };
}

/** First letter upper case, a period at the end. */
function sentence(text: string): string {
  const capital = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(capital) ? capital : `${capital}.`;
}

function camelCase(code: string): string {
  return code.toLowerCase().replace(/_([a-z])/g, (_match, letter: string) => letter.toUpperCase());
}
