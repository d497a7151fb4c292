// The SQL door: POST /sql over HTTP/1.1, with the health and metrics addresses that every component has.
import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import {
  concatBytes,
  refuseHost,
  strictText,
  WireError,
  type HostPolicy,
  type Logger,
  type MetricsRegistry,
  type TokenBook,
  SECONDS_BUCKETS,
  RequestIds,
  type Clock,
  type Random,
} from "@millrace/base";
import { encoderFor, OFFERED_TYPES } from "./result-encoders.ts";
import {
  DEFAULT_LIMITS,
  MAX_QUERY_BYTES,
  type ParameterValue,
  type Query,
  type QueryRunner,
} from "./query-runner.ts";

/** Time without a byte of a result being read, after which the connection is given up. */
const SEND_IDLE_MS = 60_000;

export interface SqlDoor {
  readonly runner: QueryRunner;
  /** What else stands against being ready. */
  readonly problems: () => readonly string[];
  readonly hostPolicy: HostPolicy;
  /** Whom queries may come from; undefined: it is not known yet. */
  readonly tokens: () => TokenBook | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
}

export function sqlRequestListener(door: SqlDoor): RequestListener {
  const seconds = door.metrics.histogram(
    "millrace_sql_query_seconds",
    "Time of SQL queries",
    SECONDS_BUCKETS,
  );
  const queries = door.metrics.counter("millrace_sql_queries_total", "SQL queries by outcome");
  const ids = new RequestIds(door.random);
  return (request, response) => {
    const requestId = ids.next();
    response.setHeader("x-request-id", requestId);
    const startMs = door.clock.monotonicMs();
    answer(door, request, response)
      .then((isQuery) => {
        if (!isQuery) return;
        queries.add(1, { outcome: "ok" });
        seconds.observe((door.clock.monotonicMs() - startMs) / 1000);
      })
      .catch((thrown: unknown) => {
        if (response.destroyed) return;
        const error = WireError.from(thrown);
        queries.add(1, { outcome: error.code.toLowerCase() });
        if (error.status >= 500) door.logger.error("sql-request-failed", { requestId, error });
        sendError(response, error);
      });
  };
}

/** @returns whether it was a query */
async function answer(door: SqlDoor, request: IncomingMessage, response: ServerResponse): Promise<boolean> {
  const refused = refuseHost(request.headers.host, request.headers.origin, door.hostPolicy);
  if (refused !== undefined) throw new WireError("FORBIDDEN", refused);
  const path = (request.url ?? "/").split("?", 1)[0];
  if (path !== "/livez" && path !== "/readyz") checkToken(door, request, response);
  switch (path) {
    case "/sql":
      await answerQuery(door, request, response);
      return true;
    case "/livez":
      send(response, 200, "text/plain; charset=utf-8", "ok\n");
      return false;
    case "/readyz":
      await door.runner.probe();
      if (door.problems().length > 0) {
        send(response, 503, "text/plain; charset=utf-8", `${door.problems().join("\n")}\n`);
      } else send(response, 200, "text/plain; charset=utf-8", "ready\n");
      return false;
    case "/metrics":
      send(response, 200, "text/plain; version=0.0.4; charset=utf-8", door.metrics.render());
      return false;
    default:
      throw new WireError("NOT_FOUND", `no such path: ${path}; SQL goes to POST /sql`);
  }
}

function checkToken(door: SqlDoor, request: IncomingMessage, response: ServerResponse): void {
  const tokens = door.tokens();
  if (tokens === undefined) throw new WireError("UNAVAILABLE", "the platform is starting");
  if (tokens.bearerOf(request.headers.authorization) !== undefined) return;
  response.setHeader("www-authenticate", "Bearer");
  throw new WireError("UNAUTHENTICATED", "a token is required: Authorization: Bearer <token>");
}

async function answerQuery(door: SqlDoor, request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (request.method !== "POST") {
    response.setHeader("allow", "POST");
    throw new WireError("METHOD_NOT_ALLOWED", `${request.method} is not allowed: use POST`);
  }
  const contentType = request.headers["content-type"]?.split(";", 1)[0]?.trim().toLowerCase();
  if (contentType !== "application/json") {
    throw new WireError("UNSUPPORTED_MEDIA_TYPE", 'the body must be application/json: {"query":"select …"}');
  }
  const makeEncoder = encoderFor(request.headers.accept);
  if (makeEncoder === undefined) {
    throw new WireError("INVALID_ARGUMENT", `Accept is none of ${OFFERED_TYPES.join(", ")}`);
  }
  const query = parseQuery(await readBody(request));
  const abort = new AbortController();
  const onClose = (): void => abort.abort(new WireError("REQUEST_TIMEOUT", "the client went away"));
  response.on("close", onClose);
  // It may have gone while its last bytes were read.
  if (response.destroyed) onClose();
  try {
    const result = await door.runner.run(query, makeEncoder, abort.signal);
    response.once("close", result.release);
    if (response.destroyed) result.release();
    response.setHeader("x-row-count", result.rows);
    sendParts(response, result.contentType, result.body);
  } finally {
    response.off("close", onClose);
  }
}

