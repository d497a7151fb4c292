// Everything under `stream/storage/` by sink, partition and file, kept current by the keyspace that mirrors it. What a
// view shows is always the state of one revision, so decisions made from it are consistent, if perhaps late.
import type { Keyspace, KeyspaceChange, KeyspaceEntry } from "@millrace/metadata";
import { sinkPath, type SinkKey } from "./definitions.ts";
import { decodeProgress, type PublishedProgress } from "./reader-progress.ts";
import { decodeFile, decodePartition, decodeReset, decodeSlice, decodeSum } from "./storage-codec.ts";
import type { Partition, PartitionKey, SinkReset, SinkSum, Slice, StorageFile } from "./storage-entities.ts";
import { kindOfKey } from "./storage-keys.ts";

/** A value of the store with the key and the revision under which it stands. */
export interface Stored<T> {
  readonly key: string;
  readonly modRevision: number;
  readonly value: T;
}

export type StorageValue =
  | { readonly kind: "partition"; readonly partition: Partition }
  | { readonly kind: "file"; readonly file: StorageFile }
  | { readonly kind: "slice"; readonly slice: Slice }
  | { readonly kind: "sum"; readonly sum: SinkSum }
  | { readonly kind: "reset"; readonly reset: SinkReset }
  | { readonly kind: "progress"; readonly progress: PublishedProgress }
  | { readonly kind: "other" };

export interface PartitionView {
  readonly n: number;
  readonly entity: Stored<Partition> | undefined;
  /** Ascending by begin. */
  readonly slices: readonly Stored<Slice>[];
  readonly progress: PublishedProgress | undefined;
}

/** How far the partition is read elsewhere. What the reader of an earlier life has left says nothing of this one. */
export function progressOf({ entity, progress }: PartitionView): PublishedProgress | undefined {
  const isOwn = progress?.journal === undefined || progress.journal === entity?.value.journal;
  return isOwn ? progress : undefined;
}

export interface FileView {
  readonly entity: Stored<StorageFile> | undefined;
  readonly slices: ReadonlyMap<string, Stored<Slice>>;
}

export interface SinkView {
  readonly key: SinkKey;
  readonly partitions: ReadonlyMap<number, PartitionView>;
  readonly files: ReadonlyMap<string, FileView>;
  readonly sum: Stored<SinkSum> | undefined;
  readonly reset: SinkReset | undefined;
}

interface MutablePartition {
  readonly n: number;
  entity: Stored<Partition> | undefined;
  readonly slices: Stored<Slice>[];
  progress: PublishedProgress | undefined;
}
interface MutableFile {
  entity: Stored<StorageFile> | undefined;
  readonly slices: Map<string, Stored<Slice>>;
}
interface MutableSink {
  readonly key: SinkKey;
  readonly partitions: Map<number, MutablePartition>;
  readonly files: Map<string, MutableFile>;
  sum: Stored<SinkSum> | undefined;
  reset: SinkReset | undefined;
}

export function decodeStorageValue(key: string, bytes: Uint8Array): StorageValue {
  switch (kindOfKey(key)) {
    case "partition":
      return { kind: "partition", partition: decodePartition(bytes, key) };
    case "file":
      return { kind: "file", file: decodeFile(bytes, key) };
    case "slice":
      return { kind: "slice", slice: decodeSlice(bytes, key) };
    case "sum":
      return { kind: "sum", sum: decodeSum(bytes, key) };
    case "reset":
      return { kind: "reset", reset: decodeReset(bytes, key) };
    case "progress":
      return { kind: "progress", progress: decodeProgress(bytes, key) };
    case "other":
      return { kind: "other" };
  }
}

export class StorageView {
  readonly #sinks = new Map<string, MutableSink>();

  /** By sinkPath. */
  get sinks(): ReadonlyMap<string, SinkView> {
    return this.#sinks;
  }

  sink(key: SinkKey): SinkView | undefined {
    return this.#sinks.get(sinkPath(key));
  }

  partition(key: PartitionKey): PartitionView | undefined {
    return this.partitionAt(sinkPath(key), key.n);
  }

  partitionAt(path: string, n: number): PartitionView | undefined {
    return this.#sinks.get(path)?.partitions.get(n);
  }

  /** Takes over everything that `keyspace` holds. */
  load(keyspace: Keyspace<StorageValue>): void {
    this.apply(keyspace.scan().map((after) => ({ key: after.key, before: undefined, after })));
  }

  /** @returns paths of the sinks that changed */
  apply(changes: readonly KeyspaceChange<StorageValue>[]): ReadonlySet<string> {
    const touched = new Set<string>();
    // A slice that moves to another file has both keys in one update: the old one goes first.
    for (const { before, after } of changes) {
      if (before !== undefined && after === undefined) this.#remove(before, touched);
    }
    for (const { after } of changes) if (after !== undefined) this.#add(after, touched);
    return touched;
  }

