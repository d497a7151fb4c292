// Bytes of HTTP/1.1 (RFC 9110, RFC 9112): which byte may stand where, as tables, and the words that the parser knows.
import type { Method } from "./http1-head.ts";

/** tchar. */
export const TOKEN = new Uint8Array(256);
for (const c of "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") {
  TOKEN[c.charCodeAt(0)] = 1;
}
/** Field content: VCHAR, obs-text, space, tab. */
export const VALUE = new Uint8Array(256);
for (let i = 0x20; i < 256; i++) VALUE[i] = i === 0x7f ? 0 : 1;
VALUE[0x09] = 1;
/** Request target: visible ASCII without `#` and `?`. */
export const TARGET = new Uint8Array(256);
for (let i = 0x21; i < 0x7f; i++) TARGET[i] = 1;
TARGET[0x23] = 0;
TARGET[0x3f] = 0;
/** Host: reg-name, address, port. */
export const HOST = new Uint8Array(256);
for (const c of "-._~%!$&'()*+,;=:[]0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") {
  HOST[c.charCodeAt(0)] = 1;
}
/** Value of a hex digit plus one; 0 for any other byte. */
export const HEX_VALUE = new Uint8Array(256);
for (let i = 0; i < 16; i++) {
  HEX_VALUE[i.toString(16).charCodeAt(0)] = i + 1;
  HEX_VALUE[i.toString(16).toUpperCase().charCodeAt(0)] = i + 1;
}

const METHODS: readonly Method[] = [
  "POST",
  "GET",
  "OPTIONS",
  "HEAD",
  "PUT",
  "DELETE",
  "PATCH",
  "TRACE",
  "CONNECT",
];
const METHOD_BYTES = METHODS.map((method) => lowerBytes(method, false));

/** The method that bytes[begin, end) name, exactly; with `isPrefix` one whose name begins so. */
export function methodOf(
  bytes: Uint8Array,
  begin: number,
  end: number,
  isPrefix: boolean,
): Method | undefined {
  const length = end - begin;
  for (let i = 0; i < METHODS.length; i++) {
    const name = METHOD_BYTES[i]!;
    if (isPrefix ? name.length < length : name.length !== length) continue;
    let at = 0;
    while (at < length && bytes[begin + at] === name[at]) at++;
    if (at === length) return METHODS[i];
  }
  return undefined;
}

function lowerBytes(word: string, lower: boolean): Uint8Array {
  return Uint8Array.from(lower ? word.toLowerCase() : word, (c) => c.charCodeAt(0));
}

/** Names and values are compared without case. Letters, digits and hyphens only. */
export const WORD = {
  host: lowerBytes("host", true),
  expect: lowerBytes("expect", true),
  connection: lowerBytes("connection", true),
  contentType: lowerBytes("content-type", true),
  contentLength: lowerBytes("content-length", true),
  contentEncoding: lowerBytes("content-encoding", true),
  idempotencyKey: lowerBytes("idempotency-key", true),
  transferEncoding: lowerBytes("transfer-encoding", true),
  chunked: lowerBytes("chunked", true),
  continue: lowerBytes("100-continue", true),
  close: lowerBytes("close", true),
  keepAlive: lowerBytes("keep-alive", true),
} as const;

/** Whether bytes[begin, end) is `word` without regard to case. The bytes must be field content. */
export function isWord(bytes: Uint8Array, begin: number, end: number, word: Uint8Array): boolean {
  if (end - begin !== word.length) return false;
  for (let i = 0; i < word.length; i++) {
    const byte = bytes[begin + i]!;
    // Setting the case bit may not turn a byte that is no letter into one of the word's.
    if ((byte >= 0x40 ? byte | 0x20 : byte) !== word[i]) return false;
  }
  return true;
}
