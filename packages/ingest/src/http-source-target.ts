// Which of the HTTP source's routes a request is for (keboola-stream specification 2.1), from the bytes of its path.
import { latin1, type RequestHead } from "@millrace/base";
import { DISABLED_SOURCE, NO_SOURCE_FOUND, ROUTE_NOT_FOUND, type DoorError } from "./http-source-answers.ts";
import type { SourceIndex } from "./http-source-index.ts";
import { isSecret, type SourceRoute } from "./http-source-routes.ts";

export type DoorTarget = { readonly kind: "record"; readonly route: SourceRoute } | OtherTarget;

/** What is answered without a look at the body. */
export type OtherTarget =
  | { readonly kind: "health" }
  | { readonly kind: "options" }
  | { readonly kind: "allow"; readonly allow: string }
  | { readonly kind: "notAllowed"; readonly allow: string }
  /** Not an ingest path: the process may refuse the caller, or have a page there (metrics, readiness). */
  | { readonly kind: "page"; readonly otherwise: OtherTarget }
  | { readonly kind: "error"; readonly error: DoorError };

const STREAM = Uint8Array.from("/stream/", (c) => c.charCodeAt(0));
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

export function targetOf(head: RequestHead, table: SourceIndex<SourceRoute>): DoorTarget {
  const { bytes, pathBegin, pathEnd, method } = head;
  if (!startsWithStream(bytes, pathBegin, pathEnd)) return { kind: "page", otherwise: otherTarget(head) };
  const project = pathBegin + STREAM.length;
  const source = segmentEnd(bytes, project, pathEnd) + 1;
  const secret = segmentEnd(bytes, source, pathEnd) + 1;
  const isIngest = secret < pathEnd && source - 1 > project && secret - 1 > source;
  if (!isIngest || segmentEnd(bytes, secret, pathEnd) !== pathEnd) return UNKNOWN_ROUTE;
  if (method === "OPTIONS") return OPTIONS;
  if (method !== "POST") return INGEST_NOT_ALLOWED;
  let found: SourceRoute | undefined;
  const routes = table.find(bytes, project, secret - 1);
  if (routes.length === 0) isSecret(NOBODY, bytes, secret, pathEnd);
  for (const route of routes) if (isSecret(route.secret, bytes, secret, pathEnd)) found = route;
  if (found !== undefined) return found.isEnabled ? { kind: "record", route: found } : DISABLED;
  return isNumber(bytes, project, source - 1) ? UNKNOWN_SOURCE : invalidProject(bytes, project, source - 1);
}

function otherTarget({ method, path }: RequestHead): OtherTarget {
  if (path !== "/health-check") return UNKNOWN_ROUTE;
  if (method === "GET") return HEALTH;
  return method === "OPTIONS" ? HEALTH_OPTIONS : HEALTH_NOT_ALLOWED;
}

function invalidProject(bytes: Uint8Array, begin: number, end: number): OtherTarget {
  const message = `Invalid project ID "${latin1(bytes, begin, end)}".`;
  return { kind: "error", error: { status: 400, name: "badRequest", message } };
}

function startsWithStream(bytes: Uint8Array, begin: number, end: number): boolean {
  if (end - begin < STREAM.length) return false;
  for (let i = 0; i < STREAM.length; i++) if (bytes[begin + i] !== STREAM[i]) return false;
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
