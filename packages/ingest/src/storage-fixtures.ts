// Entities of the storage model for tests: every field defaulted, so that what is set matters.
import type { FileState, Slice, SliceState, StorageFile } from "./storage-entities.ts";
import { fileKey, sliceKey } from "./storage-keys.ts";
import type { Stored } from "./storage-view.ts";

const AT = "2026-01-01T00:00:00.000Z";
const KEY = { projectId: 1, branchId: 1, sourceId: "source", sinkId: "sink" };
const FILE_TIMES = ["closingAt", "importingAt", "importedAt"] as const;
const SLICE_TIMES = ["closingAt", "uploadingAt", "uploadedAt", "importedAt"] as const;
const FILE_REACHED = { writing: 0, closing: 1, importing: 2, imported: 3 } as const;
const SLICE_REACHED = { writing: 0, closing: 1, uploading: 2, uploaded: 3, imported: 4 } as const;

export function storedFile<S extends FileState>(
  state: S,
  fields: Partial<StorageFile> = {},
): Stored<Extract<StorageFile, { state: S }>> {
  const times = FILE_TIMES.slice(0, FILE_REACHED[state]).map((name) => [name, AT]);
  const value = {
    ...KEY,
    fileId: "1767225600000",
    lane: 0,
    target: { kind: "duckdb", tableId: "main.sink" },
    openedAt: AT,
    ...Object.fromEntries(times),
    ...fields,
    state,
  } as Extract<StorageFile, { state: S }>;
  return { key: fileKey(value), modRevision: 7, value };
}

export function storedSlice<S extends SliceState>(
  state: S,
  fields: Partial<Extract<Slice, { state: "uploaded" }>> = {},
): Stored<Extract<Slice, { state: S }>> {
  const reached = SLICE_REACHED[state];
  const times = SLICE_TIMES.slice(0, reached).map((name) => [name, AT]);
  const { end = 100, objects, statistics, filter, ...common } = fields;
  const value = {
    ...KEY,
    fileId: "1767225600000",
    n: 0,
    begin: 0,
    target: { kind: "duckdb", tableId: "main.sink" },
    startsTarget: false,
    openedAt: AT,
    ...Object.fromEntries(times),
    ...(reached === 0 ? {} : { end }),
    ...(reached < SLICE_REACHED.uploaded
      ? {}
      : {
          objects: objects ?? [{ path: "a/b.parquet", sinkVersion: 1, rows: 2, bytes: 30, crc32c: 5 }],
          statistics: statistics ?? {
            firstRecordAt: AT,
            lastRecordAt: AT,
            recordsCount: 2,
            uncompressedSize: 20,
            compressedSize: 20,
          },
        }),
    ...(state === "uploaded" ? { filter: filter ?? [] } : {}),
    ...common,
    state,
  } as unknown as Extract<Slice, { state: S }>;
  return { key: sliceKey(value), modRevision: 7, value };
}
