// The rows of frames, turned into columns while they arrive: the pages of a staged object (staging-parquet.ts).
//
// A frame's rows are CSV: every value quoted. Taking the quotes off here, once, is cheaper than letting the target
// parse CSV (docs/adr/0002-staging-format.md). One pass over the bytes; no string, view or object per row or value.
//
// S1 Column 0 holds the offset of each row's first byte; column 1 + i holds value i of the row.
// S2 All rows of a stage have the same number of values: one sink version maps to one list of columns.
// S3 Pages are UTF-8: what is not is replaced by U+FFFD, since a target refuses a whole object for one bad byte and an
//    accepted record must not block those after it.
// S4 A frame is added whole or not at all.
import { isUtf8 } from "node:buffer";
import { text, utf8, WireError } from "@millrace/base";
import type { Frame } from "./frame.ts";

/** Values of one column, PLAIN encoded: 8 bytes little-endian an offset; 4 bytes of length and the bytes a value. */
export interface ColumnPage {
  readonly bytes: Uint8Array;
  readonly values: number;
}

/** A page is closed near this size. Larger ones made DuckDB's scan slower, smaller ones cost headers. */
export const PAGE_BYTES = 1024 * 1024;
const PAGE_BYTES_FIRST = 1024;
const QUOTE = 34;
const COMMA = 44;
const NEWLINE = 10;

class Column {
  readonly closed: ColumnPage[] = [];
  bytes: Uint8Array = new Uint8Array(0);
  length = 0;
  values = 0;
  /** Length before the frame that is being added. */
  mark = 0;

  /** Makes room for `bytes` more in the open page, which is closed first when it is large enough. */
  reserve(bytes: number): void {
    if (this.length + bytes > this.bytes.length) {
      if (this.length > 0 && this.length + bytes > PAGE_BYTES) this.#close(bytes);
      else this.#grow(bytes);
    }
    this.mark = this.length;
  }

  pages(): ColumnPage[] {
    if (this.values === 0) return [...this.closed];
    return [...this.closed, { bytes: this.bytes.subarray(0, this.length), values: this.values }];
  }

  #close(bytes: number): void {
    this.closed.push({ bytes: this.bytes.subarray(0, this.length), values: this.values });
    this.bytes = new Uint8Array(Math.max(bytes, PAGE_BYTES));
    this.length = 0;
    this.values = 0;
  }

  #grow(bytes: number): void {
    const wanted = Math.max(
      this.length + bytes,
      Math.min(PAGE_BYTES, this.bytes.length * 2),
      PAGE_BYTES_FIRST,
    );
    const grown = new Uint8Array(wanted);
    grown.set(this.bytes.subarray(0, this.length));
    this.bytes = grown;
  }
}

/** Rows of one partition and one sink version, in journal order. */
export class ColumnStage {
  /** Columns with the offsets' one; 0 until the first frame. */
  #columns: Column[] = [];
  #rows = 0;
  #rowBytes = 0;

  get rows(): number {
    return this.#rows;
  }

  /** Bytes of the rows as they stand in the journal. */
  get rowBytes(): number {
    return this.#rowBytes;
  }

  get columnCount(): number {
    return this.#columns.length;
  }

  /** Memory held. */
  get heldBytes(): number {
    let held = 0;
    for (const column of this.#columns) {
      held += column.bytes.length;
      for (const page of column.closed) held += page.bytes.length;
    }
    return held;
  }

  /** Pages of each column (S1). Valid until the next `add`. */
  pages(): readonly (readonly ColumnPage[])[] {
    return this.#columns.map((column) => column.pages());
  }

