// Which PUTs are plain: read and answered without node:http, which costs several times what such an append does. What
// is plain reads the same there (http1-head-parser.ts of base); of anything else nothing is judged here, node:http has
// to look at it.
import { headerLines, type HeadParser, type RequestHead } from "@millrace/base";
import type { AppendPreamble } from "@millrace/protocol";
import { parseAppendRequest } from "./http-append.ts";

export interface PlainPut {
  /** The request up to its body. */
  readonly head: Uint8Array;
  readonly url: string;
  readonly host: string;
  readonly authorization: string | undefined;
  /** Valid. */
  readonly append: AppendPreamble;
  readonly bodyBytes: number;
}

/** Heads of plain requests. node:http takes twice as much. */
export const PLAIN_HEAD_BYTES_MAX = 8192;
/** Bodies: as many are collected before an append begins (http-append.ts). */
export const PLAIN_BODY_BYTES_MAX = 256 * 1024;

/** Segments that neither decode nor clean to another path, and are no door of the gateway's own. */
const PATH = /^\/(?!v1\/|debug\/|(?:livez|readyz|metrics)$)[\w\-+=~@:;,!$&'()*./]+$/;
const UNCLEAN = /\/[./]|\/$/;

/** Headers that say how a connection goes on or who sent the request there. */
const TELLING: ReadonlySet<string> = new Set([
  "connection",
  "expect",
  "origin",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/** The plain PUT that begins at `at`; undefined when it is none, or its head is not whole. */
export function readPlainPut(parser: HeadParser, bytes: Uint8Array, at: number): PlainPut | undefined {
  const after = parser.parse(bytes, at, bytes.length);
  return after > 0 ? plainPutOf(parser.head, bytes.slice(at, after)) : undefined;
}

function plainPutOf(head: RequestHead, bytes: Uint8Array): PlainPut | undefined {
  const { method, minor, contentLength: bodyBytes } = head;
  if (method !== "PUT" || minor !== 1 || bodyBytes < 0 || bodyBytes > PLAIN_BODY_BYTES_MAX) return undefined;
  // Neither an absolute target nor a query.
  const isPath = head.bytes[head.pathBegin - 1] === 0x20 && head.bytes[head.pathEnd] === 0x20;
  const url = head.path;
  if (!isPath || !PATH.test(url) || UNCLEAN.test(url)) return undefined;
  let host: string | undefined;
  let authorization: string | undefined;
  for (const [line, value] of headerLines(head)) {
    const name = line.toLowerCase();
    if (name === "host") host = value;
    else if (name === "authorization" && authorization === undefined) authorization = value;
    else if (name === "authorization") return undefined;
    else if (TELLING.has(name) && !(name === "connection" && value.toLowerCase() === "keep-alive"))
      return undefined;
  }
  if (host === undefined) return undefined;
  try {
    const append = parseAppendRequest(url.slice(1), "");
    return { head: bytes, url, host, authorization, append, bodyBytes };
  } catch {
    return undefined; // Its refusal is told by whoever looks next.
  }
}
