// What a reader holds of a partition: rows of a span of offsets that begins and ends at frames, by sink version. Slices
// are made of whole segments, so a boundary that the reader has sealed costs nothing later.
import { NO_POOL, type BytePool } from "./byte-pool.ts";
import type { Frame } from "./frame.ts";
import type { Totals } from "./reader-progress.ts";
import { ColumnStage } from "./staging-columns.ts";
import type { ReaderState } from "./storage-entities.ts";

export class Segment {
  readonly begin: number;
  end: number;
  /** The reader's state at `end`, once sealed. */
  state: ReaderState | undefined;
  readonly stages = new Map<number, ColumnStage>();
  records = 0;
  /** Bytes of rows. */
  bytes = 0;
  firstMs = 0;
  lastMs = 0;
  /** Somebody may still read the pages, though it was told to end. */
  lent = false;
  readonly #pool: BytePool;

  constructor(begin: number, pool: BytePool = NO_POOL) {
    this.begin = begin;
    this.end = begin;
    this.#pool = pool;
  }

  /** The rows are needed no more. */
  release(): void {
    if (!this.lent) for (const stage of this.stages.values()) stage.release();
    this.stages.clear();
  }

  /** @throws {WireError} CORRUPT; then nothing was added */
  add(frame: Frame): void {
    let stage = this.stages.get(frame.sinkVersion);
    if (stage === undefined) {
      stage = new ColumnStage(this.#pool);
      this.stages.set(frame.sinkVersion, stage);
    }
    stage.add(frame);
    this.records += frame.count;
    this.bytes += frame.body.length;
    if (this.firstMs === 0 || frame.acceptedAtMs < this.firstMs) this.firstMs = frame.acceptedAtMs;
    if (frame.acceptedAtMs > this.lastMs) this.lastMs = frame.acceptedAtMs;
    this.end = frame.end;
  }

  /**
   * A frame that stood before (D20), or whose rows repeat others (D24): its offsets belong to the span, its rows do
   * not.
   */
  skip(frame: Frame): void {
    this.end = frame.end;
  }

  /** A hole: what stood there was given up. */
  passTo(end: number): void {
    this.end = end;
  }
}

export function totalsOf(segments: readonly Segment[]): Totals {
  let records = 0;
  let bytes = 0;
  let firstMs = 0;
  let lastMs = 0;
  for (const segment of segments) {
    if (segment.records === 0) continue;
    records += segment.records;
    bytes += segment.bytes;
    if (firstMs === 0 || segment.firstMs < firstMs) firstMs = segment.firstMs;
    if (segment.lastMs > lastMs) lastMs = segment.lastMs;
  }
  return { records, bytes, firstMs, lastMs };
}

/** Stages of each sink version of `segments`, versions in the order of their first rows. */
export function stagesByVersion(segments: readonly Segment[]): ReadonlyMap<number, readonly ColumnStage[]> {
  const stages = new Map<number, ColumnStage[]>();
  for (const segment of segments) {
    for (const [version, stage] of segment.stages) {
      if (stage.rows === 0) continue;
      const known = stages.get(version);
      if (known === undefined) stages.set(version, [stage]);
      else known.push(stage);
    }
  }
  return stages;
}