  /** Copies the rows of `frame`. @throws {WireError} CORRUPT when a row is not the CSV that frames hold (S4) */
  add(frame: Frame): void {
    if (this.#columns.length === 0) this.#columns = columnsOf(frame);
    const clean = isUtf8(frame.body);
    // Replacing a byte that is not UTF-8 makes it three (S3).
    const widest = clean ? frame.body.length : frame.body.length * 3;
    for (let i = 0; i < this.#columns.length; i++) {
      this.#columns[i]!.reserve(i === 0 ? 8 * frame.count : widest + 4 * frame.count);
    }
    try {
      this.#offsets(frame);
      this.#values(frame, clean);
    } catch (error) {
      for (const column of this.#columns) column.length = column.mark; // S4
      throw error;
    }
    for (const column of this.#columns) column.values += frame.count;
    this.#rows += frame.count;
    this.#rowBytes += frame.body.length;
  }

  #offsets(frame: Frame): void {
    const column = this.#columns[0]!;
    const { bytes } = column;
    const lengths = frame.rowLengths;
    let at = column.length;
    let offset = frame.bodyBegin;
    for (let row = 0; row < frame.count; row++) {
      const low = offset >>> 0;
      const high = (offset - low) / 2 ** 32;
      bytes[at] = low;
      bytes[at + 1] = low >>> 8;
      bytes[at + 2] = low >>> 16;
      bytes[at + 3] = low >>> 24;
      bytes[at + 4] = high;
      bytes[at + 5] = high >>> 8;
      bytes[at + 6] = high >>> 16;
      at += 8;
      offset += lengths[row]!;
    }
    column.length = at;
  }

  #values(frame: Frame, clean: boolean): void {
    const body = frame.body;
    const columns = this.#columns;
    const last = columns.length - 1;
    let from = 0;
    for (let row = 0; row < frame.count; row++) {
      const end = from + frame.rowLengths[row]!;
      for (let i = 1; i <= last; i++) {
        const column = columns[i]!;
        from = clean ? copyValue(body, from, end, column) : copyRepaired(body, from, end, column);
        if (from < 0 || body[from] !== (i === last ? NEWLINE : COMMA)) malformed(frame, row);
        from++;
      }
      if (from !== end) malformed(frame, row);
    }
  }
}

/** Copies the quoted value at `from`, without its quotes. @returns the place after it, or -1 when it is malformed */
function copyValue(body: Uint8Array, from: number, end: number, column: Column): number {
  const out = column.bytes;
  const start = column.length;
  let to = start + 4;
  let at = from;
  if (body[at++] !== QUOTE) return -1;
  for (;;) {
    const byte = body[at++]!;
    if (byte === QUOTE) {
      if (body[at] !== QUOTE) break;
      at++;
    }
    if (at >= end) return -1;
    out[to++] = byte;
  }
  const length = to - start - 4;
  out[start] = length;
  out[start + 1] = length >>> 8;
  out[start + 2] = length >>> 16;
  out[start + 3] = length >>> 24;
  column.length = to;
  return at;
}

/** The same where bytes may not be UTF-8 (S3). */
function copyRepaired(body: Uint8Array, from: number, end: number, column: Column): number {
  const start = column.length;
  const next = copyValue(body, from, end, column);
  if (next < 0) return next;
  const value = column.bytes.subarray(start + 4, column.length);
  if (isUtf8(value)) return next;
  const repaired = utf8(text(value));
  column.bytes.set(repaired, start + 4);
  new DataView(column.bytes.buffer, column.bytes.byteOffset).setUint32(start, repaired.length, true);
  column.length = start + 4 + repaired.length;
  return next;
}

/** As many columns as the first row has values, and one for the offsets. */
function columnsOf(frame: Frame): Column[] {
  const { body } = frame;
  const end = frame.rowLengths[0]!;
  let columns = 1;
  let quoted = false;
  for (let at = 0; at < end; at++) {
    const byte = body[at]!;
    if (byte === QUOTE) quoted = !quoted;
    else if (!quoted && (byte === COMMA || byte === NEWLINE)) columns++;
  }
  if (columns < 2) malformed(frame, 0);
  return Array.from({ length: columns }, () => new Column());
}

function malformed(frame: Frame, row: number): never {
  throw new WireError(
    "CORRUPT",
    `frame at offset ${frame.begin}: row ${row} of ${frame.count} is not the CSV of its sink`,
    {
      facts: { field: "rows", offset: frame.bodyBegin, begin: frame.begin, row },
    },
  );
}
