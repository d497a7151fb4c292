// The head of a request: request line and header lines, strict and bounded. node:http is the oracle of its tests:
// whatever it refuses is refused here, and what is accepted by both is read the same way.
//
// Stricter than node:http: at most one empty line before a request line, whose parts have one space between them; eight
// methods; HTTP/1.0 and 1.1 only; targets of visible ASCII without fragment; exactly one well-formed Host in 1.1; one
// Content-Length of at most 15 digits, never beside Transfer-Encoding; one Content-Type and Content-Encoding; "chunked"
// alone and only in 1.1; no DEL in values; line ends are CRLF everywhere.
import { sizeText } from "./size-text.ts";
import { HOST, isWord, methodOf, TARGET, TOKEN, VALUE, WORD } from "./http1-grammar.ts";
import { RequestHead } from "./http1-head.ts";

/** Why a request is refused; the connection ends after the answer. */
export interface Refusal {
  readonly status: 400 | 413 | 417 | 501 | 505;
  readonly name: "badRequest" | "headerTooLarge" | "bodyTooLarge" | "notImplemented";
  readonly message: string;
}

/** Headers of a request, as in node:http's neighbourhood; each costs a few reads. */
export const HEADERS_MAX = 100;

const CR = 0x0d;
const LF = 0x0a;
const PROTOCOL = Uint8Array.from("HTTP/1.1\r\n", (c) => c.charCodeAt(0));

export class HeadParser {
  /** What was parsed last. */
  readonly head = new RequestHead();
  /** Why the last one was refused. */
  refusal: Refusal | undefined;
  readonly #headBytesMax: number;
  /** Of the head that is being read. */
  #hosts = 0;
  #close = false;

  /** @param headBytesMax of the request line and all header lines with their line ends */
  constructor(headBytesMax: number) {
    this.#headBytesMax = headBytesMax;
  }

  /** @returns the position behind the head, 0 while it is not whole, -1 when it was refused */
  parse(bytes: Uint8Array, begin: number, end: number): number {
    const { head } = this;
    head.bytes = bytes;
    const limit = begin + this.#headBytesMax;
    let at = begin;
    // RFC 9112 2.2: an empty line before the request line is ignored.
    if (bytes[at] === CR) {
      if (at + 1 === end) return 0;
      if (bytes[at + 1] !== LF) return this.#refuse("expected a line feed");
      at += 2;
    }
    at = this.#parseRequestLine(bytes, at, end);
    if (at > 0) at = this.#parseLines(bytes, at, end);
    if (at < 0) return -1;
    if ((at === 0 ? end : at) > limit) {
      const message = `Request header size is over the maximum "${sizeText(this.#headBytesMax)}".`;
      return this.#refuseWith({ status: 413, name: "headerTooLarge", message });
    }
    return at;
  }

