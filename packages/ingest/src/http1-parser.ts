// HTTP/1.1 request parser for the ingest listener: strict, bounded, incremental, without copies. node:http is the
// oracle of its tests: whatever it refuses is refused here, and what is accepted by both is read the same way.
//
//   head ──> body by length ──> head …        P1 A request that could be read in two ways is refused with 400 and the
//        └─> chunks ──────────> head …           connection ends: no bytes of it are looked at any more.
//        └─> stopped                          P2 Limits are checked before anything is allocated.
//                                             P3 A request that arrives in one piece is read where it lies.
//
// Stricter than node:http: at most one empty line before a request line, whose parts have one space between them; eight
// methods; HTTP/1.0 and 1.1 only; targets of visible ASCII without fragment; exactly one well-formed Host in 1.1; one
// Content-Length of at most 15 digits, never beside Transfer-Encoding; one Content-Type and Content-Encoding; "chunked"
// alone and only in 1.1; chunk sizes of at most 8 digits without whitespace around; chunk extensions of tokens,
// trailers of visible ASCII, both bounded; no DEL in values; line ends are CRLF everywhere.
import { BodyBytes } from "./body-bytes.ts";
import { ChunkedBody } from "./http1-chunked.ts";
import { HOST, isWord, methodOf, TARGET, TOKEN, VALUE, WORD } from "./http1-grammar.ts";
import { RequestHead } from "./http1-head.ts";
import { HEADERS_MAX, sizeText } from "./limits.ts";

/** Why a request is refused; the connection ends after the answer. */
export interface Refusal {
  readonly status: 400 | 413 | 417 | 501 | 505;
  readonly name: "badRequest" | "headerTooLarge" | "bodyTooLarge" | "notImplemented";
  readonly message: string;
}

/** What onHead decides about the body. */
export type BodyPlan =
  /** Keep it, up to so many bytes; a longer one is refused with 413. */
  | number
  /** The answer does not depend on it: read over it. */
  | "discard";

export interface Http1Listener {
  onHead(head: RequestHead): BodyPlan;
  /** The client waits for `100 Continue` before it sends the body. */
  onContinue(): void;
  /** The request is whole; its body is body[begin, end). Both are valid until this returns. */
  onRequest(head: RequestHead, body: BodyBytes, begin: number, end: number): void;
  /** The parser has stopped. */
  onRefused(refusal: Refusal): void;
}

/** Of a body that nobody wants, so much is read over to keep the connection; beyond it the connection ends. */
export const DISCARD_BYTES_MAX = 256 * 1024;

type Phase = "head" | "length" | "chunked" | "stopped";

const CR = 0x0d;
const LF = 0x0a;
const PROTOCOL = Uint8Array.from("HTTP/1.1\r\n", (c) => c.charCodeAt(0));
/** Memory that is taken for a body on the word of its Content-Length; pages are real only once they are written. */
const GATHER_BYTES_FIRST = 1024 * 1024;
const NONE = new BodyBytes(new Uint8Array(0));

export class Http1Parser {
  readonly #listener: Http1Listener;
  readonly #headBytesMax: number;
  readonly #head = new RequestHead();
  #phase: Phase = "head";
  /** The part of a head that has arrived. */
  #held: Uint8Array | undefined;
  /** Body by length: what is gathered of it, and how much is missing. */
  #gathered: Uint8Array = NONE.bytes;
  #gatheredBytes = 0;
  #missingBytes = 0;
  #chunks: ChunkedBody | undefined;
  #keep = true;
  /** Of the head that is being read. */
  #hosts = 0;
  #close = false;

  constructor(listener: Http1Listener, headBytesMax: number) {
    this.#listener = listener;
    this.#headBytesMax = headBytesMax;
  }

