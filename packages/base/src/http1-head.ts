// The head of a request as the parser leaves it: places in the received bytes. Headers become strings only when
// somebody asks for them; a record's mapping seldom does.
import { utf8 } from "./bytes.ts";
import { isWord } from "./http1-grammar.ts";

export type Method = "GET" | "HEAD" | "POST" | "PUT" | "DELETE" | "OPTIONS" | "PATCH" | "TRACE" | "CONNECT";

/** One per connection, filled anew for each request; valid until its onRequest has returned. */
export class RequestHead {
  /** What the places refer to. */
  bytes: Uint8Array = new Uint8Array(0);
  method: Method = "GET";
  /** Path of the request target, without query; begins with a slash, or is `*`. */
  pathBegin = 0;
  pathEnd = 0;
  /** Query without its question mark; empty when there is none. */
  queryBegin = 0;
  queryEnd = 0;
  /** HTTP/1.<minor>. */
  minor = 1;
  keepAlive = true;
  expectsContinue = false;
  /** -1 when there is none. */
  contentLength = -1;
  isChunked = false;
  /** Values of three headers, without whitespace around; empty ranges when absent. */
  typeBegin = 0;
  typeEnd = 0;
  encodingBegin = 0;
  encodingEnd = 0;
  keyBegin = 0;
  keyEnd = 0;
  /** First header line, and the empty line behind the last one. */
  linesBegin = 0;
  linesEnd = 0;

  get path(): string {
    return latin1(this.bytes, this.pathBegin, this.pathEnd);
  }

  get query(): string {
    return latin1(this.bytes, this.queryBegin, this.queryEnd);
  }

  /** Content-Type as received; empty when absent. */
  get contentType(): string {
    return latin1(this.bytes, this.typeBegin, this.typeEnd);
  }

  get contentEncoding(): string {
    return latin1(this.bytes, this.encodingBegin, this.encodingEnd);
  }

  /** Idempotency-Key as received; empty when absent. */
  get idempotencyKey(): string {
    return latin1(this.bytes, this.keyBegin, this.keyEnd);
  }

  /** A copy that stays valid. */
  copy(): RequestHead {
    return Object.assign(new RequestHead(), this);
  }
}

/** Header lines in their order, names as received, values without whitespace around. */
export function headerLines(head: RequestHead): [name: string, value: string][] {
  const { bytes } = head;
  return Array.from(linePlaces(head), ({ nameBegin, nameEnd, begin, end }) => [
    latin1(bytes, nameBegin, nameEnd),
    latin1(bytes, begin, end),
  ]);
}

/** The first value of the header `name`. @param name in lower case */
export function headerValue(head: RequestHead, name: string): string | undefined {
  return headerValues(head, name)[0];
}

/** Values of all lines of the header `name`, in their order. @param name in lower case */
export function headerValues(head: RequestHead, name: string): string[] {
  const values: string[] = [];
  const { bytes } = head;
  const word = utf8(name);
  for (const { nameBegin, nameEnd, begin, end } of linePlaces(head))
    if (isWord(bytes, nameBegin, nameEnd, word)) values.push(latin1(bytes, begin, end));
  return values;
}

interface LinePlace {
  readonly nameBegin: number;
  readonly nameEnd: number;
  /** Of the value. */
  readonly begin: number;
  readonly end: number;
}

function* linePlaces(head: RequestHead): Generator<LinePlace, void, void> {
  const { bytes } = head;
  let at = head.linesBegin;
  while (at < head.linesEnd) {
    let colon = at;
    while (bytes[colon] !== 0x3a) colon++;
    let end = colon;
    while (bytes[end] !== 0x0d) end++;
    let begin = colon + 1;
    let last = end;
    while (begin < last && isBlank(bytes[begin]!)) begin++;
    while (last > begin && isBlank(bytes[last - 1]!)) last--;
    yield { nameBegin: at, nameEnd: colon, begin, end: last };
    at = end + 2;
  }
}

function isBlank(byte: number): boolean {
  return byte === 0x20 || byte === 0x09;
}

export function latin1(bytes: Uint8Array, begin: number, end: number): string {
  let out = "";
  for (let i = begin; i < end; i++) out += String.fromCharCode(bytes[i]!);
  return out;
}
