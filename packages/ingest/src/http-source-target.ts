// Which of the HTTP source's routes a request is for (keboola-stream specification 2.1), from the bytes of its path.
import { headerValue, latin1, utf8, type RequestHead } from "@millrace/base";
import { otlpHttpTarget, type OtlpHttpRequest, type SourceFound, type SourceLocator } from "@millrace/otlp";
import type { SourceType } from "./definitions.ts";
import {
  CLOSED_SOURCE,
  DISABLED_SOURCE,
  NO_SOURCE_FOUND,
  ROUTE_NOT_FOUND,
  type DoorError,
} from "./http-source-answers.ts";
import type { SourceIndex } from "./http-source-index.ts";
import { isSecret, type SourceRoute } from "./http-source-routes.ts";

export type DoorTarget =
  | { readonly kind: "record"; readonly route: SourceRoute }
  | { readonly kind: "otlp"; readonly request: OtlpHttpRequest<SourceRoute> }
  | OtherTarget;

/** What is answered without a look at the body. */
export type OtherTarget =
  | { readonly kind: "health" }
  | { readonly kind: "options" }
  | { readonly kind: "allow"; readonly allow: string }
  | { readonly kind: "notAllowed"; readonly allow: string }
  /** Not an ingest path: the process may refuse the caller, or have a page there (metrics, readiness). */
  | { readonly kind: "page"; readonly otherwise: OtherTarget }
  | { readonly kind: "error"; readonly error: DoorError };

const STREAM = utf8("/stream/");
const OTLP = utf8("/otlp/");
const SLASH = 0x2f;
const INGEST_ALLOW = "OPTIONS, POST";
const HEALTH_ALLOW = "GET, OPTIONS";
/** Compared with when there is no source of the name, so that its absence does not show in the time. */
const NOBODY = new Uint8Array(48).fill(0x2a);

const HEALTH: OtherTarget = { kind: "health" };
const OPTIONS: OtherTarget = { kind: "options" };
const INGEST_NOT_ALLOWED: OtherTarget = { kind: "notAllowed", allow: INGEST_ALLOW };
const HEALTH_NOT_ALLOWED: OtherTarget = { kind: "notAllowed", allow: HEALTH_ALLOW };
const HEALTH_OPTIONS: OtherTarget = { kind: "allow", allow: HEALTH_ALLOW };
const UNKNOWN_ROUTE: OtherTarget = { kind: "error", error: ROUTE_NOT_FOUND };
const UNKNOWN_SOURCE: OtherTarget = { kind: "error", error: NO_SOURCE_FOUND };
const DISABLED: OtherTarget = { kind: "error", error: DISABLED_SOURCE };
const CLOSED: OtherTarget = { kind: "error", error: CLOSED_SOURCE };

export function targetOf(head: RequestHead, table: SourceIndex<SourceRoute>): DoorTarget {
  const { bytes, pathBegin, pathEnd, method } = head;
  if (!startsWith(STREAM, bytes, pathBegin, pathEnd)) {
    if (startsWith(OTLP, bytes, pathBegin, pathEnd)) return otlpTarget(head, table);
    return { kind: "page", otherwise: otherTarget(head) };
  }
  const project = pathBegin + STREAM.length;
  const source = segmentEnd(bytes, project, pathEnd) + 1;
  const secret = segmentEnd(bytes, source, pathEnd) + 1;
  const isIngest = secret < pathEnd && source - 1 > project && secret - 1 > source;
  if (!isIngest || segmentEnd(bytes, secret, pathEnd) !== pathEnd) return UNKNOWN_ROUTE;
  if (method === "OPTIONS") return OPTIONS;
  if (method !== "POST") return INGEST_NOT_ALLOWED;
  const routes = table.find(bytes, project, secret - 1);
  const found = routeOf("http", routes, bytes, secret, pathEnd);
  if (found !== undefined) return found.isEnabled ? { kind: "record", route: found } : DISABLED;
  if (hasClosed("http", routes)) return CLOSED;
  const error = unknownSource(bytes, project, source - 1);
  return error === NO_SOURCE_FOUND ? UNKNOWN_SOURCE : { kind: "error", error };
}

