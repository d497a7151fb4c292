// A change of the storage model: entities before and after, as one transaction that holds only if every entity is still
// as it was when the change was decided. Checked against the rules (storage-rules.ts) before it is sent: a violation is
// our bug, whatever the store holds by then.
import { assert } from "@millrace/base";
import type { Compare, StoreOp, TxnRequest } from "@millrace/metadata";
import { encodeJson } from "./storage-codec.ts";
import type { Partition, PartitionKey, SinkSum, Slice, StorageFile } from "./storage-entities.ts";
import { fileKey, partitionKey, sliceKey, sumKey } from "./storage-keys.ts";
import { FILE_SLICES_BOUND, TXN_BYTES_MAX, TXN_OPS_MAX } from "./storage-limits.ts";
import { fileMayBecome, fileViolation, sliceMayBecome, tilingViolation } from "./storage-rules.ts";
import type { StorageView, Stored } from "./storage-view.ts";

/** `before` undefined: it must not exist. `after` undefined: it is removed. `after` = before.value: only guarded. */
interface Change<K extends string, T> {
  readonly kind: K;
  readonly before: Stored<T> | undefined;
  readonly after: T | undefined;
}
export type StorageChange =
  | Change<"partition", Partition>
  | Change<"file", StorageFile>
  | Change<"slice", Slice>
  | Change<"sum", SinkSum>;

/** What etcd counts for an operation beside key and value; generous. */
const OP_OVERHEAD_BYTES = 32;

/** @throws InvariantError when the transaction is larger than D26 allows */
export function txnOf(changes: readonly StorageChange[]): TxnRequest {
  const compare: Compare[] = [];
  const success: StoreOp[] = [];
  let bytes = 0;
  for (const change of changes) {
    const { before, after } = change;
    const key = keyOfChange(change);
    if (before === undefined) compare.push({ target: "version", key, op: "=", version: 0 });
    else compare.push({ target: "mod", key, op: "=", revision: before.modRevision });
    bytes += 2 * (key.length + OP_OVERHEAD_BYTES);
    if (after === undefined) success.push({ kind: "delete", key });
    else if (after !== before?.value) {
      const value = encodeJson(after);
      success.push({ kind: "put", key, value });
      bytes += value.length;
    }
  }
  const facts = { compares: compare.length, operations: success.length, bytes };
  assert(
    compare.length <= TXN_OPS_MAX && success.length <= TXN_OPS_MAX,
    "at most 128 operations (D26)",
    facts,
  );
  assert(bytes <= TXN_BYTES_MAX, "at most 1.5 MiB (D26)", facts);
  return { compare, success };
}

export function keyOfChange(change: StorageChange): string {
  if (change.before !== undefined) return change.before.key;
  assert(change.after !== undefined, "a change has an entity before or after", { kind: change.kind });
  switch (change.kind) {
    case "partition":
      return partitionKey(change.after);
    case "file":
      return fileKey(change.after);
    case "slice":
      return sliceKey(change.after);
    case "sum":
      return sumKey(change.after);
  }
}

/** @throws InvariantError unless the state of `view` after `changes` obeys E1-E3 */
export function checkChanges(view: StorageView, changes: readonly StorageChange[]): void {
  for (const change of changes) checkTransition(change);
  const files = new Map<string, StorageFile | Slice>();
  const partitions = new Map<string, PartitionKey>();
  for (const change of changes) {
    for (const entity of [change.before?.value, change.after]) {
      if (entity === undefined || change.kind === "sum") continue;
      if (change.kind !== "partition") files.set(fileKey(entity as Slice), entity as Slice);
      if (change.kind !== "file") partitions.set(partitionKey(entity as Slice), entity as Slice);
    }
  }
  for (const file of files.values()) checkFile(view, changes, file);
  for (const partition of partitions.values()) checkPartition(view, changes, partition);
}

function checkTransition(change: StorageChange): void {
  const facts = { key: keyOfChange(change) };
  if (change.kind === "file") {
    const from = change.before?.value.state;
    const to = change.after?.state;
    if (from === undefined) assert(to === "writing", "a file begins in writing", facts);
    else if (to === undefined) assert(from === "imported", "only an imported file is removed", facts);
    else assert(fileMayBecome(from, to), `a file goes from ${from} to ${to}`, facts);
  } else if (change.kind === "slice") {
    const from = change.before?.value.state;
    const to = change.after?.state;
    if (from === undefined) assert(to === "writing", "a slice begins in writing", facts);
    else if (to === undefined)
      assert(from === "imported" || from === "writing", `a ${from} slice stays`, facts);
    else assert(sliceMayBecome(from, to), `a slice goes from ${from} to ${to}`, facts);
  }
}

function checkFile(view: StorageView, changes: readonly StorageChange[], key: StorageFile | Slice): void {
  const name = fileKey(key);
  const known = view.sink(key)?.files.get(key.fileId);
  const slices = new Map<string, Slice>();
  for (const [sliceName, stored] of known?.slices ?? []) slices.set(sliceName, stored.value);
  let file = known?.entity?.value;
  for (const change of changes) {
    if (change.kind === "file" && keyOfChange(change) === name) file = change.after;
    if (change.kind !== "slice") continue;
    if (change.before !== undefined && fileKey(change.before.value) === name)
      slices.delete(change.before.key);
    if (change.after !== undefined && fileKey(change.after) === name) {
      slices.set(sliceKey(change.after), change.after);
    }
  }
  if (file === undefined) {
    assert(slices.size === 0, "no slice without its file", { file: name, slices: slices.size });
    return;
  }
  const violation = fileViolation(file, [...slices.values()]);
  assert(violation === undefined, violation ?? "", { file: name });
  assert(slices.size <= FILE_SLICES_BOUND, "slices of a file are bounded", {
    file: name,
    slices: slices.size,
  });
}

function checkPartition(view: StorageView, changes: readonly StorageChange[], key: PartitionKey): void {
  const name = partitionKey(key);
  const known = view.partition(key);
  let partition = known?.entity?.value;
  const removed = new Set<string>();
  const added: Slice[] = [];
  let lowest = Number.POSITIVE_INFINITY;
  for (const change of changes) {
    const changed = change.before?.value ?? change.after;
    if (changed === undefined || !("n" in changed) || partitionKey(changed) !== name) continue;
    if (change.kind === "partition") partition = change.after;
    if (change.kind !== "slice") continue;
    lowest = Math.min(lowest, (changed as Slice).begin);
    if (change.before !== undefined) removed.add(change.before.key);
    if (change.after !== undefined) added.push(change.after);
  }
  const slices = added;
  const before = known?.slices ?? [];
  // What lies before the predecessor of the first slice touched is as it was.
  for (let at = before.length - 1; at >= 0; at--) {
    if (!removed.has(before[at]!.key)) slices.push(before[at]!.value);
    if (before[at]!.value.begin < lowest) break;
  }
  if (partition === undefined) {
    assert(slices.length === 0, "no slice without its partition", { partition: name });
    return;
  }
  const violation = tilingViolation(
    partition,
    slices.sort((a, b) => a.begin - b.begin),
  );
  assert(violation === undefined, violation ?? "", { partition: name });
}