  /** What the connection waits for; "idle" between requests. */
  get waitsFor(): "idle" | "head" | "body" | "nothing" {
    if (this.#phase === "stopped") return "nothing";
    if (this.#phase !== "head") return "body";
    return this.#held === undefined ? "idle" : "head";
  }

  /** Bytes that are held of a body which is not whole. */
  get receivingBytes(): number {
    if (this.#phase === "length") return this.#gatheredBytes;
    return this.#phase === "chunked" ? this.#chunks!.heldBytes : 0;
  }

  /** Looks at no further byte. */
  stop(): void {
    this.#phase = "stopped";
    this.#held = undefined;
    this.#gathered = NONE.bytes;
    this.#chunks = undefined;
  }

  /** Takes what arrived; calls the listener for whatever is whole. The chunk must not be changed afterwards. */
  push(bytes: Uint8Array): void {
    const chunk = new BodyBytes(bytes);
    let at = 0;
    while (at < bytes.length && this.#phase !== "stopped") {
      if (this.#phase === "head") at = this.#readHead(chunk, at);
      else if (this.#phase === "length") at = this.#readLength(bytes, at);
      else at = this.#readChunks(bytes, at);
    }
  }

  #readHead(chunk: BodyBytes, at: number): number {
    const bytes = chunk.bytes;
    if (this.#held === undefined) {
      const after = this.#parseHead(bytes, at, bytes.length);
      if (after > 0) return this.#startBody(chunk, after);
      if (after === 0) this.#held = bytes.slice(at);
      return bytes.length;
    }
    const before = this.#held.length;
    const taken = Math.min(bytes.length - at, this.#headBytesMax + 4 - before);
    const joined = new Uint8Array(before + taken);
    joined.set(this.#held);
    joined.set(bytes.subarray(at, at + taken), before);
    // Without a new line end nothing can be decided, except that the head has become too long.
    if (taken > 0 && joined.length <= this.#headBytesMax && joined.indexOf(LF, before) < 0) {
      this.#held = joined;
      return at + taken;
    }
    const after = this.#parseHead(joined, 0, joined.length);
    this.#held = after === 0 ? joined : undefined;
    return after > 0 ? this.#startBody(chunk, at + after - before) : at + taken;
  }

  /** @returns the position behind the head, 0 while it is not whole, -1 when it was refused */
  #parseHead(bytes: Uint8Array, begin: number, end: number): number {
    const head = this.#head;
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
    const head = this.#head;
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
    this.#head.minor = minor;
    return at + PROTOCOL.length;
  }

  /** Origin form, `*` of OPTIONS, or absolute form, whose authority is read over. */
  #checkTarget(bytes: Uint8Array, method: string): string | undefined {
    const head = this.#head;
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
    this.#head.linesEnd = at;
    return this.#endLines() ? at + 2 : -1;
  }

  #startLines(begin: number): void {
    const head = this.#head;
    head.linesBegin = begin;
    head.keepAlive = head.minor === 1;
    head.expectsContinue = false;
    head.contentLength = -1;
    head.isChunked = false;
    head.typeBegin = head.typeEnd = head.encodingBegin = head.encodingEnd = 0;
    this.#hosts = 0;
    this.#close = false;
  }

  /** What the lines say together. @returns false when that is refused */
  #endLines(): boolean {
    const head = this.#head;
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
    const head = this.#head;
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
      else if (isWord(bytes, at, last, WORD.keepAlive)) this.#head.keepAlive = true;
      at = comma + 1;
    }
  }

  /** The head is whole and ends at `at`. */
  #startBody(chunk: BodyBytes, at: number): number {
    const head = this.#head;
    this.#held = undefined;
    const plan = this.#listener.onHead(head);
    if (this.waitsFor === "nothing") return at;
    if (head.contentLength <= 0 && !head.isChunked) {
      this.#finish(chunk, at, at);
      return at;
    }
    this.#keep = plan !== "discard";
    if (plan === "discard" && (head.expectsContinue || head.contentLength > DISCARD_BYTES_MAX)) {
      head.keepAlive = false;
      this.#finish(NONE, 0, 0);
      return at;
    }
    const limit = plan === "discard" ? DISCARD_BYTES_MAX : plan;
    if (head.contentLength > limit) return this.#refuseBody(limit);
    const available = chunk.bytes.length - at;
    if (head.isChunked) {
      this.#phase = "chunked";
      this.#chunks = new ChunkedBody(limit, this.#headBytesMax, this.#keep);
    } else if (available >= head.contentLength) {
      this.#finish(chunk, at, at + head.contentLength); // P3
      return at + head.contentLength;
    } else {
      this.#phase = "length";
      this.#missingBytes = head.contentLength;
      this.#gatheredBytes = 0;
      const first = Math.min(head.contentLength, Math.max(GATHER_BYTES_FIRST, 2 * available));
      this.#gathered = this.#keep ? new Uint8Array(first) : NONE.bytes;
    }
    if (head.expectsContinue && available === 0) this.#listener.onContinue();
    return at;
  }

  #readLength(bytes: Uint8Array, at: number): number {
    const end = Math.min(bytes.length, at + this.#missingBytes);
    if (this.#keep) {
      const total = this.#gatheredBytes + end - at;
      if (total > this.#gathered.length) {
        const capacity = Math.min(this.#head.contentLength, Math.max(total, 2 * this.#gathered.length));
        const grown = new Uint8Array(capacity);
        grown.set(this.#gathered.subarray(0, this.#gatheredBytes));
        this.#gathered = grown;
      }
      this.#gathered.set(bytes.subarray(at, end), this.#gatheredBytes);
      this.#gatheredBytes = total;
    }
    this.#missingBytes -= end - at;
    if (this.#missingBytes === 0) this.#finish(new BodyBytes(this.#gathered), 0, this.#gatheredBytes);
    return end;
  }

  #readChunks(bytes: Uint8Array, at: number): number {
    const chunks = this.#chunks!;
    const after = chunks.push(bytes, at);
    if (chunks.problem === "tooLarge") return this.#refuseBody(chunks.limit);
    if (chunks.problem !== undefined) return this.#refuse(chunks.problem);
    if (chunks.isWhole) this.#finish(new BodyBytes(chunks.bytes), 0, chunks.length);
    return after;
  }

  #finish(body: BodyBytes, begin: number, end: number): void {
    this.#phase = this.#head.keepAlive ? "head" : "stopped";
    this.#gathered = NONE.bytes;
    this.#chunks = undefined;
    this.#listener.onRequest(this.#head, body, begin, end);
  }

  #refuseBody(limit: number): -1 {
    const message = `Request body size is over the maximum "${sizeText(limit)}".`;
    return this.#refuseWith({ status: 413, name: "bodyTooLarge", message });
  }

  #refuse(problem: string): -1 {
    const message = `${problem.charAt(0).toUpperCase()}${problem.slice(1)}.`;
    return this.#refuseWith({ status: 400, name: "badRequest", message });
  }

  #refuseWith(refusal: Refusal): -1 {
    this.stop(); // P1
    this.#listener.onRefused(refusal);
    return -1;
  }
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
