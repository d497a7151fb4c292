// The growing byte buffer that rows are written into, and the CSV rules of a value: always quoted, `"` doubled
// (keboola-stream specification 3.3). No string is made on the way from a request's bytes to a row's.
import { assert, utf8, type BodyBytes } from "@millrace/base";

import { firstByteOf, quoteBits } from "./body-bits.ts";

const QUOTE = 0x22;

/** Bytes with a write position. Whoever writes calls `reserve` before, then writes at `at` and moves it. */
export class RowBuffer {
  bytes: Uint8Array;
  view: DataView;
  at = 0;

  constructor(capacity: number) {
    this.bytes = new Uint8Array(capacity);
    this.view = new DataView(this.bytes.buffer);
  }

  /** Makes room for `count` bytes at `at`; `bytes` may be another array afterwards. */
  reserve(count: number): void {
    if (this.at + count > this.bytes.length) this.#grow(this.at + count);
  }

  #grow(needed: number): void {
    assert(needed < 2 ** 31, "a row buffer stays below 2 GiB", { needed });
    const grown = new Uint8Array(Math.max(needed, this.bytes.length * 2));
    grown.set(this.bytes.subarray(0, this.at));
    this.bytes = grown;
    this.view = new DataView(grown.buffer);
  }

  /** Appends `source` as it is. */
  put(source: Uint8Array): void {
    putPlainBytes(this, source, 0, source.length);
  }

  putByte(byte: number): void {
    this.reserve(1);
    this.bytes[this.at++] = byte;
  }
}

/** Appends source[begin, end) with each `"` doubled, without quotes around. For many bytes see putQuotedBody. */
export function putQuotedBytes(out: RowBuffer, source: Uint8Array, begin: number, end: number): void {
  out.reserve(2 * (end - begin));
  const bytes = out.bytes;
  let at = out.at;
  for (let i = begin; i < end; i++) {
    const byte = source[i]!;
    bytes[at++] = byte;
    if (byte === QUOTE) bytes[at++] = QUOTE;
  }
  out.at = at;
}

/** The same, four bytes at a time: each word is written whole, and the write position then put behind its quote. */
export function putQuotedBody(out: RowBuffer, body: BodyBytes, begin: number, end: number): void {
  out.reserve(2 * (end - begin) + 4);
  const source = body.view;
  const target = out.view;
  let at = out.at;
  let from = begin;
  for (const last = end - 4; from <= last;) {
    const word = source.getInt32(from, true);
    target.setInt32(at, word, true);
    const bits = quoteBits(word);
    if (bits === 0) {
      from += 4;
      at += 4;
    } else {
      const quote = firstByteOf(bits) + 1;
      target.setUint8(at + quote, QUOTE);
      from += quote;
      at += quote + 1;
    }
  }
  out.at = at;
  putQuotedBytes(out, body.bytes, from, end);
}

/** Appends source[begin, end), which must have no `"`. */
export function putPlainBytes(out: RowBuffer, source: Uint8Array, begin: number, end: number): void {
  const count = end - begin;
  out.reserve(count);
  if (count > 64) {
    out.bytes.set(source.subarray(begin, end), out.at);
    out.at += count;
    return;
  }
  const bytes = out.bytes;
  let at = out.at;
  for (let i = begin; i < end; i++) bytes[at++] = source[i]!;
  out.at = at;
}

/** Appends `text` with each `"` doubled, without quotes around. */
export function putQuotedText(out: RowBuffer, text: string): void {
  if (!putAscii(out, text)) {
    const encoded = utf8(text);
    putQuotedBytes(out, encoded, 0, encoded.length);
  }
}

/** Appends `text` as a JSON string, its quotes doubled. */
export function putJsonString(out: RowBuffer, text: string): void {
  const begin = out.at;
  out.reserve(2);
  out.bytes[out.at++] = QUOTE;
  out.bytes[out.at++] = QUOTE;
  if (isPlain(text) && putAscii(out, text)) {
    out.reserve(2);
    out.bytes[out.at++] = QUOTE;
    out.bytes[out.at++] = QUOTE;
  } else {
    out.at = begin;
    putQuotedText(out, JSON.stringify(text));
  }
}

/** Appends `text` as putQuotedText does if all of it is ASCII; otherwise nothing is appended. */
function putAscii(out: RowBuffer, text: string): boolean {
  const length = text.length;
  out.reserve(2 * length);
  const bytes = out.bytes;
  let at = out.at;
  for (let i = 0; i < length; i++) {
    const code = text.charCodeAt(i);
    if (code >= 0x80) return false;
    bytes[at++] = code;
    if (code === QUOTE) bytes[at++] = QUOTE;
  }
  out.at = at;
  return true;
}

/** Whether `text` stands in a JSON string as it is. */
function isPlain(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 0x20 || code === QUOTE || code === 0x5c || code >= 0x80) return false;
  }
  return true;
}

/** `value` as a whole CSV value: quoted, `"` doubled. */
export function csvValue(value: Uint8Array): Uint8Array {
  const out = new RowBuffer(2 * value.length + 2);
  out.putByte(QUOTE);
  putQuotedBytes(out, value, 0, value.length);
  out.putByte(QUOTE);
  return out.bytes.slice(0, out.at);
}