  #add(entry: KeyspaceEntry<StorageValue>, touched: Set<string>): void {
    const { key, modRevision, value } = entry;
    switch (value.kind) {
      case "partition":
        this.#partition(value.partition, touched).entity = { key, modRevision, value: value.partition };
        return;
      case "file":
        this.#file(value.file, touched).entity = { key, modRevision, value: value.file };
        return;
      case "slice": {
        const stored = { key, modRevision, value: value.slice };
        this.#file(value.slice, touched).slices.set(key, stored);
        insert(this.#partition(value.slice, touched).slices, stored);
        return;
      }
      case "sum":
        this.#sink(value.sum, touched).sum = { key, modRevision, value: value.sum };
        return;
      case "reset":
        this.#sink(value.reset, touched).reset = value.reset;
        return;
      case "progress":
        this.#partition(value.progress, touched).progress = value.progress;
        return;
      case "other":
    }
  }

  #remove(entry: KeyspaceEntry<StorageValue>, touched: Set<string>): void {
    const { key, value } = entry;
    switch (value.kind) {
      case "partition":
        this.#partition(value.partition, touched).entity = undefined;
        return this.#prune(value.partition);
      case "file":
        this.#file(value.file, touched).entity = undefined;
        return this.#prune(value.file);
      case "slice": {
        this.#file(value.slice, touched).slices.delete(key);
        const { slices } = this.#partition(value.slice, touched);
        slices.splice(
          slices.findLastIndex((stored) => stored.key === key),
          1,
        );
        return this.#prune(value.slice);
      }
      case "sum":
        this.#sink(value.sum, touched).sum = undefined;
        return this.#prune(value.sum);
      case "reset":
        this.#sink(value.reset, touched).reset = undefined;
        return this.#prune(value.reset);
      case "progress":
        this.#partition(value.progress, touched).progress = undefined;
        return this.#prune(value.progress);
      case "other":
    }
  }

  #sink(key: SinkKey, touched: Set<string>): MutableSink {
    const path = sinkPath(key);
    touched.add(path);
    let sink = this.#sinks.get(path);
    if (sink === undefined) {
      const { projectId, branchId, sourceId, sinkId } = key;
      sink = {
        key: { projectId, branchId, sourceId, sinkId },
        partitions: new Map(),
        files: new Map(),
        sum: undefined,
        reset: undefined,
      };
      this.#sinks.set(path, sink);
    }
    return sink;
  }

  #partition(key: PartitionKey, touched: Set<string>): MutablePartition {
    const { partitions } = this.#sink(key, touched);
    let partition = partitions.get(key.n);
    if (partition === undefined) {
      partition = { n: key.n, entity: undefined, slices: [], progress: undefined };
      partitions.set(key.n, partition);
    }
    return partition;
  }

  #file(key: SinkKey & { readonly fileId: string }, touched: Set<string>): MutableFile {
    const { files } = this.#sink(key, touched);
    let file = files.get(key.fileId);
    if (file === undefined) {
      file = { entity: undefined, slices: new Map() };
      files.set(key.fileId, file);
    }
    return file;
  }

  /** Forgets what has become empty of the file, partition or sink that `key` names. */
  #prune(key: SinkKey & { readonly fileId?: string; readonly n?: number }): void {
    const path = sinkPath(key);
    const sink = this.#sinks.get(path)!;
    const file = key.fileId === undefined ? undefined : sink.files.get(key.fileId);
    if (file !== undefined && file.entity === undefined && file.slices.size === 0)
      sink.files.delete(key.fileId!);
    const partition = key.n === undefined ? undefined : sink.partitions.get(key.n);
    if (
      partition !== undefined &&
      partition.entity === undefined &&
      partition.progress === undefined &&
      partition.slices.length === 0
    ) {
      sink.partitions.delete(key.n!);
    }
    const isEmpty = sink.files.size === 0 && sink.partitions.size === 0;
    if (isEmpty && sink.sum === undefined && sink.reset === undefined) this.#sinks.delete(path);
  }
}

/** Keeps the order by begin, replaces the slice of the same key; what changes is nearly always among the last ones. */
function insert(slices: Stored<Slice>[], stored: Stored<Slice>): void {
  const { begin } = stored.value;
  let at = slices.length;
  while (at > 0 && slices[at - 1]!.value.begin > begin) at--;
  for (let same = at - 1; same >= 0 && slices[same]!.value.begin === begin; same--) {
    if (slices[same]!.key !== stored.key) continue;
    slices[same] = stored;
    return;
  }
  slices.splice(at, 0, stored);
}
