// Transactions over the MVCC state: decide what a request does, and read its results once that has happened.
import { compareBytes, unreachable, WireError } from "@millrace/base";
import type {
  Compare,
  CompareOp,
  Key,
  KeyValue,
  StoreOp,
  StoreOpResult,
  TxnRequest,
} from "./coordination.ts";
import { inRange } from "./key.ts";
import type { Mvcc } from "./mvcc.ts";
import type { StoreRecord, Write } from "./records.ts";
import { checkTxn, ETCD_TEXT, refused } from "./txn-rules.ts";

export interface TxnDecision {
  readonly succeeded: boolean;
  /** The operations of the branch taken. */
  readonly ops: readonly StoreOp[];
  /** Keys that each of `ops` deletes; 0 for other operations. */
  readonly deleted: readonly number[];
  /** What is to be logged and replayed; undefined when nothing changes. */
  readonly record: (StoreRecord & { kind: "txn" }) | undefined;
}

/**
 * What `request` does to `state`, without doing it. Values are copied.
 * @throws {WireError} INVALID_ARGUMENT, NOT_FOUND (lease), COMPACTED
 */
export function decideTxn(state: Mvcc, request: TxnRequest): TxnDecision {
  checkTxn(request);
  const succeeded = request.compare.every((compare) => holds(state, compare));
  const ops = succeeded ? request.success : (request.failure ?? []);
  const writes: Write[] = [];
  const deleted: number[] = [];
  const gone = new Set<Key>();
  for (const op of ops) {
    let count = 0;
    switch (op.kind) {
      case "put":
        writes.push({
          kind: "put",
          key: op.key,
          value: new Uint8Array(op.value),
          lease: leaseOfPut(state, op),
        });
        break;
      case "delete":
        for (const key of state.liveKeys(op)) {
          if (gone.has(key)) continue;
          gone.add(key);
          count++;
        }
        if (count > 0) writes.push(deleteOf(op));
        break;
      case "range":
        state.checkReadable(op.revision ?? 0, state.revision);
        break;
      default:
        unreachable(op);
    }
    deleted.push(count);
  }
  const record =
    writes.length === 0 ? undefined : ({ kind: "txn", revision: state.revision + 1, writes } as const);
  return { succeeded, ops, deleted, record };
}

/**
 * Results of a decision whose record, if any, is `state`'s newest revision. A range sees the operations before it and
 * not those behind it.
 */
export function txnResults(state: Mvcc, decision: TxnDecision): readonly StoreOpResult[] {
  const { ops, record } = decision;
  const hidden = new Set<Key>();
  if (record !== undefined && ops.some((op) => op.kind === "range")) {
    for (const { kv } of state.eventsAt(record.revision)) hidden.add(kv.key);
  }
  let changed = false;
  return ops.map((op, at) => {
    switch (op.kind) {
      case "put":
        changed = true;
        hidden.delete(op.key);
        return { kind: "put" };
      case "delete": {
        const count = decision.deleted[at]!;
        if (count > 0) changed = true;
        for (const key of hidden) if (inRange(key, op)) hidden.delete(key);
        return { kind: "delete", deleted: count };
      }
      case "range": {
        const head = record === undefined || changed ? state.revision : state.revision - 1;
        return {
          kind: "range",
          header: state.header(head),
          ...state.range(op, head, changed ? hidden : undefined),
        };
      }
      default:
        return unreachable(op);
    }
  });
}

function leaseOfPut(state: Mvcc, op: StoreOp & { kind: "put" }): bigint {
  if (op.ignoreLease === true) {
    const old = state.newest(op.key);
    if (old === undefined) throw refused(ETCD_TEXT.keyNotFound);
    return old.lease;
  }
  const lease = op.lease ?? 0n;
  if (lease !== 0n && !state.leases.has(lease)) throw new WireError("NOT_FOUND", ETCD_TEXT.leaseNotFound);
  return lease;
}

function deleteOf(op: StoreOp & { kind: "delete" }): Write {
  return op.end === undefined
    ? { kind: "delete", key: op.key }
    : { kind: "delete", key: op.key, end: op.end };
}

/** Whether every key of the compare's range satisfies it; without keys, whether a missing one does. */
function holds(state: Mvcc, compare: Compare): boolean {
  if (compare.end === undefined) return holdsFor(compare, state.newest(compare.key));
  const { kvs } = state.range({ key: compare.key, end: compare.end }, state.revision);
  return kvs.length === 0 ? holdsFor(compare, undefined) : kvs.every((kv) => holdsFor(compare, kv));
}

/** A missing key has version, revisions and lease 0; comparing its value fails, whatever the operator. */
function holdsFor(compare: Compare, kv: KeyValue | undefined): boolean {
  switch (compare.target) {
    case "version":
      return ordered((kv?.version ?? 0) - compare.version, compare.op);
    case "create":
      return ordered((kv?.createRevision ?? 0) - compare.revision, compare.op);
    case "mod":
      return ordered((kv?.modRevision ?? 0) - compare.revision, compare.op);
    case "lease": {
      const lease = kv?.lease ?? 0n;
      return ordered(lease < compare.lease ? -1 : lease > compare.lease ? 1 : 0, compare.op);
    }
    case "value":
      return kv !== undefined && ordered(compareBytes(kv.value, compare.value), compare.op);
    default:
      return unreachable(compare);
  }
}

function ordered(difference: number, op: CompareOp): boolean {
  switch (op) {
    case "=":
      return difference === 0;
    case "!=":
      return difference !== 0;
    case "<":
      return difference < 0;
    case ">":
      return difference > 0;
    default:
      return unreachable(op);
  }
}
