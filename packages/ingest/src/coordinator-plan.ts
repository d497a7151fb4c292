// What is to be done for one lane of a sink now: rotate the file, rotate slices, or wait. Pure; coordinator.ts
// performs.
//
// C1 Conditions decide that a rotation is due (coordinator-conditions.ts); bounds decide whether it may be now. While a
//    target is slow the open file grows instead, and while uploads are slow the open slice does: batches follow the
//    load.
// C2 Beyond the bounds nothing is staged: rows wait in their journals, which are durable and not trimmed before import.
// C3 A file whose target is no longer the sink's is rotated, empty or not: the next record goes to the new target.
// C4 Open slices of which nothing was read move to the next file, and do not count as slices of theirs. Counting them
//    would rotate a sink with many partitions for ever, without a record.
import type { SinkConditions } from "./definitions.ts";
import {
  importVerdict,
  uploadVerdict,
  type ImportReason,
  type UploadReason,
} from "./coordinator-conditions.ts";
import type { Progress } from "./reader-progress.ts";
import { statisticsOf, type Slice, type SliceWriting, type StorageFile } from "./storage-entities.ts";
import { msOf } from "./storage-json.ts";
import { FILE_SLICES_MAX, WAITING_FILES, WAITING_FILES_MAX, WAITING_SLICES_MAX } from "./storage-limits.ts";
import { isSameTarget, type TargetRef } from "./target-ref.ts";

export interface OpenSlice {
  readonly slice: SliceWriting;
  /** What its reader has read of it; undefined while nobody reads. */
  readonly progress: Progress | undefined;
  /** Closed slices of the same partition that are not uploaded yet. */
  readonly waiting: number;
}

export interface LaneState {
  readonly conditions: SinkConditions;
  /** Of the sink's newest version; undefined when the sink is unknown. */
  readonly target: TargetRef | undefined;
  readonly file: Extract<StorageFile, { state: "writing" }>;
  /** Slices of the file that are not open. */
  readonly closed: readonly Slice[];
  readonly open: readonly OpenSlice[];
  /** Files of the lane that are closing or importing. */
  readonly waitingFiles: number;
  /** Everything is to be imported as soon as possible: the process is about to end, or the sink takes no records. */
  readonly draining: boolean;
}

export type FileReason = ImportReason | "target" | "drain";
export type SliceReason = UploadReason | "bound";

export interface LanePlan {
  readonly file?: FileReason;
  readonly slices: readonly { readonly slice: SliceWriting; readonly reason: SliceReason }[];
  /** Milliseconds after which time alone may change the plan. */
  readonly againMs?: number;
}

export function planLane(lane: LaneState, nowMs: number): LanePlan {
  const due = fileDue(lane, nowMs);
  if (due.kind === "yes" && mayRotateFile(lane, due.reason)) return { file: due.reason, slices: [] };
  const waits = due.kind === "no" && due.againMs !== undefined ? [due.againMs] : [];
  const slices: { slice: SliceWriting; reason: SliceReason }[] = [];
  let room = FILE_SLICES_MAX - lane.closed.length - lane.open.length;
  for (const open of lane.open) {
    const verdict = sliceDue(lane, open, nowMs);
    if (verdict.kind === "no") {
      if (verdict.againMs !== undefined) waits.push(verdict.againMs);
    } else if (room > 0 && mayRotateSlice(lane, open, verdict.reason)) {
      slices.push({ slice: open.slice, reason: verdict.reason });
      room--;
    }
  }
  return waits.length === 0 ? { slices } : { slices, againMs: Math.min(...waits) };
}

function fileDue(
  lane: LaneState,
  nowMs: number,
): { kind: "yes"; reason: FileReason } | { kind: "no"; againMs?: number } {
  if (lane.target !== undefined && !isSameTarget(lane.target, lane.file.target))
    return { kind: "yes", reason: "target" };
  let records = 0;
  let bytes = 0;
  let slices = lane.closed.length;
  for (const slice of lane.closed) {
    const known = statisticsOf(slice);
    records += known?.recordsCount ?? 0;
    bytes += known?.compressedSize ?? 0;
  }
  for (const { slice, progress } of lane.open) {
    if (progress === undefined) continue;
    records += progress.records;
    bytes += progress.bytes;
    if (progress.offset > slice.begin) slices++;
  }
  if (slices === 0) return { kind: "no" }; // C4
  if (lane.draining) return { kind: "yes", reason: "drain" };
  const sinceOpenedMs = nowMs - msOf(lane.file.openedAt);
  const facts = { slices, records, bytes, sinceOpenedMs, untilExpirationMs: undefined };
  return importVerdict(lane.conditions.import, facts);
}

/** C1: the original's throttle, which only a full file overrides, up to a bound of its own. */
function mayRotateFile({ waitingFiles, closed, open }: LaneState, reason: FileReason): boolean {
  if (reason === "target" || waitingFiles < WAITING_FILES) return true;
  const full = reason === "max-slices" || closed.length + open.length >= FILE_SLICES_MAX;
  return full && waitingFiles < WAITING_FILES_MAX;
}

/** C1: a slice that is early has no use while its file could not be imported. */
function mayRotateSlice({ waitingFiles }: LaneState, { waiting }: OpenSlice, reason: SliceReason): boolean {
  if (reason === "interval" && waitingFiles >= WAITING_FILES) return false;
  return waiting < WAITING_SLICES_MAX;
}

function sliceDue(
  { conditions }: LaneState,
  { slice, progress }: OpenSlice,
  nowMs: number,
): { kind: "yes"; reason: SliceReason } | { kind: "no"; againMs?: number } {
  if (progress === undefined || progress.offset === slice.begin) return { kind: "no" };
  if (progress.full) return { kind: "yes", reason: "bound" };
  const sinceOpenedMs = nowMs - msOf(slice.openedAt);
  return uploadVerdict(conditions.upload, {
    records: progress.records,
    bytes: progress.bytes,
    sinceOpenedMs,
  });
}
