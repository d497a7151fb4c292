// The steps of slices and files (storage-entities.ts), as pure functions: each takes an entity in one state and
// gives it in the next. A step drops the retry block: it succeeded.
import type { SinkKey } from "./definitions.ts";
import { statisticsOfTotals, type Progress } from "./reader-progress.ts";
import type { RetryBlock } from "./retry-block.ts";
import type {
  PartitionKey,
  ReaderState,
  SliceClosing,
  SliceImported,
  SliceUploaded,
  SliceUploading,
  SliceWriting,
  StagedEntry,
  Statistics,
  StorageFile,
} from "./storage-entities.ts";
import { isoTime } from "./storage-json.ts";
import { isSameTarget, type TargetRef } from "./target-ref.ts";

type FileIn<S extends StorageFile["state"]> = Extract<StorageFile, { state: S }>;

export function openFile(
  { projectId, branchId, sourceId, sinkId }: SinkKey,
  fields: { readonly fileId: string; readonly lane: number; readonly target: TargetRef },
  nowMs: number,
): FileIn<"writing"> {
  const { fileId, lane, target } = fields;
  const key = { projectId, branchId, sourceId, sinkId };
  return { ...key, fileId, lane, target, openedAt: isoTime(nowMs), state: "writing" };
}

/** Id of a sink's next file: the time, but above every earlier one, whatever the clock does. */
export function nextFileId(fileIds: Iterable<string>, nowMs: number): string {
  let id = nowMs;
  for (const earlier of fileIds) id = Math.max(id, Number(earlier) + 1);
  return String(id);
}

export function closeFile(file: FileIn<"writing">, nowMs: number): FileIn<"closing"> {
  return { ...withoutRetry(file), state: "closing", closingAt: isoTime(nowMs) };
}

export function beginImport(file: FileIn<"closing">, nowMs: number): FileIn<"importing"> {
  return { ...withoutRetry(file), state: "importing", importingAt: isoTime(nowMs) };
}

export function endImport(file: FileIn<"importing">, nowMs: number): FileIn<"imported"> {
  return { ...withoutRetry(file), state: "imported", importedAt: isoTime(nowMs) };
}

/** @param startsTarget the partition had another target, or none, before (D23) */
export function openSlice(
  { projectId, branchId, sourceId, sinkId, n }: PartitionKey,
  fields: {
    readonly fileId: string;
    readonly begin: number;
    readonly target: TargetRef;
    readonly startsTarget: boolean;
  },
  nowMs: number,
): SliceWriting {
  const { fileId, begin, target, startsTarget } = fields;
  const key = { projectId, branchId, sourceId, sinkId, fileId, n };
  return { ...key, begin, target, startsTarget, openedAt: isoTime(nowMs), state: "writing" };
}

/** The open slice without bytes goes on in another file: it is the same slice under another key. */
export function moveSlice(slice: SliceWriting, file: FileIn<"writing">): SliceWriting {
  const startsTarget = slice.startsTarget || !isSameTarget(slice.target, file.target);
  return { ...slice, fileId: file.fileId, target: file.target, startsTarget };
}

/** Ends a slice at a boundary that its reader has not reached, or of which nothing is known. */
export function closeSlice(slice: SliceWriting, end: number, nowMs: number): SliceClosing {
  return { ...withoutRetry(slice), state: "closing", end, closingAt: isoTime(nowMs) };
}

/** Ends a slice where its reader stands: it passes through closing, since there is nothing to wait for. */
export function sealSlice(slice: SliceWriting, progress: Progress, nowMs: number): SliceUploading {
  const closing = closeSlice(slice, progress.offset, nowMs);
  return {
    ...closing,
    state: "uploading",
    uploadingAt: isoTime(nowMs),
    statistics: statisticsOfTotals(progress),
  };
}

export interface StagedSlice extends ReaderState {
  readonly statistics: Statistics;
  readonly objects: readonly StagedEntry[];
}

export function endUpload(
  slice: SliceClosing | SliceUploading,
  staged: StagedSlice,
  nowMs: number,
): SliceUploaded {
  const now = isoTime(nowMs);
  const uploadingAt = slice.state === "uploading" ? slice.uploadingAt : now;
  return { ...withoutRetry(slice), ...staged, state: "uploaded", uploadingAt, uploadedAt: now };
}

export function importSlice(slice: SliceUploaded, nowMs: number): SliceImported {
  const { filter: _filter, keysBegin: _keysBegin, ...kept } = withoutRetry(slice);
  return { ...kept, state: "imported", importedAt: isoTime(nowMs) };
}

export function withRetry<T extends { readonly retry?: RetryBlock }>(entity: T, retry: RetryBlock): T {
  return { ...entity, retry };
}

function withoutRetry<T extends { readonly retry?: RetryBlock }>(entity: T): Omit<T, "retry"> {
  const { retry: _retry, ...rest } = entity;
  return rest;
}
