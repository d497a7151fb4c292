// OTLP over HTTP without a socket: what a request is for, from its head alone, and what its body is answered with.
//
// W1 Nothing of a body is looked at before the source is known, and its secret right.
// W2 A success or partial success is encoded as the request was. When nothing was taken the answer is the worst status
//    and an empty body, so that the client may send all of it again.
import { exportBody } from "./export-body.ts";
import type { Signal } from "./flat-records.ts";
import type { OtlpPorts, OtlpRefusal, SourceFound } from "./otlp-door.ts";
import type { OtlpEncoding } from "./part-opening.ts";
import { encodeResponse, isRejected } from "./partial-success.ts";

/** What the head of a request says. */
export interface OtlpHttpHead {
  readonly method: string;
  readonly path: string;
  /** Empty when there is none. */
  readonly contentType: string;
  readonly contentEncoding: string;
  readonly authorization: string | undefined;
}

/** Whom a request says that it is for. */
export interface SourceLocator {
  readonly projectId: string;
  readonly sourceId: string;
  /** Of the path, else of `Authorization: Bearer`; empty when there is neither. */
  readonly secret: string;
}

export interface OtlpHttpPorts<S> extends OtlpPorts<S> {
  /** In a time that does not tell how much of a secret is right. */
  find(locator: SourceLocator): SourceFound<S>;
}

/** What can be said without the body. */
export type OtlpHttpTarget<S> =
  | { readonly kind: "options" }
  | { readonly kind: "notAllowed"; readonly allow: string }
  | { readonly kind: "refused"; readonly refusal: OtlpRefusal }
  | { readonly kind: "export"; readonly request: OtlpHttpRequest<S> };

export interface OtlpHttpRequest<S> {
  readonly source: S;
  readonly signal: Signal;
  readonly encoding: OtlpEncoding;
  readonly isGzip: boolean;
}

export interface OtlpHttpAnswer {
  readonly status: number;
  /** Undefined: the body is empty. */
  readonly contentType: string | undefined;
  readonly body: Uint8Array;
  readonly retryAfter: number | undefined;
}

export type OtlpHttpOutcome =
  | { readonly kind: "answer"; readonly answer: OtlpHttpAnswer }
  | { readonly kind: "refused"; readonly refusal: OtlpRefusal };

const PATH = /^\/otlp\/([^/]+)\/([^/]+)(?:\/([^/]+))?\/v1\/(logs|metrics|traces)$/;
const BEARER = /^Bearer +(\S+) *$/i;
const ALLOW = "OPTIONS, POST";
const PROTOBUF_TYPE = "application/x-protobuf";
const ENCODINGS: ReadonlyMap<string, OtlpEncoding> = new Map([
  [PROTOBUF_TYPE, "protobuf"],
  ["application/protobuf", "protobuf"],
  ["application/json", "json"],
]);
const RETRY_SECONDS = 1;

/** @returns undefined when the path is none of OTLP */
export function otlpHttpTarget<S>(
  head: OtlpHttpHead,
  ports: Pick<OtlpHttpPorts<S>, "find">,
): OtlpHttpTarget<S> | undefined {
  const match = PATH.exec(head.path);
  if (match === null) return undefined;
  if (head.method === "OPTIONS") return { kind: "options" };
  if (head.method !== "POST") return { kind: "notAllowed", allow: ALLOW };
  const [, projectId = "", sourceId = "", inPath, signal] = match;
  const secret = inPath ?? BEARER.exec(head.authorization ?? "")?.[1] ?? "";
  const found = ports.find({ projectId, sourceId, secret });
  if (found.kind === "refused") return found; // W1
  const encoding = ENCODINGS.get(head.contentType.split(";", 1)[0]!.trim().toLowerCase());
  if (encoding === undefined) {
    return unsupported(
      `Content type "${head.contentType}" is not supported, expected "application/x-protobuf" or "application/json".`,
    );
  }
  const isGzip = gzipOf(head.contentEncoding);
  if (isGzip === undefined) {
    return unsupported(`Content encoding "${head.contentEncoding}" is not supported, expected gzip or none.`);
  }
  // The path has no other signals.
  return { kind: "export", request: { source: found.source, signal: signal as Signal, encoding, isGzip } };
}

export async function exportOverHttp<S>(
  request: OtlpHttpRequest<S>,
  body: Uint8Array,
  ports: OtlpPorts<S>,
): Promise<OtlpHttpOutcome> {
  const { source, signal, encoding } = request;
  const exported = await exportBody(source, { ...request, bytes: body }, ports);
  if (exported.kind === "refused") return exported;
  const { outcome } = exported;
  if (!isRejected(outcome)) {
    const contentType = encoding === "json" ? "application/json" : PROTOBUF_TYPE;
    const encoded = encodeResponse(signal, encoding, outcome);
    return { kind: "answer", answer: { status: 200, contentType, body: encoded, retryAfter: undefined } };
  }
  const { status = 500, retryAfter } = outcome.failure ?? {};
  const after = status === 429 ? (retryAfter ?? RETRY_SECONDS) : retryAfter;
  const answer = { status, contentType: undefined, body: new Uint8Array(0), retryAfter: after };
  return { kind: "answer", answer }; // W2
}

/** @returns undefined for an encoding that is not known */
function gzipOf(contentEncoding: string): boolean | undefined {
  const name = contentEncoding.trim().toLowerCase();
  if (name === "" || name === "identity") return false;
  return name === "gzip" || name === "x-gzip" ? true : undefined;
}

function unsupported(message: string): { kind: "refused"; refusal: OtlpRefusal } {
  return { kind: "refused", refusal: { status: 415, name: "unsupportedMediaType", message } };
}