  #parseRequestLine(bytes: Uint8Array, begin: number, end: number): number {
    const { head } = this;
    let at = begin;
    while (at < end && TOKEN[bytes[at]!] === 1) at++;
    if (at < end && at === begin) return this.#refuse("invalid method");
    const method = methodOf(bytes, begin, at, at === end || bytes[at] !== 0x20);
    if (method === undefined || (method === "CONNECT" && at < end)) {
      return this.#refuseWith({ status: 501, name: "notImplemented", message: "Method is not implemented." });
    }
    if (at === end) return 0;
    if (bytes[at] !== 0x20) return this.#refuse("invalid method");
    head.method = method;
    at++;
    head.pathBegin = at;
    while (at < end && TARGET[bytes[at]!] === 1) at++;
    head.pathEnd = head.queryBegin = head.queryEnd = at;
    if (at < end && bytes[at] === 0x3f) {
      head.queryBegin = ++at;
      while (at < end && (TARGET[bytes[at]!] === 1 || bytes[at] === 0x3f)) at++;
      head.queryEnd = at;
    }
    if (at === end) return 0;
    if (bytes[at] !== 0x20) return this.#refuse("invalid request target");
    const problem = this.#checkTarget(bytes, method);
    if (problem !== undefined) return this.#refuse(problem);
    return this.#parseVersion(bytes, at + 1, end);
  }

  /** `HTTP/1.0\r\n` or `HTTP/1.1\r\n`. */
  #parseVersion(bytes: Uint8Array, at: number, end: number): number {
    const length = Math.min(end - at, PROTOCOL.length);
    for (let i = 0; i < length; i++) {
      const byte = bytes[at + i]!;
      if (byte === PROTOCOL[i] || (PROTOCOL[i] === 0x31 && byte >= 0x30 && byte <= 0x39)) continue;
      return this.#refuse("invalid protocol version");
    }
    if (length < PROTOCOL.length) return 0;
    const minor = bytes[at + 7]! - 0x30;
    if (bytes[at + 5] !== 0x31 || minor > 1) {
      const message = "HTTP version is not supported.";
      return this.#refuseWith({ status: 505, name: "notImplemented", message });
    }
    this.head.minor = minor;
    return at + PROTOCOL.length;
  }

  /** Origin form, `*` of OPTIONS, or absolute form, whose authority is read over. */
  #checkTarget(bytes: Uint8Array, method: string): string | undefined {
    const { head } = this;
    const length = head.pathEnd - head.pathBegin;
    if (bytes[head.pathBegin] === 0x2f) return undefined;
    if (bytes[head.pathBegin] === 0x2a && length === 1 && method === "OPTIONS") return undefined;
    const match = /^https?:\/\/[^/@]+/i.exec(head.path);
    if (match === null) return "invalid request target";
    head.pathBegin += match[0].length;
    return bytes[head.pathBegin] === 0x2f ? undefined : "request target without path";
  }

  /** Header lines up to and with the empty line. */
  #parseLines(bytes: Uint8Array, begin: number, end: number): number {
    this.#startLines(begin);
    let at = begin;
    for (let count = 0; ; count++) {
      if (at === end) return 0;
      if (bytes[at] === CR) {
        if (at + 1 === end) return 0;
        if (bytes[at + 1] === LF) break;
      }
      if (count === HEADERS_MAX) {
        const message = `Request has more than ${HEADERS_MAX} headers.`;
        return this.#refuseWith({ status: 413, name: "headerTooLarge", message });
      }
      const name = at;
      while (at < end && TOKEN[bytes[at]!] === 1) at++;
      if (at === end) return 0;
      if (bytes[at] !== 0x3a || at === name) return this.#refuse("invalid header name");
      const nameEnd = at++;
      while (at < end && isBlank(bytes[at]!)) at++;
      const value = at;
      while (at < end && VALUE[bytes[at]!] === 1) at++;
      if (at === end) return 0;
      if (bytes[at] !== CR) return this.#refuse("invalid header value");
      if (at + 1 === end) return 0;
      if (bytes[at + 1] !== LF) return this.#refuse("invalid header value");
      let valueEnd = at;
      while (valueEnd > value && isBlank(bytes[valueEnd - 1]!)) valueEnd--;
      at += 2;
      if (!this.#onLine(bytes, name, nameEnd, value, valueEnd)) return -1;
    }
    this.head.linesEnd = at;
    return this.#endLines() ? at + 2 : -1;
  }

  #startLines(begin: number): void {
    const { head } = this;
    head.linesBegin = begin;
    head.keepAlive = head.minor === 1;
    head.expectsContinue = false;
    head.contentLength = -1;
    head.isChunked = false;
    head.typeBegin = head.typeEnd = head.encodingBegin = head.encodingEnd = 0;
    head.keyBegin = head.keyEnd = 0;
    this.#hosts = 0;
    this.#close = false;
  }

  /** What the lines say together. @returns false when that is refused */
  #endLines(): boolean {
    const { head } = this;
    if (this.#close) head.keepAlive = false;
    let problem: string | undefined;
    if (this.#hosts > 1 || (this.#hosts === 0 && head.minor === 1)) problem = "expected one host";
    else if (head.isChunked && head.contentLength >= 0) problem = "content length beside transfer encoding";
    else if (head.isChunked && head.minor === 0) problem = "transfer encoding in HTTP/1.0";
    if (problem !== undefined) this.#refuse(problem);
    return problem === undefined;
  }

  /** Takes note of a header that means something here: only names of these lengths do. @returns false when refused */
  #onLine(bytes: Uint8Array, name: number, nameEnd: number, value: number, valueEnd: number): boolean {
    const { head } = this;
    let problem: string | undefined;
    switch (nameEnd - name) {
      case 4:
        if (!isWord(bytes, name, nameEnd, WORD.host)) break;
        this.#hosts++;
        for (let i = value; i < valueEnd; i++) if (HOST[bytes[i]!] !== 1) problem = "invalid host";
        break;
      case 6:
        if (!isWord(bytes, name, nameEnd, WORD.expect) || head.minor === 0) break;
        head.expectsContinue = true;
        if (isWord(bytes, value, valueEnd, WORD.continue)) break;
        this.#refuseWith({ status: 417, name: "badRequest", message: "Expectation is not supported." });
        return false;
      case 10:
        if (isWord(bytes, name, nameEnd, WORD.connection)) this.#connection(bytes, value, valueEnd);
        break;
      case 12:
        if (!isWord(bytes, name, nameEnd, WORD.contentType)) break;
        if (head.typeEnd > 0) problem = "more than one content type";
        head.typeBegin = value;
        head.typeEnd = valueEnd;
        break;
      case 14:
        if (!isWord(bytes, name, nameEnd, WORD.contentLength)) break;
        if (head.contentLength >= 0) problem = "more than one content length";
        head.contentLength = decimal(bytes, value, valueEnd);
        if (head.contentLength < 0) problem = "invalid content length";
        break;
      case 15:
        if (!isWord(bytes, name, nameEnd, WORD.idempotencyKey)) break;
        if (head.keyEnd > 0) problem = "more than one idempotency key";
        head.keyBegin = value;
        head.keyEnd = valueEnd;
        break;
      case 16:
        if (!isWord(bytes, name, nameEnd, WORD.contentEncoding)) break;
        if (head.encodingEnd > 0) problem = "more than one content encoding";
        head.encodingBegin = value;
        head.encodingEnd = valueEnd;
        break;
      case 17:
        if (!isWord(bytes, name, nameEnd, WORD.transferEncoding)) break;
        if (head.isChunked || !isWord(bytes, value, valueEnd, WORD.chunked))
          problem = "invalid transfer encoding";
        head.isChunked = true;
        break;
    }
    if (problem !== undefined) this.#refuse(problem);
    return problem === undefined;
  }

  #connection(bytes: Uint8Array, begin: number, end: number): void {
    let at = begin;
    while (at < end) {
      let comma = at;
      while (comma < end && bytes[comma] !== 0x2c) comma++;
      let last = comma;
      while (at < last && isBlank(bytes[at]!)) at++;
      while (last > at && isBlank(bytes[last - 1]!)) last--;
      if (isWord(bytes, at, last, WORD.close)) this.#close = true;
      else if (isWord(bytes, at, last, WORD.keepAlive)) this.head.keepAlive = true;
      at = comma + 1;
    }
  }

  #refuse(problem: string): -1 {
    return this.#refuseWith(badRequest(problem));
  }

  #refuseWith(refusal: Refusal): -1 {
    this.refusal = refusal;
    return -1;
  }
}

/** @param problem begins in lower case, without a full stop */
export function badRequest(problem: string): Refusal {
  const message = `${problem.charAt(0).toUpperCase()}${problem.slice(1)}.`;
  return { status: 400, name: "badRequest", message };
}

function isBlank(byte: number): boolean {
  return byte === 0x20 || byte === 0x09;
}

/** @returns the number, or -1 unless it is 1 to 15 digits */
function decimal(bytes: Uint8Array, begin: number, end: number): number {
  if (end === begin || end - begin > 15) return -1;
  let value = 0;
  for (let i = begin; i < end; i++) {
    const digit = bytes[i]! - 0x30;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return value;
}
