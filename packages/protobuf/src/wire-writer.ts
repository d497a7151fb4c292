// Writes protobuf primitives from the last byte to the first: when the length of an embedded message has to be
// written, its bytes are there already, so nothing is measured twice and nothing is copied but on growth.
import { assert } from "@millrace/base";

const encoder = new TextEncoder();
/** A number on its way to eight bytes. */
const scratch = new DataView(new ArrayBuffer(8));

export class WireWriter {
  #bytes = new Uint8Array(256);
  #at = 256;

  /** Bytes written so far. */
  get length(): number {
    return this.#bytes.length - this.#at;
  }

  /** What was written; the writer must not be used afterwards. */
  finish(): Uint8Array {
    return this.#bytes.subarray(this.#at);
  }

  tag(field: number, wireType: number): void {
    this.uint32(((field << 3) | wireType) >>> 0);
  }

  uint32(value: number): void {
    this.#varint(0, value >>> 0);
  }

  /** Negative values take ten bytes, as protobuf's int32 does. */
  int32(value: number): void {
    this.int64(value | 0);
  }

  int64(value: number): void {
    assert(Number.isSafeInteger(value), "int64 field is a safe integer", { value });
    this.#varint(Math.floor(value / 2 ** 32) >>> 0, value >>> 0);
  }

  exactInt64(value: bigint): void {
    assert(value >= -(1n << 63n) && value < 1n << 63n, "int64 field in [-2^63, 2^63)", { value });
    this.uint64(BigInt.asUintN(64, value));
  }

  uint64(value: bigint): void {
    assert(value >= 0n && value < 1n << 64n, "uint64 field in [0, 2^64)", { value });
    this.#varint(Number(value >> 32n), Number(value & 0xffffffffn));
  }

  fixed32(value: number): void {
    const at = this.#reserve(4);
    for (let i = 0; i < 4; i++) this.#bytes[at + i] = value >>> (8 * i);
  }

  fixed64(value: bigint): void {
    assert(value >= 0n && value < 1n << 64n, "fixed64 field in [0, 2^64)", { value });
    // Backwards: the high half stands behind the low one.
    this.fixed32(Number(value >> 32n));
    this.fixed32(Number(value & 0xffffffffn));
  }

  double(value: number): void {
    scratch.setFloat64(0, value, true);
    this.fixed32(scratch.getUint32(4, true));
    this.fixed32(scratch.getUint32(0, true));
  }

  /** Bytes with their length in front. */
  bytes(value: Uint8Array): void {
    const at = this.#reserve(value.length); // First: it may replace #bytes.
    this.#bytes.set(value, at);
    this.uint32(value.length);
  }

  /** A binary string, one byte a char, with its length in front. */
  binary(value: string): void {
    const at = this.#reserve(value.length);
    for (let i = 0; i < value.length; i++) {
      const byte = value.charCodeAt(i);
      assert(byte <= 0xff, "char of a binary string is a byte", { byte });
      this.#bytes[at + i] = byte;
    }
    this.uint32(value.length);
  }

  text(value: string): void {
    this.bytes(encoder.encode(value));
  }

  #varint(high: number, low: number): void {
    const digits = varintLength(high, low);
    let at = this.#reserve(digits);
    for (let i = 1; i < digits; i++) {
      this.#bytes[at++] = (low & 0x7f) | 0x80;
      low = ((low >>> 7) | (high << 25)) >>> 0;
      high >>>= 7;
    }
    this.#bytes[at] = low;
  }

  /** Makes room for `count` bytes in front and gives their index. */
  #reserve(count: number): number {
    if (count > this.#at) {
      const used = this.length;
      const grown = new Uint8Array(Math.max(this.#bytes.length * 2, used + count + 64));
      grown.set(this.finish(), grown.length - used);
      this.#at = grown.length - used;
      this.#bytes = grown;
    }
    this.#at -= count;
    return this.#at;
  }
}

function varintLength(high: number, low: number): number {
  const bits = high !== 0 ? 64 - Math.clz32(high) : 32 - Math.clz32(low);
  return Math.max(1, Math.ceil(bits / 7));
}
