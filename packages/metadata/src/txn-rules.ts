// What a request must satisfy before it is looked at: etcd's checks in etcd's order, with its texts.
import { WireError } from "@millrace/base";
import type { Compare, Key, RangeRequest, StoreOp, TxnRequest } from "./coordination.ts";
import { inRange, isKey } from "./key.ts";
import { LEASE_TTL_SECONDS_MAX, OP_OVERHEAD_BYTES, REQUEST_BYTES_MAX, TXN_OPS_MAX } from "./limits.ts";

export const ETCD_TEXT = {
  emptyKey: "etcdserver: key is not provided",
  keyNotFound: "etcdserver: key not found",
  leaseProvided: "etcdserver: lease is provided",
  tooManyOps: "etcdserver: too many operations in txn request",
  duplicateKey: "etcdserver: duplicate key given in txn request",
  tooLarge: "etcdserver: request is too large",
  compacted: "etcdserver: mvcc: required revision has been compacted",
  futureRevision: "etcdserver: mvcc: required revision is a future revision",
  leaseNotFound: "etcdserver: requested lease not found",
  leaseExists: "etcdserver: lease already exists",
  ttlTooLarge: "etcdserver: too large lease TTL",
} as const;

/** @throws {WireError} INVALID_ARGUMENT */
export function checkTxn(request: TxnRequest): void {
  const failure = request.failure ?? [];
  const ops = Math.max(request.compare.length, request.success.length, failure.length);
  if (ops > TXN_OPS_MAX) throw refused(`${ETCD_TEXT.tooManyOps} (${ops} > ${TXN_OPS_MAX})`);
  for (const compare of request.compare) {
    checkKey(compare.key);
    if (compare.end !== undefined) checkChars(compare.end);
  }
  for (const branch of [request.success, failure]) {
    for (const op of branch) checkOp(op);
    checkDuplicates(branch);
  }
  const bytes = requestBytes(request);
  if (bytes > REQUEST_BYTES_MAX)
    throw refused(`${ETCD_TEXT.tooLarge} (${bytes} > ${REQUEST_BYTES_MAX} bytes)`);
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
    throw refused(`${ETCD_TEXT.ttlTooLarge} (${ttlSeconds} > ${LEASE_TTL_SECONDS_MAX})`);
  }
}

export function checkKey(key: Key): void {
  if (key === "") throw refused(ETCD_TEXT.emptyKey);
  checkChars(key);
}

/** Bytes that a request counts for its limit. */
export function requestBytes(request: TxnRequest): number {
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

function opBytes(op: StoreOp): number {
  const bytes = OP_OVERHEAD_BYTES + op.key.length;
  if (op.kind === "put") return bytes + op.value.length;
  return bytes + (op.end?.length ?? 0);
}

function checkOp(op: StoreOp): void {
  switch (op.kind) {
    case "put":
      checkKey(op.key);
      if (op.ignoreLease === true && (op.lease ?? 0n) !== 0n) throw refused(ETCD_TEXT.leaseProvided);
      return;
    case "delete":
      checkKey(op.key);
      if (op.end !== undefined) checkChars(op.end);
      return;
    case "range":
      checkRange(op);
  }
}

/** A key may be put once, and not in a range that the same branch deletes. */
function checkDuplicates(branch: readonly StoreOp[]): void {
  const put = new Set<Key>();
  for (const op of branch) {
    if (op.kind !== "put") continue;
    if (put.has(op.key)) throw refused(ETCD_TEXT.duplicateKey);
    put.add(op.key);
  }
  for (const op of branch) {
    if (op.kind !== "delete") continue;
    for (const key of put) if (inRange(key, op)) throw refused(ETCD_TEXT.duplicateKey);
  }
}

function checkChars(key: Key): void {
  if (!isKey(key)) throw refused("key has a char above 0xff: keys are binary strings, see keyOf");
}

function checkCount(name: string, value: number | undefined): void {
  if (value === undefined || (Number.isSafeInteger(value) && value >= 0)) return;
  throw refused(`${name} ${value} is not an integer >= 0`);
}
