// Everything that the HTTP source says (keboola-stream specification 2.1, 2.4), with CORS on what a browser sends.
import { CODES, RequestIds, type Counter, type Metrics, type Random, type WireError } from "@millrace/base";
import type { OtlpHttpAnswer } from "@millrace/otlp";
import { encodeAnswer, type Answer } from "./http1-answer.ts";
import { SinkGone } from "./publisher.ts";

/** An error by the name that clients know it by. */
export interface DoorError {
  readonly status: number;
  /** Without `stream.in.`. */
  readonly name: string;
  readonly message: string;
  /** Seconds after which the same request may succeed. */
  readonly retryAfter?: number;
}

export const ROUTE_NOT_FOUND: DoorError = {
  status: 404,
  name: "routeNotFound",
  message: "Not found, please send data using POST /stream/<projectID>/<sourceID>/<secret>",
};
export const NO_SOURCE_FOUND: DoorError = {
  status: 404,
  name: "noSourceFound",
  message: "The specified combination of projectID, sourceID and secret was not found.",
};
export const DISABLED_SOURCE: DoorError = {
  status: 404,
  name: "disabledSource",
  message: "The specified source is disabled in all branches.",
};
/** Its secret is sealed with a key that is not here: who sends it cannot be told from others. */
export const CLOSED_SOURCE: DoorError = {
  status: 503,
  name: "pipelineNotReady",
  message: "The secret of the source cannot be opened now: the key that it is sealed with is not here.",
  retryAfter: 5,
};
export const SHUTDOWN: DoorError = {
  status: 503,
  name: "shutdown",
  message: "Node is shutting down.",
  retryAfter: 1,
};

/** A page that the process serves on every listener: metrics, readiness. */
export interface DoorPage {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
  /** Of a refusal: how to authenticate. */
  readonly challenge?: string;
}

type Headers = Answer["headers"];

const SERVER: Headers = [["Server", "Millrace"]];
const CORS: Headers = [
  ["Access-Control-Allow-Origin", "*"],
  ["Access-Control-Expose-Headers", "*"],
];
const TEXT: Headers = [["Content-Type", "text/plain"]];
const JSON_TYPE: Headers = [["Content-Type", "application/json"]];

export class Answers {
  readonly #ids: RequestIds;
  readonly #refused: Counter;
  readonly #rejected: Counter;

