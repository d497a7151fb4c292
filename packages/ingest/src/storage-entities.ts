// Partitions, slices and files as they stand in the coordination store (specification 5.1, 5.2; D21-D23).
//
//   file:   writing ──> closing ──> importing ──> imported
//   slice:  writing ──> closing ──> uploading ──> uploaded ──> imported
//
// E1 A state has exactly the fields that belong to it: a time for each state reached, an end once closing.
// E2 A file's state allows only some states of its slices (PERMITTED).
// E3 The slices of a partition tile it: each begins where its predecessor ends; the last one is writing.
//
// Conditions are not copied into a file, unlike in the original: a file lives for less than a second once it has
// records, and an idle one would keep old conditions for days.
import type { FrameFilterCheckpoint } from "./frame-filter.ts";
import type { RetryBlock } from "./retry-block.ts";
import type { SinkKey } from "./definitions.ts";
import type { TargetRef } from "./target-ref.ts";

/** With what a reader goes on at an offset. */
export interface ReaderState {
  /** State of the frame filter there. */
  readonly filter: FrameFilterCheckpoint;
  /** From where on keys matter there (Y3 of key-window.ts); absent: none do. */
  readonly keysBegin?: number;
}

export interface PartitionKey extends SinkKey {
  readonly n: number;
}

interface PartitionFields extends PartitionKey {
  readonly journal: string;
  readonly createdAt: string;
  /** Everything below `offset` is in uploaded slices. */
  readonly staged: { readonly offset: number } & ReaderState;
}

export type Partition = PartitionFields &
  (
    | { readonly state: "active" }
    /** Imported to its `end`, which is the journal's, into `target`; without an open slice. */
    | {
        readonly state: "retired";
        readonly retiredAt: string;
        readonly end: number;
        readonly target: TargetRef;
      }
  );

export type FileState = "writing" | "closing" | "importing" | "imported";
export type SliceState = "writing" | "closing" | "uploading" | "uploaded" | "imported";
export type Level = "local" | "staging" | "target";

interface FileFields extends SinkKey {
  /** Unix milliseconds of its opening; made larger than that of any earlier file of the sink. */
  readonly fileId: string;
  /** Files of a lane hold slices of the same 24 partitions, and are imported in order (laneOf). */
  readonly lane: number;
  readonly target: TargetRef;
  readonly openedAt: string;
  readonly retry?: RetryBlock;
}

interface FileWriting extends FileFields {
  readonly state: "writing";
}
interface FileClosing extends FileFields {
  readonly state: "closing";
  readonly closingAt: string;
}
interface FileImporting extends FileFields {
  readonly state: "importing";
  readonly closingAt: string;
  readonly importingAt: string;
}
interface FileImported extends FileFields {
  readonly state: "imported";
  readonly closingAt: string;
  readonly importingAt: string;
  readonly importedAt: string;
}
export type StorageFile = FileWriting | FileClosing | FileImporting | FileImported;

/** Specification 1.12. Sizes are bytes of rows; a local slice is not compressed, so both are the same. */
export interface Statistics {
  readonly firstRecordAt?: string;
  readonly lastRecordAt?: string;
  readonly recordsCount: number;
  readonly uncompressedSize: number;
  readonly compressedSize: number;
}

/** A staged object as a slice records it; its columns are those of the sink version. */
export interface StagedEntry {
  readonly path: string;
  readonly sinkVersion: number;
  readonly rows: number;
  readonly bytes: number;
  readonly crc32c: number;
}

interface SliceFields extends SinkKey {
  readonly fileId: string;
  readonly n: number;
  readonly begin: number;
  readonly target: TargetRef;
  /** The rotation that opened the slice chose a target that the partition did not have before (D23). */
  readonly startsTarget: boolean;
  readonly openedAt: string;
  readonly retry?: RetryBlock;
}

interface SliceClosed extends SliceFields {
  readonly end: number;
  readonly closingAt: string;
}
interface SliceStaged extends SliceClosed {
  readonly uploadingAt: string;
  readonly uploadedAt: string;
  readonly statistics: Statistics;
  /** Empty when the slice has no rows (the original's isEmpty). */
  readonly objects: readonly StagedEntry[];
}

export interface SliceWriting extends SliceFields {
  readonly state: "writing";
}
export interface SliceClosing extends SliceClosed {
  readonly state: "closing";
  /** Known when the boundary was where the reader stood. */
  readonly statistics?: Statistics;
}
export interface SliceUploading extends SliceClosed {
  readonly state: "uploading";
  readonly uploadingAt: string;
  readonly statistics?: Statistics;
}
/** The reader's state is that at `begin`: with it the slice can be staged again from the journal. */
export interface SliceUploaded extends SliceStaged, ReaderState {
  readonly state: "uploaded";
}
export interface SliceImported extends SliceStaged {
  readonly state: "imported";
  readonly importedAt: string;
}
export type Slice = SliceWriting | SliceClosing | SliceUploading | SliceUploaded | SliceImported;

/** What files that were removed had loaded: the `_sum` of the target level. */
export interface SinkSum extends SinkKey {
  readonly files: number;
  readonly slices: number;
  readonly statistics: Statistics;
}

/** What is taken off the statistics of a sink since they were cleared: its `~reset`. */
export interface SinkReset extends SinkKey {
  readonly at: string;
  /** All that had been accepted by then, whatever level it was at. */
  readonly statistics: Statistics;
}

/** E2, specification 5.1. */
export const PERMITTED: Readonly<Record<FileState, readonly SliceState[]>> = {
  writing: ["writing", "closing", "uploading", "uploaded"],
  closing: ["closing", "uploading", "uploaded"],
  importing: ["uploaded"],
  imported: ["imported"],
};

export const NEXT_FILE_STATE: Readonly<Record<FileState, FileState | undefined>> = {
  writing: "closing",
  closing: "importing",
  importing: "imported",
  imported: undefined,
};

export const NEXT_SLICE_STATE: Readonly<Record<SliceState, SliceState | undefined>> = {
  writing: "closing",
  closing: "uploading",
  uploading: "uploaded",
  uploaded: "imported",
  imported: undefined,
};

export const SLICE_LEVEL: Readonly<Record<SliceState, Level>> = {
  writing: "local",
  closing: "local",
  uploading: "local",
  uploaded: "staging",
  imported: "target",
};

export const NO_STATISTICS: Statistics = { recordsCount: 0, uncompressedSize: 0, compressedSize: 0 };

export function addStatistics(a: Statistics, b: Statistics): Statistics {
  if (a.recordsCount === 0) return b;
  if (b.recordsCount === 0) return a;
  return {
    firstRecordAt: a.firstRecordAt! < b.firstRecordAt! ? a.firstRecordAt! : b.firstRecordAt!,
    lastRecordAt: a.lastRecordAt! > b.lastRecordAt! ? a.lastRecordAt! : b.lastRecordAt!,
    recordsCount: a.recordsCount + b.recordsCount,
    uncompressedSize: a.uncompressedSize + b.uncompressedSize,
    compressedSize: a.compressedSize + b.compressedSize,
  };
}

/** The end of a slice that has one. */
export function endOf(slice: Slice): number | undefined {
  return slice.state === "writing" ? undefined : slice.end;
}

/** What is known of a slice's rows from its entity. */
export function statisticsOf(slice: Slice): Statistics | undefined {
  return slice.state === "writing" ? undefined : slice.statistics;
}
