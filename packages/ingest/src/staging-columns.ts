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
import { NO_POOL, type BytePool } from "./byte-pool.ts";
import type { Frame } from "./frame.ts";

/** Values of one column, PLAIN encoded: 8 bytes little-endian an offset; 4 bytes of length and the bytes a value. */
export interface ColumnPage {
  readonly bytes: Uint8Array;
  readonly values: number;
}

/** A page is closed near this size. Larger ones made DuckDB's scan slower, smaller ones cost headers. */
export const PAGE_BYTES = 1024 * 1024;
const QUOTE = 34;
const COMMA = 44;
const NEWLINE = 10;

interface ClosedPage extends ColumnPage {
  /** What `bytes` is the begin of. */
  readonly memory: Uint8Array;
}

class Column {
  readonly closed: ClosedPage[] = [];
  bytes: Uint8Array = EMPTY;
  length = 0;
  values = 0;
  readonly #pool: BytePool;
  /** As it was before the frame that is being added. */
  #mark = { closed: 0, length: 0, values: 0 };

  constructor(pool: BytePool) {
    this.#pool = pool;
  }

  mark(): void {
    this.#mark = { closed: this.closed.length, length: this.length, values: this.values };
  }

  /** Forgets what was added since `mark`. */
  rollBack(): void {
    const { closed, length, values } = this.#mark;
    const [first, ...others] = this.closed.splice(closed);
    if (first !== undefined) {
      for (const memory of [this.bytes, ...others.map((page) => page.memory)]) this.#pool.give(memory);
      this.bytes = first.memory;
    }
    this.length = length;
    this.values = values;
  }

  /** Makes room for `bytes` more in the open page, which is closed first when it is large enough. */
  reserve(bytes: number): void {
    const wanted = this.length + bytes;
    if (wanted <= this.bytes.length) return;
    if (this.length > 0 && wanted > PAGE_BYTES) {
      this.closed.push({ ...this.#open(), memory: this.bytes });
      this.bytes = this.#pool.take(Math.max(bytes, PAGE_BYTES));
      this.length = 0;
      this.values = 0;
      return;
    }
    const grown = this.#pool.take(Math.max(wanted, Math.min(PAGE_BYTES, this.bytes.length * 2)));
    grown.set(this.bytes.subarray(0, this.length));
    if (this.bytes !== EMPTY) this.#pool.give(this.bytes);
    this.bytes = grown;
  }

  pages(): ColumnPage[] {
    return this.values === 0 ? [...this.closed] : [...this.closed, this.#open()];
  }

  memory(): Uint8Array[] {
    const closed = this.closed.map(({ memory }) => memory);
    return this.bytes === EMPTY ? closed : [...closed, this.bytes];
  }

  #open(): ColumnPage {
    return { bytes: this.bytes.subarray(0, this.length), values: this.values };
  }
}

const EMPTY = new Uint8Array(0);

/** Rows of one partition and one sink version, in journal order. */
export class ColumnStage {
  /** Columns with the offsets' one; 0 until the first frame. */
  #columns: Column[] = [];
  #rows = 0;
  #rowBytes = 0;
  readonly #pool: BytePool;

  /** @param pool where pages come from, and go to in the end */
  constructor(pool: BytePool = NO_POOL) {
    this.#pool = pool;
  }

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
    for (const column of this.#columns) for (const memory of column.memory()) held += memory.length;
    return held;
  }

  /** Gives the pages back to the pool: nobody looks at them, or at the stage, any more. */
  release(): void {
    for (const column of this.#columns) for (const memory of column.memory()) this.#pool.give(memory);
    this.#columns = [];
    this.#rows = 0;
    this.#rowBytes = 0;
  }

  /** Pages of each column (S1). Valid until the next `add`. */
  pages(): readonly (readonly ColumnPage[])[] {
    return this.#columns.map((column) => column.pages());
  }

  /** Copies the rows of `frame`. @throws {WireError} CORRUPT when a row is not the CSV that frames hold (S4) */
  add(frame: Frame): void {
    if (this.#columns.length === 0) this.#columns = columnsOf(frame, this.#pool);
    for (const column of this.#columns) column.mark();
    try {
      this.#offsets(frame);
      this.#values(frame, isUtf8(frame.body));
    } catch (error) {
      for (const column of this.#columns) column.rollBack(); // S4
      throw error;
    }
    this.#rows += frame.count;
    this.#rowBytes += frame.body.length;
  }

  #offsets(frame: Frame): void {
    const column = this.#columns[0]!;
    column.reserve(8 * frame.count);
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
      bytes[at + 7] = 0;
      at += 8;
      offset += lengths[row]!;
    }
    column.length = at;
    column.values += frame.count;
  }

  #values(frame: Frame, clean: boolean): void {
    const body = frame.body;
    const columns = this.#columns;
    const last = columns.length - 1;
    let from = 0;
    for (let row = 0; row < frame.count; row++) {
      const rowBytes = frame.rowLengths[row]!;
      const end = from + rowBytes;
      // Replacing a byte that is not UTF-8 makes it three (S3).
      const widest = 4 + (clean ? rowBytes : 3 * rowBytes);
      for (let i = 1; i <= last; i++) {
        const column = columns[i]!;
        if (column.length + widest > column.bytes.length) column.reserve(widest);
        column.values++;
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
function columnsOf(frame: Frame, pool: BytePool): Column[] {
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
  return Array.from({ length: columns }, () => new Column(pool));
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