  constructor(random: Random, metrics: Metrics) {
    this.#ids = new RequestIds(random);
    this.#refused = metrics.counter(
      "millrace_ingest_requests_refused_total",
      "Requests that the HTTP source refused or failed, by status",
    );
    this.#rejected = metrics.counter(
      "millrace_ingest_records_rejected_total",
      "Records of batches that were not accepted, though others of their batch may have been",
    );
  }

  /** Records of a batch that went to no journal. */
  rejected(records: number): void {
    this.#rejected.add(records);
  }

  /** The plain answer to a record: 200 when its append was waited for, 202 when not. */
  accepted(status: 200 | 202, isLast: boolean): string {
    if (isLast) return this.#encode({ status, headers: [...CORS, ...TEXT], body: "OK" }, true);
    return (status === 200 ? OK_HEAD : ACCEPTED_HEAD) + this.#ids.next() + OK_TAIL;
  }

  health(isLast: boolean): string {
    return this.#encode({ status: 200, headers: TEXT, body: "OK\n" }, isLast);
  }

  /** Answer to OPTIONS of an ingest path. */
  options(isLast: boolean): string {
    const headers: Headers = [
      ["Allow", "OPTIONS, POST"],
      ["Access-Control-Allow-Methods", "OPTIONS, POST"],
      ["Access-Control-Allow-Headers", "*"],
      ...CORS,
    ];
    return this.#encode({ status: 200, headers, body: "" }, isLast);
  }

  /** A known path with another method. */
  notAllowed(allow: string, isLast: boolean): string {
    const cors = allow.includes("POST") ? CORS : [];
    this.#refuse(405);
    return this.#encode({ status: 405, headers: [["Allow", allow], ...cors], body: "" }, isLast);
  }

  allow(allow: string, isLast: boolean): string {
    return this.#encode({ status: 200, headers: [["Allow", allow]], body: "" }, isLast);
  }

  page({ status, contentType, body, challenge }: DoorPage, isLast: boolean): string {
    const challenges: Headers = challenge === undefined ? [] : [["WWW-Authenticate", challenge]];
    return this.#encode({ status, headers: [["Content-Type", contentType], ...challenges], body }, isLast);
  }

  /** What became of a request of OTLP: a message, or nothing of a request that may be sent again. */
  otlp({ status, contentType, body, retryAfter }: OtlpHttpAnswer, isLast: boolean): string {
    if (status >= 400) this.#refuse(status);
    const type: Headers = contentType === undefined ? [] : [["Content-Type", contentType]];
    return this.#encode({ status, headers: [...CORS, ...type, ...retryHeader(retryAfter)], body }, isLast);
  }

  error(error: DoorError, isLast: boolean): string {
    const { status, name, message } = error;
    return this.json(
      status,
      { statusCode: status, error: `stream.in.${name}`, message },
      isLast,
      error.retryAfter,
    );
  }

  /** @param value indented by two, as the specification has it */
  json(status: number, value: object, isLast: boolean, retryAfter?: number): string {
    if (status >= 400) this.#refuse(status);
    const body = JSON.stringify(value, undefined, 2).replaceAll("<", "\\u003c").replaceAll(">", "\\u003e");
    const headers: Headers = [...CORS, ...JSON_TYPE, ...retryHeader(retryAfter)];
    return this.#encode({ status, headers, body: `${body}\n` }, isLast);
  }

  #refuse(status: number): void {
    this.#refused.add(1, { status: String(status) });
  }

  #encode(answer: Answer, isLast: boolean): string {
    const headers: Headers = [...SERVER, ["X-Request-Id", this.#ids.next()], ...answer.headers];
    return encodeAnswer({ ...answer, headers }, isLast);
  }
}

function retryHeader(seconds: number | undefined): Headers {
  return seconds === undefined ? [] : [["Retry-After", String(seconds)]];
}

const OK_TAIL =
  "\r\nAccess-Control-Allow-Origin: *\r\nAccess-Control-Expose-Headers: *\r\nContent-Type: text/plain\r\n" +
  "Content-Length: 2\r\n\r\nOK";
const OK_HEAD = "HTTP/1.1 200 OK\r\nServer: Millrace\r\nX-Request-Id: ";
const ACCEPTED_HEAD = "HTTP/1.1 202 Accepted\r\nServer: Millrace\r\nX-Request-Id: ";

/** What a client is told when its rows were not appended. */
export function appendError(failure: WireError): DoorError {
  const { status, retry } = CODES[failure.code];
  if (failure instanceof SinkGone)
    return { status, name: "sinkNotFound", message: sentence(failure.message) };
  const retryAfter = retry === "never" ? {} : { retryAfter: failure.code === "DISK_FULL" ? 5 : 1 };
  switch (failure.code) {
    case "OVERLOADED":
      return { status, name: "overloaded", message: sentence(failure.message), ...retryAfter };
    case "DISK_FULL":
      return { status, name: "insufficientStorage", message: "The disk is full.", ...retryAfter };
    case "SHUTTING_DOWN":
      return SHUTDOWN;
    case "OUTCOME_UNKNOWN":
      return {
        status,
        name: "outcomeUnknown",
        message: "It is not known whether it was processed.",
        ...retryAfter,
      };
    case "UNAVAILABLE":
      return { status, name: "pipelineNotReady", message: sentence(failure.message), ...retryAfter };
    default:
      return { status: 503, name: "writeFailed", message: sentence(failure.message), retryAfter: 1 };
  }
}

function sentence(text: string): string {
  const capital = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(capital) ? capital : `${capital}.`;
}
