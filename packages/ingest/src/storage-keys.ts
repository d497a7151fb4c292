// Keys of the storage model (specification 5.4, with partitions in the place of volumes).
//
// An entity stands under one key, not a second time under its level: the mirror finds a level's entities in memory, and
// the copies would triple the operations of a transaction (D26).
import { hex16 } from "@millrace/base";
import { keyOf, type Key } from "@millrace/metadata";
import { sinkPath, type SinkKey } from "./definitions.ts";
import type { PartitionKey, Slice, StorageFile } from "./storage-entities.ts";

export const STORAGE_PREFIX: Key = "stream/storage/";
const PARTITIONS = "stream/storage/partition/all/";
const FILES = "stream/storage/file/all/";
/** Of all slices. */
export const SLICES_PREFIX: Key = "stream/storage/slice/all/";
const LOCAL_STATS = "stream/storage/stats/local/";
const TARGET_STATS = "stream/storage/stats/target/";

export type StorageKind = "partition" | "file" | "slice" | "sum" | "reset" | "progress" | "other";

export function partitionKey(key: PartitionKey): Key {
  return keyOf(`${PARTITIONS}${sinkPath(key)}/${partitionName(key.n)}`);
}

export function fileKey(file: Pick<StorageFile, "fileId"> & SinkKey): Key {
  return keyOf(`${FILES}${sinkPath(file)}/${file.fileId}`);
}

/** Prefix of the keys of all files of a sink. */
export function filesPrefix(key: SinkKey): Key {
  return keyOf(`${FILES}${sinkPath(key)}/`);
}

export function sliceKey(slice: Pick<Slice, "fileId" | "n" | "begin"> & SinkKey): Key {
  return keyOf(
    `${SLICES_PREFIX}${sinkPath(slice)}/${slice.fileId}/${partitionName(slice.n)}/${hex16(slice.begin)}`,
  );
}

/** Prefix of the keys of all partitions of a sink. */
export function partitionsPrefix(key: SinkKey): Key {
  return keyOf(`${PARTITIONS}${sinkPath(key)}/`);
}

/** Prefix of what readers have published of a sink. */
export function progressPrefix(key: SinkKey): Key {
  return keyOf(`${LOCAL_STATS}${sinkPath(key)}/`);
}

/** Prefixes of everything that the storage model has of a sink. */
export function storagePrefixes(key: SinkKey): readonly Key[] {
  return [PARTITIONS, FILES, SLICES_PREFIX, LOCAL_STATS, TARGET_STATS].map((part) =>
    keyOf(`${part}${sinkPath(key)}/`),
  );
}

/** What files that were removed had loaded. */
export function sumKey(key: SinkKey): Key {
  return keyOf(`${TARGET_STATS}${sinkPath(key)}/_sum`);
}

/** What its statistics were when they were cleared. */
export function resetKey(key: SinkKey): Key {
  return keyOf(`${TARGET_STATS}${sinkPath(key)}/~reset`);
}

/** How far a reader of another process is in the open slice of a partition. */
export function progressKey(key: PartitionKey): Key {
  return keyOf(`${LOCAL_STATS}${sinkPath(key)}/${partitionName(key.n)}`);
}

export function kindOfKey(key: Key): StorageKind {
  if (key.startsWith(SLICES_PREFIX)) return "slice";
  if (key.startsWith(FILES)) return "file";
  if (key.startsWith(PARTITIONS)) return "partition";
  if (key.startsWith(LOCAL_STATS)) return "progress";
  if (!key.startsWith(TARGET_STATS)) return "other";
  if (key.endsWith("/~reset")) return "reset";
  return key.endsWith("/_sum") ? "sum" : "other";
}

/** `p000`, …: as in the journal's name. */
function partitionName(n: number): string {
  return `p${String(n).padStart(3, "0")}`;
}