/** Of sources with the same name the one of a type that has a secret: bytes[begin, end). */
function routeOf(
  type: SourceType,
  routes: readonly SourceRoute[],
  bytes: Uint8Array,
  begin: number,
  end: number,
): SourceRoute | undefined {
  let found: SourceRoute | undefined;
  if (routes.length === 0) isSecret(NOBODY, bytes, begin, end);
  for (const route of routes) {
    if (route.source.whyClosed !== undefined) continue;
    const isTheirs = isSecret(route.secret, bytes, begin, end);
    if (isTheirs && route.source.type === type) found = route;
  }
  return found;
}

/** A source of the type whose secret may be the one that is not known. */
function hasClosed(type: SourceType, routes: readonly SourceRoute[]): boolean {
  return routes.some(({ source }) => source.type === type && source.whyClosed !== undefined);
}

function otlpTarget(head: RequestHead, table: SourceIndex<SourceRoute>): DoorTarget {
  const { method, path, contentType, contentEncoding } = head;
  const authorization = headerValue(head, "authorization");
  const target = otlpHttpTarget(
    { method, path, contentType, contentEncoding, authorization },
    { find: (locator) => otlpRoute(locator, table) },
  );
  if (target === undefined) return UNKNOWN_ROUTE;
  switch (target.kind) {
    case "options":
      return OPTIONS;
    case "notAllowed":
      return INGEST_NOT_ALLOWED;
    case "refused":
      return { kind: "error", error: target.refusal };
    case "export":
      return { kind: "otlp", request: target.request };
  }
}

function otlpRoute(
  { projectId, sourceId, secret }: SourceLocator,
  table: SourceIndex<SourceRoute>,
): SourceFound<SourceRoute> {
  const project = utf8(projectId);
  const name = utf8(`${projectId}/${sourceId}`);
  const given = utf8(secret);
  const routes = table.find(name, 0, name.length);
  const source = routeOf("otlp", routes, given, 0, given.length);
  if (source === undefined && hasClosed("otlp", routes)) return { kind: "refused", refusal: CLOSED_SOURCE };
  if (source === undefined) return { kind: "refused", refusal: unknownSource(project, 0, project.length) };
  return source.isEnabled ? { kind: "source", source } : { kind: "refused", refusal: DISABLED_SOURCE };
}

function otherTarget({ method, path }: RequestHead): OtherTarget {
  if (path !== "/health-check") return UNKNOWN_ROUTE;
  if (method === "GET") return HEALTH;
  return method === "OPTIONS" ? HEALTH_OPTIONS : HEALTH_NOT_ALLOWED;
}

/** @param begin of the project in `bytes` */
function unknownSource(bytes: Uint8Array, begin: number, end: number): DoorError {
  if (isNumber(bytes, begin, end)) return NO_SOURCE_FOUND;
  const message = `Invalid project ID "${latin1(bytes, begin, end)}".`;
  return { status: 400, name: "badRequest", message };
}

function startsWith(word: Uint8Array, bytes: Uint8Array, begin: number, end: number): boolean {
  if (end - begin < word.length) return false;
  for (let i = 0; i < word.length; i++) if (bytes[begin + i] !== word[i]) return false;
  return true;
}

/** Position of the next slash, or the end. */
function segmentEnd(bytes: Uint8Array, begin: number, end: number): number {
  let at = begin;
  while (at < end && bytes[at] !== SLASH) at++;
  return at;
}

function isNumber(bytes: Uint8Array, begin: number, end: number): boolean {
  for (let i = begin; i < end; i++) if (bytes[i]! < 0x30 || bytes[i]! > 0x39) return false;
  return end - begin <= 15;
}
