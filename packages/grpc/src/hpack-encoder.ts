// HPACK, sending side. Only what comes again and again goes into the dynamic table; a list that is sent often is kept
// in its encoded form (`KeptList`) for as long as the table stays as it was.
import { encodeHuffman, huffmanLength } from "./hpack-huffman.ts";
import { DynamicTable, fieldSize, STATIC_COUNT, STATIC_INDEX } from "./hpack-table.ts";

/** A table larger than the default would cost memory and gain nothing for a dozen fields. */
const TABLE_BYTES_MAX = 4096;

/** Names whose values come again. Others (timeouts, messages, users' metadata) would push these out of the table. */
const INDEXED_NAMES: ReadonlySet<string> = new Set([
  ":authority",
  ":path",
  ":status",
  "authorization",
  "content-type",
  "grpc-status",
  "te",
  "user-agent",
]);

/** Names whose values must not be put into any table, not by a proxy either. */
const SECRET_NAMES: ReadonlySet<string> = new Set(["cookie", "proxy-authorization", "set-cookie"]);

/** A list of fields and its block. */
export class KeptList {
  readonly fields: readonly string[];
  block: Uint8Array = new Uint8Array(0);
  /** State of the encoder's table that `block` is good for. */
  epoch = -1;
  constructor(fields: readonly string[]) {
    this.fields = fields;
  }
}

export class HpackEncoder {
  readonly #numbers = new Map<string, number>();
  readonly #table = new DynamicTable(TABLE_BYTES_MAX, (name, value, number) =>
    this.#onEvicted(name, value, number),
  );
  /** Smallest size since the last block, when a size update is due. */
  #smallestDue = -1;
  #epoch = 0;
  #bytes = new Uint8Array(1024);
  #at = 0;

  /** The peer's SETTINGS_HEADER_TABLE_SIZE. */
  limitTable(sizeMax: number): void {
    const size = Math.min(sizeMax, TABLE_BYTES_MAX);
    if (size === this.#table.sizeMax) return;
    this.#smallestDue = this.#smallestDue < 0 ? size : Math.min(this.#smallestDue, size);
    this.#table.resize(size);
    this.#epoch++;
  }

  /**
   * The block of a list that is sent often, and of `extra` fields behind it, which differ each time. Valid until the
   * next call of any method here.
   */
  encodeKept(list: KeptList, extra: readonly string[]): Uint8Array {
    if (list.epoch === this.#epoch && this.#smallestDue < 0) {
      if (extra.length === 0) return list.block;
      this.#at = 0;
      this.#reserve(list.block.length);
      this.#bytes.set(list.block);
      this.#at = list.block.length;
    } else this.#encodeAnew(list);
    this.#writeFields(extra);
    return this.#bytes.subarray(0, this.#at);
  }

  /** @param fields names and values in turn, a byte a character @returns a view that the next call overwrites */
  encode(fields: readonly string[]): Uint8Array {
    this.#at = 0;
    if (this.#smallestDue >= 0) this.#writeSizes();
    this.#writeFields(fields);
    return this.#bytes.subarray(0, this.#at);
  }

  #encodeAnew(list: KeptList): void {
    const epoch = this.#epoch;
    const wasResized = this.#smallestDue >= 0;
    const block = this.encode(list.fields);
    // What this has put into the table stands as an index the next time: that form is worth keeping.
    if (this.#epoch !== epoch || wasResized) return;
    list.block = block.slice();
    list.epoch = epoch;
  }

  #writeFields(fields: readonly string[]): void {
    for (let i = 0; i < fields.length; i += 2) this.#writeField(fields[i]!, fields[i + 1]!);
  }

  #writeSizes(): void {
    if (this.#smallestDue < this.#table.sizeMax) this.#integer(this.#smallestDue, 0x20, 5);
    this.#integer(this.#table.sizeMax, 0x20, 5);
    this.#smallestDue = -1;
  }

  #writeField(name: string, value: string): void {
    const key = `${name}\0${value}`;
    const index = STATIC_INDEX.get(key) ?? this.#indexOf(key);
    if (index !== undefined) {
      this.#integer(index, 0x80, 7);
      return;
    }
    const nameIndex = STATIC_INDEX.get(name) ?? 0;
    const isInserted = INDEXED_NAMES.has(name) && fieldSize(name, value) <= this.#table.sizeMax / 2;
    if (isInserted) this.#integer(nameIndex, 0x40, 6);
    else this.#integer(nameIndex, SECRET_NAMES.has(name) ? 0x10 : 0, 4);
    if (nameIndex === 0) this.#string(name);
    this.#string(value);
    if (!isInserted) return;
    this.#epoch++;
    this.#table.insert(name, value);
    this.#numbers.set(key, this.#table.inserted - 1);
  }

  #indexOf(key: string): number | undefined {
    const number = this.#numbers.get(key);
    return number === undefined ? undefined : STATIC_COUNT + this.#table.inserted - number;
  }

  #onEvicted(name: string, value: string, number: number): void {
    const key = `${name}\0${value}`;
    if (this.#numbers.get(key) === number) this.#numbers.delete(key);
  }

  #integer(value: number, pattern: number, prefixBits: number): void {
    this.#reserve(6);
    const mask = (1 << prefixBits) - 1;
    if (value < mask) {
      this.#bytes[this.#at++] = pattern | value;
      return;
    }
    this.#bytes[this.#at++] = pattern | mask;
    let rest = value - mask;
    for (; rest >= 0x80; rest = Math.floor(rest / 128)) this.#bytes[this.#at++] = 0x80 | (rest & 0x7f);
    this.#bytes[this.#at++] = rest;
  }

  #string(text: string): void {
    const coded = huffmanLength(text);
    if (coded < text.length) {
      this.#integer(coded, 0x80, 7);
      this.#reserve(coded);
      this.#at = encodeHuffman(text, this.#bytes, this.#at);
      return;
    }
    this.#integer(text.length, 0, 7);
    this.#reserve(text.length);
    for (let i = 0; i < text.length; i++) this.#bytes[this.#at++] = text.charCodeAt(i);
  }

  #reserve(length: number): void {
    if (this.#at + length <= this.#bytes.length) return;
    const bytes = new Uint8Array(Math.max(this.#at + length, 2 * this.#bytes.length));
    bytes.set(this.#bytes.subarray(0, this.#at));
    this.#bytes = bytes;
  }
}
