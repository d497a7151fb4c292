// Gathers the changes of many items into few transactions.
//
//  T1  What one item needs (a checkpoint) is in one transaction: it happens as a whole or not at all.
//  T2  A transaction has at most TXN_OPS_MAX operations and as many compares, the fixed ones among them.
//  T3  Each transaction carries the fixed compares. A compare that several checkpoints make is in it once.
import { assert } from "@millrace/base";
import type { Compare, StoreOp, TxnRequest } from "@millrace/metadata";
import { TXN_OPS_MAX } from "./limits.ts";

/** A compare by revision or version, of a key or a range: all that convergence needs. */
export type RevisionCompare = Extract<Compare, { readonly target: "mod" | "create" | "version" }>;

export interface Checkpoint {
  readonly compare: readonly RevisionCompare[];
  readonly ops: readonly StoreOp[];
}

export function gather(
  fixed: readonly RevisionCompare[],
  checkpoints: readonly Checkpoint[],
  opsMax: number = TXN_OPS_MAX,
): TxnRequest[] {
  const txns: TxnRequest[] = [];
  let compare = new Map<string, RevisionCompare>();
  let ops: StoreOp[] = [];
  const flush = (): void => {
    if (ops.length > 0) txns.push({ compare: [...compare.values()], success: ops });
    compare = new Map(fixed.map((one) => [nameOf(one), one]));
    ops = [];
  };
  flush();
  for (const checkpoint of checkpoints) {
    if (!fits(checkpoint, compare, ops.length, opsMax)) flush();
    assert(fits(checkpoint, compare, ops.length, opsMax), "a checkpoint fits a transaction");
    for (const one of checkpoint.compare) compare.set(nameOf(one), one);
    for (const op of checkpoint.ops) ops.push(op);
  }
  flush();
  return txns;
}

function fits(
  checkpoint: Checkpoint,
  compare: ReadonlyMap<string, RevisionCompare>,
  ops: number,
  most: number,
): boolean {
  let compares = compare.size;
  for (const one of checkpoint.compare) if (!compare.has(nameOf(one))) compares++;
  return compares <= most && ops + checkpoint.ops.length <= most;
}

/** Two compares of one name are the same: all are made from one snapshot. */
function nameOf({ target, key, end }: RevisionCompare): string {
  return end === undefined ? `${target} ${key}` : `${target} ${key}\n${end}`;
}
