// The transactions of rotation and import as data: pure, so that their size (D26) can be tested for every shape.
import { nextFileId, openFile, openSlice, closeFile, moveSlice, sealSlice } from "./storage-transitions.ts";
import { beginImport, endImport, importSlice } from "./storage-transitions.ts";
import type { Progress } from "./reader-progress.ts";
import type { StorageChange } from "./storage-change.ts";
import type { Slice, SliceUploaded, SliceWriting, StorageFile } from "./storage-entities.ts";
import type { Stored } from "./storage-view.ts";
import { isSameTarget, type TargetRef } from "./target-ref.ts";

export type FileIn<S extends StorageFile["state"]> = Extract<StorageFile, { state: S }>;

/** How far the reader of a slice's partition is; it can end the slice there. */
export type SealSlice = (slice: SliceWriting) => Progress | undefined;

/**
 * Closes `file` with all its open slices and opens the next one with slices that go on where those ended.
 * @param fileIds of the sink, so that the next one's is larger
 */
export function rotateFileChanges(
  file: Stored<FileIn<"writing">>,
  slices: Iterable<Stored<Slice>>,
  next: { readonly fileIds: Iterable<string>; readonly target: TargetRef },
  seal: SealSlice,
  nowMs: number,
): StorageChange[] {
  const fileId = nextFileId(next.fileIds, nowMs);
  const opened = openFile(file.value, { fileId, lane: file.value.lane, target: next.target }, nowMs);
  const changes: StorageChange[] = [
    { kind: "file", before: file, after: closeFile(file.value, nowMs) },
    { kind: "file", before: undefined, after: opened },
  ];
  for (const slice of slices) {
    if (slice.value.state === "writing") changes.push(...rotated(slice, slice.value, opened, seal, nowMs));
  }
  return changes;
}

/** Closes `slices` of a file and opens their successors in it. */
export function rotateSlicesChanges(
  file: Stored<FileIn<"writing">>,
  slices: Iterable<Stored<Slice>>,
  seal: SealSlice,
  nowMs: number,
): StorageChange[] {
  const changes: StorageChange[] = [{ kind: "file", before: file, after: file.value }];
  for (const slice of slices) {
    if (slice.value.state === "writing")
      changes.push(...rotated(slice, slice.value, file.value, seal, nowMs));
  }
  return changes;
}

export function beginImportChanges(
  file: Stored<FileIn<"closing">>,
  slices: Iterable<Stored<Slice>>,
  nowMs: number,
): StorageChange[] {
  const guards = [...slices].map((slice): StorageChange => ({
    kind: "slice",
    before: slice,
    after: slice.value,
  }));
  return [{ kind: "file", before: file, after: beginImport(file.value, nowMs) }, ...guards];
}

export function endImportChanges(
  file: Stored<FileIn<"importing">>,
  slices: Iterable<Stored<SliceUploaded>>,
  nowMs: number,
): StorageChange[] {
  const changes: StorageChange[] = [{ kind: "file", before: file, after: endImport(file.value, nowMs) }];
  for (const slice of slices)
    changes.push({ kind: "slice", before: slice, after: importSlice(slice.value, nowMs) });
  return changes;
}

/** Ends an open slice where its reader stands and opens the next in `file`; one without bytes moves there. */
function rotated(
  stored: Stored<Slice>,
  slice: SliceWriting,
  file: FileIn<"writing">,
  seal: SealSlice,
  nowMs: number,
): StorageChange[] {
  const progress = seal(slice);
  if (progress === undefined || progress.begin !== slice.begin || progress.offset === slice.begin) {
    if (slice.fileId === file.fileId) return [];
    return [
      { kind: "slice", before: stored, after: undefined },
      { kind: "slice", before: undefined, after: moveSlice(slice, file) },
    ];
  }
  const { fileId, target } = file;
  const fields = {
    fileId,
    begin: progress.offset,
    target,
    startsTarget: !isSameTarget(slice.target, target),
  };
  return [
    { kind: "slice", before: stored, after: sealSlice(slice, progress, nowMs) },
    { kind: "slice", before: undefined, after: openSlice(slice, fields, nowMs) },
  ];
}
