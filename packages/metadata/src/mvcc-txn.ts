// Transactions over the MVCC state: decide what a request does, and read its results once that has happened.
//
// X1 Compares, nested ones included, and the previous values that are asked for are of the state before the
//    transaction. A range sees the operations before it and not those behind it.
import { assert, unreachable } from "@millrace/base";
import type { Key, KeyValue, StoreOpResult } from "./coordination.ts";
import { etcdRefusal } from "./etcd-refusals.ts";
import { inRange } from "./key.ts";
import type { Mvcc } from "./mvcc.ts";
import { shapedRange } from "./range-shape.ts";
import type { StoreRecord, Write } from "./records.ts";
import { holds } from "./txn-compare.ts";
import { checkTxn } from "./txn-rules.ts";
import type { WideDelete, WideOp, WidePut, WideResult, WideTxn } from "./wide-requests.ts";

/** A branch that was taken, with what its operations find. */
interface Branch {
  readonly succeeded: boolean;
  readonly ops: readonly DecidedOp[];
}

type DecidedOp =
  | { readonly kind: "put"; readonly op: WidePut; readonly previous: KeyValue | undefined }
  | { readonly kind: "delete"; readonly op: WideDelete; readonly previous: readonly KeyValue[] }
  | { readonly kind: "range"; readonly op: WideOp & { readonly kind: "range" } }
  | { readonly kind: "txn"; readonly branch: Branch };

export interface TxnDecision extends Branch {
  /** What is to be logged and replayed; undefined when nothing changes. */
  readonly record: (StoreRecord & { kind: "txn" }) | undefined;
}

/**
 * What `request` does to `state`, without doing it. Values are copied.
 * @throws {WireError} INVALID_ARGUMENT, NOT_FOUND (lease), COMPACTED
 */
export function decideTxn(state: Mvcc, request: WideTxn): TxnDecision {
  checkTxn(request);
  const writes: Write[] = [];
  const branch = decideBranch(state, request, writes, new Set());
  const record =
    writes.length === 0 ? undefined : ({ kind: "txn", revision: state.revision + 1, writes } as const);
  return { ...branch, record };
}

/**
 * Results of a decision whose record, if any, is `state`'s newest revision.
 */
export function txnResults(state: Mvcc, { ops, record }: TxnDecision): readonly WideResult[] {
  const hidden = new Set<Key>();
  if (record !== undefined && ops.some(reads)) {
    for (const { kv } of state.eventsAt(record.revision)) hidden.add(kv.key);
  }
  return resultsOf(state, ops, { hidden, head: state.revision - (record === undefined ? 0 : 1) });
}

/** The results of a transaction of the port. */
export function portResults(results: readonly WideResult[]): readonly StoreOpResult[] {
  return results.map((result) => {
    assert(result.kind !== "txn", "the port has no nested transactions");
    return result;
  });
}

/** @param writes gets what the branch writes @param gone keys that operations before have deleted */
function decideBranch(state: Mvcc, request: WideTxn, writes: Write[], gone: Set<Key>): Branch {
  const succeeded = request.compare.every((compare) => holds(state, compare));
  const ops = (succeeded ? request.success : (request.failure ?? [])).map((op): DecidedOp => {
    switch (op.kind) {
      case "put": {
        const previous = state.newest(op.key);
        writes.push(writeOf(state, op, previous));
        return { kind: "put", op, previous };
      }
      case "delete": {
        const keys = state.liveKeys(op).filter((key) => !gone.has(key));
        for (const key of keys) gone.add(key);
        if (keys.length > 0) writes.push(deleteOf(op));
        return { kind: "delete", op, previous: keys.map((key) => state.newest(key)!) };
      }
      case "range":
        state.checkReadable(op.revision ?? 0, state.revision);
        return { kind: "range", op };
      case "txn":
        return { kind: "txn", branch: decideBranch(state, op.request, writes, gone) };
      default:
        return unreachable(op);
    }
  });
  return { succeeded, ops };
}

/** What ranges see: up to `head`, but not yet the change of a key in `hidden`. */
interface View {
  readonly hidden: Set<Key>;
  head: number;
}

function resultsOf(state: Mvcc, ops: readonly DecidedOp[], view: View): readonly WideResult[] {
  return ops.map((decided): WideResult => {
    switch (decided.kind) {
      case "put": {
        view.head = state.revision;
        view.hidden.delete(decided.op.key);
        const { op, previous } = decided;
        return op.wantPrevious === true && previous !== undefined
          ? { kind: "put", previous }
          : { kind: "put" };
      }
      case "delete": {
        const { op, previous } = decided;
        if (previous.length > 0) view.head = state.revision;
        for (const key of view.hidden) if (inRange(key, op)) view.hidden.delete(key);
        const deleted = previous.length;
        return op.wantPrevious === true ? { kind: "delete", deleted, previous } : { kind: "delete", deleted };
      }
      case "range": {
        const { head, hidden } = view;
        const seen = shapedRange(state, decided.op, head, head === state.revision ? hidden : undefined);
        return { kind: "range", header: state.header(head), ...seen };
      }
      case "txn": {
        const { succeeded, ops: inner } = decided.branch;
        return { kind: "txn", succeeded, results: resultsOf(state, inner, view) };
      }
      default:
        return unreachable(decided);
    }
  });
}

function reads(decided: DecidedOp): boolean {
  if (decided.kind === "txn") return decided.branch.ops.some(reads);
  return decided.kind === "range";
}

function writeOf(state: Mvcc, op: WidePut, previous: KeyValue | undefined): Write {
  if ((op.ignoreValue === true || op.ignoreLease === true) && previous === undefined) {
    throw etcdRefusal("keyNotFound");
  }
  const lease = op.ignoreLease === true ? previous!.lease : (op.lease ?? 0n);
  if (lease !== 0n && !state.leases.has(lease)) throw etcdRefusal("leaseNotFound");
  const value = op.ignoreValue === true ? previous!.value : new Uint8Array(op.value);
  return { kind: "put", key: op.key, value, lease };
}

function deleteOf(op: WideDelete): Write {
  return op.end === undefined
    ? { kind: "delete", key: op.key }
    : { kind: "delete", key: op.key, end: op.end };
}