async function readBody(request: IncomingMessage): Promise<string> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of request as AsyncIterable<Uint8Array>) {
    bytes += part.length;
    if (bytes > MAX_QUERY_BYTES) {
      throw new WireError("TOO_LARGE", `the request is over ${MAX_QUERY_BYTES} bytes`);
    }
    parts.push(part);
  }
  const body = strictText(concatBytes(parts));
  if (body === undefined) throw new WireError("INVALID_ARGUMENT", "the body is not UTF-8");
  return body;
}

/** Parses and checks a request's body. @throws {WireError} INVALID_ARGUMENT naming the field and its rule */
export function parseQuery(body: string): Query {
  let parsed: unknown;
  try {
    parsed = JSON.parse(body);
  } catch (error) {
    throw new WireError("INVALID_ARGUMENT", `the body is not JSON: ${(error as Error).message}`);
  }
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed))
    throw field("body", "an object");
  const { query, parameters = [], limits = {}, ...rest } = parsed as Record<string, unknown>;
  const [unknown] = Object.keys(rest);
  if (unknown !== undefined) throw field(unknown, "one of query, parameters, limits");
  if (typeof query !== "string" || query.trim() === "")
    throw field("query", "a string with one SQL statement");
  if (typeof limits !== "object" || limits === null || Array.isArray(limits)) {
    throw field("limits", "an object");
  }
  const { rows, timeMs, ...others } = limits as Record<string, unknown>;
  const [other] = Object.keys(others);
  if (other !== undefined) throw field(`limits.${other}`, "one of limits.rows, limits.timeMs");
  return {
    sql: query,
    parameters: parseParameters(parameters),
    limits: {
      rows: limit("limits.rows", rows, DEFAULT_LIMITS.rows),
      bytes: DEFAULT_LIMITS.bytes,
      timeMs: limit("limits.timeMs", timeMs, DEFAULT_LIMITS.timeMs),
    },
  };
}

/** Limits may be lowered by the caller, and raised up to ten times the default. */
function limit(name: string, value: unknown, usual: number): number {
  if (value === undefined) return usual;
  if (typeof value !== "number" || !Number.isInteger(value) || value < 1 || value > 10 * usual) {
    throw field(name, `an integer in [1, ${10 * usual}]`);
  }
  return value;
}

function parseParameters(parameters: unknown): Query["parameters"] {
  if (typeof parameters !== "object" || parameters === null)
    throw field("parameters", "an array or an object");
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== null && !["string", "number", "boolean"].includes(typeof value)) {
      throw field(`parameters.${name}`, "a string, number, boolean or null");
    }
  }
  return parameters as readonly ParameterValue[] | Readonly<Record<string, ParameterValue>>;
}

function field(name: string, expected: string): WireError {
  return new WireError("INVALID_ARGUMENT", `"${name}": expected ${expected}`);
}

function sendError(response: ServerResponse, error: WireError): void {
  const position = error.facts["position"];
  const body = { error: error.code, message: error.message, ...(position === undefined ? {} : { position }) };
  send(response, error.status, "application/json", `${JSON.stringify(body)}\n`);
}

function send(
  response: ServerResponse,
  status: number,
  contentType: string,
  body: string | Uint8Array,
): void {
  const bytes = typeof body === "string" ? Buffer.from(body) : body;
  response.writeHead(status, { "content-type": contentType, "content-length": bytes.length });
  response.end(bytes);
}

/** A result. Whoever does not read it must not hold it for ever. */
function sendParts(response: ServerResponse, contentType: string, parts: readonly Uint8Array[]): void {
  const bytes = parts.reduce((sum, part) => sum + part.length, 0);
  response.setTimeout(SEND_IDLE_MS, () => response.destroy());
  response.writeHead(200, { "content-type": contentType, "content-length": bytes });
  for (const part of parts) response.write(part);
  response.end();
}
