// Reads staged objects back as rows, for targets that have no reader of Parquet: no more of it than what
// staging-parquet.ts writes, PLAIN pages of one row group (docs/adr/0002-staging-format.md).
//
// R1 An object's bytes are compared with its CRC before a row is looked at: what is loaded is what was staged.
// R2 Nothing is allocated by a number that stands in the object: memory is that of one object, which is bounded by what
//    a slice may hold.
// R3 Rows stay bytes: a cursor goes through the pages of all columns at once. No string or view per value.
import { text, WireError } from "@millrace/base";
import type { ObjectStore } from "@millrace/stores";
import { crc32c } from "./frame-crc.ts";
import { PageHeaders } from "./staged-pages.ts";
import type { StagedObject } from "./target.ts";

/**
 * A slice is closed at 16 MiB of rows, its last frame may bring as many again, and lengths and offsets make the
 * smallest rows four times as large. Larger objects are not ours.
 */
export const STAGED_BYTES_MAX = 128 * 1024 * 1024;

const MAGIC = "PAR1";
const MAGIC_BYTES = 4;
const FOOTER_LENGTH_BYTES = 4;
const OFFSET_BYTES = 8;
const LENGTH_BYTES = 4;

/** Pages of one column and the place in them. */
interface Pages {
  readonly begins: readonly number[];
  readonly ends: readonly number[];
  readonly counts: readonly number[];
  /** Index of the page after the current one. */
  next: number;
  at: number;
  end: number;
  /** Values of the current page that are still to come. */
  left: number;
}

/** The rows of one staged object, one at a time. */
export class StagedRows {
  readonly count: number;
  /** The whole object; value `i` of the current row is [begins[i], ends[i]) of it. */
  readonly bytes: Uint8Array;
  readonly begins: Uint32Array;
  readonly ends: Uint32Array;
  /** Journal offset of the current row's first byte. */
  offset = 0;
  /** Rows gone through, the current one counted. */
  index = 0;
  readonly #path: string;
  readonly #view: DataView;
  readonly #offsets: Pages;
  readonly #values: readonly Pages[];

  /**
   * @param bytes an object whose CRC was checked
   * @throws {WireError} CORRUPT: it is not what staging writes
   */
  constructor(bytes: Uint8Array, object: Pick<StagedObject, "path" | "rows"> & { columns: number }) {
    this.bytes = bytes;
    this.count = object.rows;
    this.#path = object.path;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.begins = new Uint32Array(object.columns);
    this.ends = new Uint32Array(object.columns);
    const least = 2 * MAGIC_BYTES + FOOTER_LENGTH_BYTES;
    if (bytes.length < least || !this.#hasMagic(0) || !this.#hasMagic(bytes.length - MAGIC_BYTES)) {
      this.#corrupt("it is not a Parquet file");
    }
    const footerLength = this.#view.getUint32(bytes.length - MAGIC_BYTES - FOOTER_LENGTH_BYTES, true);
    const end = bytes.length - MAGIC_BYTES - FOOTER_LENGTH_BYTES - footerLength;
    if (end < MAGIC_BYTES) this.#corrupt("its footer is longer than the object");
    const headers = new PageHeaders(bytes, MAGIC_BYTES, end);
    const columns = Array.from({ length: object.columns + 1 }, () => this.#pages(headers));
    if (headers.at !== end) this.#corrupt(`it does not have ${object.columns} columns`);
    const [offsets, ...values] = columns;
    this.#offsets = offsets!;
    this.#values = values;
  }

  /** Goes to the next row. @returns false after the last one. @throws {WireError} CORRUPT */
  next(): boolean {
    if (this.index === this.count) return false;
    this.index++;
    const offsets = this.#offsets;
    if (offsets.left === 0) turn(offsets);
    if (offsets.at + OFFSET_BYTES > offsets.end) this.#corrupt("an offset leaves its page");
    const high = this.#view.getInt32(offsets.at + 4, true);
    if (high < 0 || high >= 2 ** 21) this.#corrupt("an offset is not one");
    this.offset = high * 2 ** 32 + this.#view.getUint32(offsets.at, true);
    offsets.at += OFFSET_BYTES;
    offsets.left--;
    for (let i = 0; i < this.#values.length; i++) {
      const pages = this.#values[i]!;
      if (pages.left === 0) turn(pages);
      const begin = pages.at + LENGTH_BYTES;
      if (begin > pages.end) this.#corrupt("a value leaves its page");
      const end = begin + this.#view.getUint32(pages.at, true);
      if (end > pages.end) this.#corrupt("a value leaves its page");
      this.begins[i] = begin;
      this.ends[i] = end;
      pages.at = end;
      pages.left--;
    }
    return true;
  }

  /** Value `i` of the current row. */
  value(i: number): string {
    return text(this.bytes.subarray(this.begins[i], this.ends[i]));
  }

  #pages(headers: PageHeaders): Pages {
    const begins: number[] = [];
    const ends: number[] = [];
    const counts: number[] = [];
    let values = 0;
    while (values < this.count) {
      const page = headers.next();
      if (page === undefined || page.values > this.count - values) this.#corrupt("its pages are malformed");
      begins.push(page.begin);
      ends.push(page.end);
      counts.push(page.values);
      values += page.values;
    }
    return { begins, ends, counts, next: 0, at: 0, end: 0, left: 0 };
  }

  #hasMagic(at: number): boolean {
    return text(this.bytes.subarray(at, at + MAGIC_BYTES)) === MAGIC;
  }

  #corrupt(what: string): never {
    const facts = { path: this.#path, row: this.index };
    throw new WireError("CORRUPT", `staged object ${this.#path}: ${what}`, { facts });
  }
}

function turn(pages: Pages): void {
  pages.at = pages.begins[pages.next]!;
  pages.end = pages.ends[pages.next]!;
  pages.left = pages.counts[pages.next]!;
  pages.next++;
}

/**
 * Fetches an object and compares it with what was staged (R1).
 * @throws {WireError} NOT_FOUND, CORRUPT: it can be staged again from the journal; codes of the store
 */
export async function openStaged(
  store: ObjectStore,
  object: StagedObject,
  signal: AbortSignal,
): Promise<StagedRows> {
  const { path, rows, columns } = object;
  if (object.bytes > STAGED_BYTES_MAX) {
    const limit = `${object.bytes} bytes (at most ${STAGED_BYTES_MAX})`;
    throw new WireError("UNPROCESSABLE", `staged object ${path} has ${limit}`, { facts: { path } });
  }
  const bytes = new Uint8Array(object.bytes);
  let length = 0;
  for await (const part of store.get(path, {}, signal)) {
    if (length + part.length <= bytes.length) bytes.set(part, length);
    length += part.length;
    if (length > bytes.length) break;
  }
  if (length !== bytes.length || crc32c(bytes, 0) !== object.crc32c) {
    const facts = { path, bytes: length, expectedBytes: bytes.length };
    throw new WireError("CORRUPT", `staged object ${path} is not what was staged`, { facts });
  }
  return new StagedRows(bytes, { path, rows, columns: columns.length });
}
