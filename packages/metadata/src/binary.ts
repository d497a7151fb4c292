// Writing and reading the store's own binary formats: little-endian, unsigned LEB128 integers, length-prefixed bytes.
import { assert, WireError } from "@millrace/base";
import type { Key } from "./coordination.ts";

/** A growing buffer. */
export class ByteWriter {
  #bytes: Uint8Array;
  #used = 0;

  constructor(sizeHint = 256) {
    this.#bytes = new Uint8Array(sizeHint);
  }

  get length(): number {
    return this.#used;
  }

  u8(value: number): void {
    this.#reserve(1);
    this.#bytes[this.#used++] = value;
  }

  /** @param value a safe integer >= 0 */
  uint(value: number): void {
    assert(Number.isSafeInteger(value) && value >= 0, "an unsigned safe integer", { value });
    this.#reserve(8);
    let rest = value;
    while (rest >= 0x80) {
      this.#bytes[this.#used++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.#bytes[this.#used++] = rest;
  }

  /** @param value in [0, 2^64) */
  u64(value: bigint): void {
    assert(value >= 0n && value < 1n << 64n, "an unsigned 64-bit integer", { value });
    this.#reserve(8);
    new DataView(this.#bytes.buffer).setBigUint64(this.#used, value, true);
    this.#used += 8;
  }

  bytes(value: Uint8Array): void {
    this.uint(value.length);
    this.#reserve(value.length);
    this.#bytes.set(value, this.#used);
    this.#used += value.length;
  }

  key(value: Key): void {
    this.uint(value.length);
    this.#reserve(value.length);
    for (let i = 0; i < value.length; i++) this.#bytes[this.#used++] = value.charCodeAt(i);
  }

  /** What was written; the writer must not be used again. */
  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.#used);
  }

  #reserve(more: number): void {
    const needed = this.#used + more;
    if (needed <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, 2 * this.#bytes.length));
    grown.set(this.#bytes.subarray(0, this.#used));
    this.#bytes = grown;
  }
}

/** Reads what a ByteWriter wrote. Anything else is CORRUPT, naming the format and the offset. */
export class ByteReader {
  readonly #format: string;
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(format: string, bytes: Uint8Array) {
    this.#format = format;
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  u8(): number {
    const value = this.#bytes[this.#at];
    if (value === undefined) throw this.corrupt("ends early");
    this.#at++;
    return value;
  }

  uint(): number {
    let value = 0;
    let scale = 1;
    for (let i = 0; i < 8; i++) {
      const byte = this.u8();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (!Number.isSafeInteger(value)) break;
        return value;
      }
      scale *= 0x80;
    }
    throw this.corrupt("holds an integer above 2^53 - 1");
  }

  u64(): bigint {
    const bytes = this.#take(8);
    return new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true);
  }

  /** A copy, so that what is read does not keep the whole buffer alive. */
  bytes(): Uint8Array {
    return new Uint8Array(this.#take(this.uint()));
  }

  key(): Key {
    const bytes = this.#take(this.uint());
    let key = "";
    for (const byte of bytes) key += String.fromCharCode(byte);
    return key;
  }

  corrupt(what: string): WireError {
    return new WireError("CORRUPT", `${this.#format} ${what} (at byte ${this.#at} of ${this.#bytes.length})`);
  }

  #take(length: number): Uint8Array {
    if (length > this.#bytes.length - this.#at)
      throw this.corrupt(`names ${length} bytes that are not there`);
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }
}
