// Rows that a partition's bytes say, against the rows that its tables have. Pure but for the frame decoder's state.
//
// C1 What counts is decided by the frames alone, as the reader of partitions does it (D20): a frame whose sequence is
//    not above its producer's last one stood there before, and a row whose key stood there is none (D24).
// C2 Rows are compared in buckets of offsets, by their number and by the sum of their offsets: a row that is missing,
//    one that is doubled and one that stands at another offset all show, with the place where.
// C3 Bytes that are gone or damaged say nothing: buckets that they touch are not compared.
// C4 Where the journal's beginning was trimmed, the first frame of a producer may repeat one that is gone. It is set
//    aside: the caller asks the table whether it has rows there.
import { WireError } from "@millrace/base";
import { FrameDecoder, FrameFilter, KeyWindow, type Frame } from "@millrace/ingest";
import type { Range } from "./doctor-coverage.ts";

/** Offsets of one bucket. */
export const BUCKET_BYTES = 64 * 1024;

/** Rows whose first byte lies in one bucket; offsets are counted from its begin. */
export interface Bucket {
  rows: number;
  offsetSum: number;
}

export interface Mismatch extends Range {
  readonly expected: number;
  readonly found: number;
}

/** Counts the rows of a partition while its bytes come by, in order. */
export class PartitionRows {
  readonly buckets = new Map<number, Bucket>();
  /** C3. */
  readonly unknown: Range[] = [];
  /** C4. */
  readonly perhapsRepeated: Frame[] = [];
  readonly problems: string[] = [];
  frames = 0;
  rows = 0;
  /** Rows behind the loaded end. */
  waiting = 0;
  readonly #journal: string;
  readonly #loadedEnd: number;
  readonly #filter = new FrameFilter();
  readonly #keys = new KeyWindow();
  readonly #seen = new Set<string>();
  #decoder: FrameDecoder | undefined;
  #begin = 0;
  #next = 0;
  /** While there is no decoder: from where on nothing was decoded. */
  #unreadFrom = 0;

  /** @param loadedEnd up to where the tables have the rows */
  constructor(journal: string, loadedEnd: number) {
    this.#journal = journal;
    this.#loadedEnd = loadedEnd;
  }

  /** First offset of which there are bytes. */
  get begin(): number {
    return this.#begin;
  }

  /** Offset behind the last byte that was taken or lost. */
  get next(): number {
    return this.#next;
  }

  /** Says where the bytes begin: whatever lies below is gone by intent. */
  start(offset: number): void {
    this.#begin = this.#next = offset;
    this.#decoder = new FrameDecoder(offset);
  }

  /** Takes the bytes at `next`. */
  push(bytes: Uint8Array): void {
    this.#next += bytes.length;
    if (this.#decoder === undefined) return;
    const from = this.#decoder.offset;
    try {
      for (const frame of this.#decoder.push(bytes)) this.#count(frame);
    } catch (thrown) {
      this.problems.push(`${this.#journal}: ${WireError.from(thrown).message}`);
      // Frames of these bytes that came before the broken one were not given out either.
      this.#unreadFrom = from;
      this.#decoder = undefined;
    }
  }

  /** The bytes up to `offset`, where a frame begins, are gone or damaged. */
  lose(offset: number): void {
    this.unknown.push({ begin: this.#decoder?.offset ?? this.#unreadFrom, end: offset });
    this.#next = offset;
    this.#decoder = new FrameDecoder(offset);
  }

  /** A fragment begins at `next`: a frame does too, whatever came before it. */
  resume(): void {
    if (this.#decoder !== undefined) return;
    this.unknown.push({ begin: this.#unreadFrom, end: this.#next });
    this.#decoder = new FrameDecoder(this.#next);
  }

  /** No more bytes come. */
  end(): void {
    const decoder = this.#decoder;
    if (decoder === undefined) {
      this.unknown.push({ begin: this.#unreadFrom, end: this.#next });
    } else if (decoder.pendingBytes > 0) {
      this.problems.push(`${this.#journal}, offset ${decoder.offset}: the journal ends inside a frame`);
    }
  }

  /** Takes a frame of `perhapsRepeated` as one that counts. */
  countAfterAll(frame: Frame): void {
    this.#addRows(frame);
  }

  /** Buckets of the table that are not as expected, neighbours put together. */
  compare(found: ReadonlyMap<number, Bucket>): Mismatch[] {
    const mismatches: Mismatch[] = [];
    const all = new Set([...this.buckets.keys(), ...found.keys()]);
    for (const bucket of [...all].sort((a, b) => a - b)) {
      const begin = bucket * BUCKET_BYTES;
      const end = begin + BUCKET_BYTES;
      if (this.unknown.some((range) => range.begin < end && begin < range.end)) continue; // C3
      const expected = this.buckets.get(bucket) ?? NO_ROWS;
      const actual = found.get(bucket) ?? NO_ROWS;
      if (expected.rows === actual.rows && expected.offsetSum === actual.offsetSum) continue;
      const last = mismatches.at(-1);
      const mismatch = { begin, end, expected: expected.rows, found: actual.rows };
      if (last?.end !== begin) mismatches.push(mismatch);
      else mismatches.splice(-1, 1, joined(last, mismatch));
    }
    return mismatches;
  }

  #count(frame: Frame): void {
    this.frames++;
    const isFirst = !this.#seen.has(frame.producer);
    this.#seen.add(frame.producer);
    const kept = this.#keys.kept(frame);
    if (!this.#filter.accept(frame)) return; // C1
    if (frame.begin >= this.#loadedEnd) {
      for (const { count } of kept) this.waiting += count;
      return;
    }
    if (frame.end > this.#loadedEnd) {
      const { begin, end } = frame;
      this.problems.push(
        `${this.#journal}: the loaded end ${this.#loadedEnd} lies inside a frame, [${begin}, ${end})`,
      );
    }
    if (this.#begin > 0 && isFirst && frame.sequence > 1) {
      for (const rows of kept)
        this.perhapsRepeated.push({ ...rows, rowLengths: rows.rowLengths.slice(), body: NO_BYTES }); // C4
      return;
    }
    for (const rows of kept) this.#addRows(rows);
  }

  #addRows(frame: Frame): void {
    let offset = frame.bodyBegin;
    for (const length of frame.rowLengths) {
      const number = Math.floor(offset / BUCKET_BYTES);
      let bucket = this.buckets.get(number);
      if (bucket === undefined) this.buckets.set(number, (bucket = { rows: 0, offsetSum: 0 }));
      bucket.rows++;
      bucket.offsetSum += offset % BUCKET_BYTES;
      offset += length;
    }
    this.rows += frame.count;
  }
}

const NO_ROWS: Readonly<Bucket> = { rows: 0, offsetSum: 0 };
const NO_BYTES = new Uint8Array(0);

function joined(a: Mismatch, b: Mismatch): Mismatch {
  return { begin: a.begin, end: b.end, expected: a.expected + b.expected, found: a.found + b.found };
}
