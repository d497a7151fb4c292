// What a request must satisfy before it is looked at: etcd's checks in etcd's order, with its texts.
import { WireError } from "@millrace/base";
import type { Compare, Key, RangeRequest } from "./coordination.ts";
import { etcdRefusal } from "./etcd-refusals.ts";
import { inRange, isKey } from "./key.ts";
import {
  LEASE_TTL_SECONDS_MAX,
  OP_OVERHEAD_BYTES,
  REQUEST_BYTES_MAX,
  TXN_OPS_MAX,
  TXN_TREE_OPS_MAX,
} from "./limits.ts";
import type { WideOp, WideTxn } from "./wide-requests.ts";

/** @throws {WireError} INVALID_ARGUMENT */
export function checkTxn(request: WideTxn): void {
  checkLevel(request, TXN_OPS_MAX, { ops: 0 });
  for (const branch of [request.success, request.failure ?? []]) claimsOf(branch);
  const bytes = requestBytes(request);
  if (bytes > REQUEST_BYTES_MAX) throw etcdRefusal("tooLarge", `${bytes} > ${REQUEST_BYTES_MAX} bytes`);
}

/** @param opsMax a nested transaction may have so many fewer as those around it have @param tree counts all of them */
function checkLevel(request: WideTxn, opsMax: number, tree: { ops: number }): void {
  const failure = request.failure ?? [];
  const ops = Math.max(request.compare.length, request.success.length, failure.length);
  if (ops > opsMax) throw etcdRefusal("tooManyOps", `${ops} > ${opsMax}`);
  tree.ops += request.compare.length + request.success.length + failure.length;
  if (tree.ops > TXN_TREE_OPS_MAX) throw etcdRefusal("tooManyOps", `${tree.ops} > ${TXN_TREE_OPS_MAX}`);
  for (const compare of request.compare) {
    checkKey(compare.key);
    if (compare.end !== undefined) checkChars(compare.end);
  }
  for (const branch of [request.success, failure]) {
    for (const op of branch) {
      if (op.kind === "txn") checkLevel(op.request, opsMax - ops, tree);
      else checkOp(op);
    }
  }
}

/** @throws {WireError} INVALID_ARGUMENT */
export function checkRange(request: RangeRequest): void {
  checkKey(request.key);
  if (request.end !== undefined) checkChars(request.end);
  checkCount("limit", request.limit);
  checkRevision(request.revision);
}

/** @throws {WireError} INVALID_ARGUMENT */
export function checkRevision(revision: number | undefined): void {
  checkCount("revision", revision);
}

/** @throws {WireError} INVALID_ARGUMENT */
export function checkTtl(ttlSeconds: number): void {
  if (!Number.isSafeInteger(ttlSeconds) || ttlSeconds < 1) {
    throw refused(`lease TTL ${ttlSeconds} is not an integer >= 1 (seconds)`);
  }
  if (ttlSeconds > LEASE_TTL_SECONDS_MAX) {
    throw etcdRefusal("ttlTooLarge", `${ttlSeconds} > ${LEASE_TTL_SECONDS_MAX}`);
  }
}

export function checkKey(key: Key): void {
  if (key === "") throw etcdRefusal("emptyKey");
  checkChars(key);
}

/** Bytes that a request counts for its limit. */
export function requestBytes(request: WideTxn): number {
  let bytes = 0;
  for (const compare of request.compare) bytes += compareBytesOf(compare);
  for (const op of request.success) bytes += opBytes(op);
  for (const op of request.failure ?? []) bytes += opBytes(op);
  return bytes;
}

export function refused(message: string): WireError {
  return new WireError("INVALID_ARGUMENT", message);
}

function compareBytesOf(compare: Compare): number {
  const bytes = OP_OVERHEAD_BYTES + compare.key.length + (compare.end?.length ?? 0);
  return bytes + (compare.target === "value" ? compare.value.length : 0);
}

function opBytes(op: WideOp): number {
  if (op.kind === "txn") return OP_OVERHEAD_BYTES + requestBytes(op.request);
  const bytes = OP_OVERHEAD_BYTES + op.key.length;
  if (op.kind === "put") return bytes + op.value.length;
  return bytes + (op.end?.length ?? 0);
}

function checkOp(op: Exclude<WideOp, { readonly kind: "txn" }>): void {
  switch (op.kind) {
    case "put":
      checkKey(op.key);
      if (op.ignoreValue === true && op.value.length > 0) throw etcdRefusal("valueProvided");
      if (op.ignoreLease === true && (op.lease ?? 0n) !== 0n) throw etcdRefusal("leaseProvided");
      return;
    case "delete":
      checkKey(op.key);
      if (op.end !== undefined) checkChars(op.end);
      return;
    case "range":
      checkRange(op);
  }
}

/** What operations write. */
interface Claims {
  readonly puts: Set<Key>;
  readonly deletes: { readonly key: Key; readonly end?: Key }[];
}

/** A key may be put once, and not in a range that the same branch deletes. @throws {WireError} INVALID_ARGUMENT */
function claimsOf(branch: readonly WideOp[]): Claims {
  const all: Claims = { puts: new Set(), deletes: [] };
  for (const op of branch) {
    const { puts, deletes } = claimsOfOp(op);
    for (const key of puts) {
      if (all.puts.has(key) || all.deletes.some((range) => inRange(key, range)))
        throw etcdRefusal("duplicateKey");
    }
    for (const range of deletes) {
      for (const key of all.puts) if (inRange(key, range)) throw etcdRefusal("duplicateKey");
    }
    for (const key of puts) all.puts.add(key);
    all.deletes.push(...deletes);
  }
  return all;
}

/** Of a nested transaction only one branch happens, so its branches may claim the same. */
function claimsOfOp(op: WideOp): Claims {
  if (op.kind === "put") return { puts: new Set([op.key]), deletes: [] };
  if (op.kind === "delete") return { puts: new Set(), deletes: [op] };
  if (op.kind === "range") return { puts: new Set(), deletes: [] };
  const one = claimsOf(op.request.success);
  const other = claimsOf(op.request.failure ?? []);
  return { puts: new Set([...one.puts, ...other.puts]), deletes: [...one.deletes, ...other.deletes] };
}

function checkChars(key: Key): void {
  if (!isKey(key)) throw refused("key has a char above 0xff: keys are binary strings, see keyOf");
}

function checkCount(name: string, value: number | undefined): void {
  if (value === undefined || (Number.isSafeInteger(value) && value >= 0)) return;
  throw refused(`${name} ${value} is not an integer >= 0`);
}
