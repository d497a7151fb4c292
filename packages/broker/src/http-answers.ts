// What answers of the HTTP doors share: statuses, headers of a route, errors as text.
import type { IncomingMessage, ServerResponse } from "node:http";
import { CODES, WireError, type Code } from "@millrace/base";
import { cleanPath, routeToken, type Header, type Route, type Status } from "@millrace/protocol";

/** Where the protocol's own gateway says 500 to most of these, they say what is the matter. */
const HTTP_STATUS: Record<Status, number> = {
  OK: 200,
  JOURNAL_NOT_FOUND: 404,
  NO_JOURNAL_PRIMARY_BROKER: 503,
  NOT_JOURNAL_PRIMARY_BROKER: 421,
  INSUFFICIENT_JOURNAL_BROKERS: 503,
  NOT_JOURNAL_BROKER: 421,
  OFFSET_NOT_YET_AVAILABLE: 416,
  WRONG_ROUTE: 503,
  PROPOSAL_MISMATCH: 503,
  ETCD_TRANSACTION_FAILED: 409,
  NOT_ALLOWED: 403,
  WRONG_APPEND_OFFSET: 409,
  INDEX_HAS_GREATER_OFFSET: 409,
  REGISTER_MISMATCH: 409,
  SUSPENDED: 409,
  FRAGMENT_STORE_UNHEALTHY: 503,
};

export function httpStatusOf(status: Status): number {
  return HTTP_STATUS[status];
}

/** An answer whose body is one line of text, or none. */
export interface TextAnswer {
  readonly status: number;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: string;
}

/** @param code of the failure; what may have happened already does not ask to be repeated */
export function textAnswer(
  status: number,
  line: string,
  first: TextAnswer["headers"] = [],
  code?: Code,
): TextAnswer {
  const body = `${line}\n`;
  const headers: [string, string][] = [
    ["Content-Type", "text/plain; charset=utf-8"],
    ["X-Content-Type-Options", "nosniff"],
    ["Content-Length", String(Buffer.byteLength(body))],
  ];
  const isRefused = status === 429 || status === 503 || status === 507;
  if (isRefused && code !== "OUTCOME_UNKNOWN") headers.push(["Retry-After", "1"]);
  return { status, headers: [...first, ...headers], body };
}

/**
 * The same under a clean path. Of all redirects this one alone makes every client repeat its method and its body.
 * @param location encoded
 */
export function answerMoved(response: ServerResponse, method: string | undefined, location: string): void {
  const isRead = method === "GET" || method === "HEAD";
  const href = location.replaceAll("&", "&amp;").replaceAll("'", "&#39;");
  const body = isRead ? `<a href="${href}">Temporary Redirect</a>.\n\n` : "";
  const type = isRead ? { "Content-Type": "text/html; charset=utf-8" } : {};
  response.writeHead(307, { Location: location, ...type, "Content-Length": Buffer.byteLength(body) });
  response.end(method === "HEAD" ? "" : body);
}

/** @param thrown an InvariantError is thrown on: it ends the process */
export function errorAnswer(thrown: unknown): TextAnswer {
  const error = WireError.from(thrown);
  const headers: [string, string][] = [["X-Error-Code", error.code]];
  if (error.code === "UNAUTHENTICATED") headers.push(["WWW-Authenticate", "Bearer"]);
  return textAnswer(error.status, oneLine(error.message), headers, error.code);
}

/** Answers, as long as nothing was sent yet; else cuts the connection. */
export function sendAnswer(response: ServerResponse, { status, headers, body }: TextAnswer): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  for (const [name, value] of headers) response.setHeader(name, value);
  response.writeHead(status).end(body);
}

export function answerText(response: ServerResponse, status: number, line: string): void {
  sendAnswer(response, textAnswer(status, line));
}

/** @param thrown an InvariantError is thrown on: it ends the process */
export function answerError(response: ServerResponse, thrown: unknown): void {
  sendAnswer(response, errorAnswer(thrown));
}

/** Headers that say who serves the journal. @param url of the request, with or without its query */
export function routeHeaders({ route }: Header, url: string): [name: string, value: string][] {
  if (route.members.length === 0) return [];
  const token: [string, string] = ["X-Route-Token", tokenOf(route)];
  const endpoint = route.endpoints[route.primary];
  if (endpoint === undefined || endpoint === "") return [token];
  return [token, ["Location", locationOf(endpoint, url)]];
}

export function setRouteHeaders(request: IncomingMessage, response: ServerResponse, header: Header): void {
  for (const [name, value] of routeHeaders(header, request.url ?? "/")) response.setHeader(name, value);
}

/** Fit for a header: no line breaks, nothing beyond Latin-1. */
export function headerValue(value: string): string {
  return value.replaceAll(/[^\t\x20-\x7e]/g, "?");
}

/** Routes are kept between requests, and so is their text. */
const tokens = new WeakMap<Route, string>();

function tokenOf(route: Route): string {
  let token = tokens.get(route);
  if (token === undefined) {
    token = headerValue(routeToken(route));
    tokens.set(route, token);
  }
  return token;
}

function oneLine(message: string): string {
  return message.replaceAll(/[\r\n]+/g, " ");
}

let lastLocation = { endpoint: "", url: "", location: "" };

/** The request's path at another broker. Remembered, because most requests in a row want the same. */
function locationOf(endpoint: string, url: string): string {
  if (lastLocation.endpoint === endpoint && lastLocation.url === url) return lastLocation.location;
  const path = url.split("?", 1)[0]!;
  const base = new URL(endpoint);
  base.pathname = cleanPath(`${base.pathname}/${path}`);
  lastLocation = { endpoint, url, location: base.href };
  return base.href;
}

/** gRPC's number and name for a code, as REST errors carry them. */
export function grpcCodeOf({ code, status }: WireError): { readonly code: number; readonly name: string } {
  switch (code) {
    case "INVALID_ARGUMENT":
      return { code: 3, name: "Invalid Argument" };
    case "UNAUTHENTICATED":
      return { code: 16, name: "Unauthenticated" };
    case "FORBIDDEN":
      return { code: 7, name: "Permission Denied" };
    case "INTERNAL":
      return { code: 13, name: "Internal" };
    default:
      break;
  }
  if (status === 404) return { code: 5, name: "Not Found" };
  if (status === 409) return { code: 9, name: "Failed Precondition" };
  if (status === 429 || status === 507) return { code: 8, name: "Resource Exhausted" };
  return CODES[code].retry === "never" ? { code: 2, name: "Unknown" } : { code: 14, name: "Unavailable" };
}
