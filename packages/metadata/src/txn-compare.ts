// The compares of a transaction against the state.
import { compareBytes, unreachable } from "@millrace/base";
import type { Compare, CompareOp, KeyValue } from "./coordination.ts";
import type { Mvcc } from "./mvcc.ts";

/** Whether every key of the compare's range satisfies it; without keys, whether a missing one does. */
export function holds(state: Mvcc, compare: Compare): boolean {
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
