// Reads protobuf primitives. Every length is checked against what is left before anything is allocated, and
// whatever is malformed is a ValidationError; the table-driven codec above puts the field's name in front.
import { ItemBudget } from "./item-budget.ts";
import { NESTED_MESSAGES_MAX, SKIPPED_GROUPS_MAX } from "./limits.ts";
import { invalid } from "./validation-error.ts";

export const WIRE = { VARINT: 0, FIXED64: 1, BYTES: 2, GROUP_START: 3, GROUP_END: 4, FIXED32: 5 } as const;

/** Arguments of one call. */
const CHARS_AT_ONCE = 4096;
/** Eight bytes on their way to a number. */
const scratch = new DataView(new ArrayBuffer(8));
// ignoreBOM: a leading U+FEFF is part of the string.
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export class WireReader {
  readonly #bytes: Uint8Array;
  readonly #budget: ItemBudget;
  readonly #end: number;
  /** Messages that may still open inside this one. */
  readonly #levels: number;
  #at: number;
  // Halves of the last varint: the codec stays off bigint for anything that fits a number.
  #low = 0;
  #high = 0;

  constructor(
    bytes: Uint8Array,
    begin = 0,
    end = bytes.length,
    budget: ItemBudget = new ItemBudget(),
    levels = NESTED_MESSAGES_MAX,
  ) {
    this.#bytes = bytes;
    this.#at = begin;
    this.#end = end;
    this.#budget = budget;
    this.#levels = levels;
  }

  get done(): boolean {
    return this.#at === this.#end;
  }

  /** Field number times 8, plus the wire type: below 2^32. */
  tag(): number {
    this.#varint();
    const field = (this.#high * 2 ** 29 + (this.#low >>> 3)) >>> 0;
    if (this.#high !== 0 || field === 0) invalid(`illegal tag (field ${field})`);
    return this.#low;
  }

  bool(): boolean {
    this.#varint();
    return this.#low !== 0 || this.#high !== 0;
  }

  /** The low 32 bits, as every protobuf implementation reads a longer varint. */
  int32(): number {
    this.#varint();
    return this.#low | 0;
  }

  uint32(): number {
    this.#varint();
    return this.#low >>> 0;
  }

  /** @param saturate clamp what is beyond +-(2^53 - 1) instead of refusing it */
  int64(saturate: boolean): number {
    this.#varint();
    const value = (this.#high | 0) * 2 ** 32 + this.#low;
    if (Number.isSafeInteger(value)) return value;
    if (saturate) return Math.sign(value) * Number.MAX_SAFE_INTEGER;
    const exact = BigInt.asIntN(64, this.#exact());
    return invalid(`value out of range (${exact}; expected |value| < 2^53)`);
  }

  /** What `int64` refuses too. */
  exactInt64(): bigint {
    return BigInt.asIntN(64, this.uint64());
  }

  uint64(): bigint {
    this.#varint();
    return this.#exact();
  }

  fixed32(): number {
    const at = this.#take(4);
    const bytes = this.#bytes;
    return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;
  }

  fixed64(): bigint {
    const low = this.fixed32();
    return (BigInt(this.fixed32()) << 32n) | BigInt(low);
  }

  double(): number {
    scratch.setUint32(0, this.fixed32(), true);
    scratch.setUint32(4, this.fixed32(), true);
    return scratch.getFloat64(0, true);
  }

  /** A view of the input, not a copy. */
  bytes(): Uint8Array {
    const length = this.#length();
    const at = this.#take(length);
    return this.#bytes.subarray(at, at + length);
  }

  text(): string {
    const bytes = this.bytes();
    try {
      return decoder.decode(bytes);
    } catch {
      return invalid("not valid UTF-8");
    }
  }

  /** The bytes that come next, one char each: a string whose order is that of the bytes. */
  binary(): string {
    const bytes = this.bytes();
    let out = "";
    for (let at = 0; at < bytes.length; at += CHARS_AT_ONCE) {
      // Spreading goes through the array's iterator: five times as slow.
      out += Reflect.apply(String.fromCharCode, undefined, bytes.subarray(at, at + CHARS_AT_ONCE));
    }
    return out;
  }

  /** A reader of the embedded message, or of the packed numbers, that come next. */
  nested(): WireReader {
    if (this.#levels === 0) invalid(`messages nest too deeply (expected <= ${NESTED_MESSAGES_MAX})`);
    const length = this.#length();
    const at = this.#take(length);
    return new WireReader(this.#bytes, at, at + length, this.#budget, this.#levels - 1);
  }

  /** A reader of what is left, that counts items elsewhere. */
  again(budget: ItemBudget): WireReader {
    return new WireReader(this.#bytes, this.#at, this.#end, budget, this.#levels);
  }

  /** Accounts for one item of a repeated field. */
  countItem(): void {
    this.#budget.take();
  }

  /** Skips the value of an unknown field. */
  skip(tag: number): void {
    const open: number[] = [];
    for (let next = tag; ; next = this.tag()) {
      const [field, wireType] = [next >>> 3, next & 7];
      if (wireType === WIRE.GROUP_START) open.push(field);
      else if (wireType === WIRE.GROUP_END) {
        if (open.pop() !== field) invalid(`unexpected end of group (field ${field})`);
      } else this.#skipValue(wireType);
      if (open.length === 0) return;
      if (open.length > SKIPPED_GROUPS_MAX)
        invalid(`groups nest too deeply (expected <= ${SKIPPED_GROUPS_MAX})`);
    }
  }

  #skipValue(wireType: number): void {
    if (wireType === WIRE.VARINT) this.#varint();
    else if (wireType === WIRE.FIXED64) this.#take(8);
    else if (wireType === WIRE.BYTES) this.#take(this.#length());
    else if (wireType === WIRE.FIXED32) this.#take(4);
    else invalid(`illegal wire type (${wireType})`);
  }

  #exact(): bigint {
    return (BigInt(this.#high) << 32n) | BigInt(this.#low);
  }

  #length(): number {
    this.#varint();
    return this.#high * 2 ** 32 + this.#low;
  }

  #take(count: number): number {
    const left = this.#end - this.#at;
    if (count > left) invalid(`truncated (need ${count} bytes, have ${left})`);
    const at = this.#at;
    this.#at += count;
    return at;
  }

  #varint(): void {
    let low = 0;
    let high = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      if (this.#at === this.#end) invalid("truncated varint");
      const byte = this.#bytes[this.#at++]!;
      const bits = byte & 0x7f;
      if (shift < 28) low |= bits << shift;
      else if (shift === 28) {
        low |= bits << 28;
        high = bits >>> 4;
      } else high |= bits << (shift - 32);
      if (byte < 0x80) {
        if (shift === 63 && byte > 1) break;
        this.#low = low >>> 0;
        this.#high = high >>> 0;
        return;
      }
    }
    invalid("varint overflows 64 bits");
  }
}
