// The store's semantics once more, as plainly as can be: a full copy of the state for each revision. For the property
// test of mvcc.ts.
import { compareBytes } from "@millrace/base";
import type { Compare, Key, KeyValue, StoreOp, TxnRequest } from "./coordination.ts";

type Snapshot = ReadonlyMap<Key, KeyValue>;

export class MvccModel {
  /** One state per revision, from revision 1 on. */
  readonly states: Snapshot[] = [new Map()];
  readonly leases = new Set<bigint>();
  compactRevision = 0;

  get revision(): number {
    return this.states.length;
  }

  at(revision: number): Snapshot {
    return this.states[revision - 1]!;
  }

  /** @returns undefined when the request is to be refused; else the branch and the results as plain text */
  txn(request: TxnRequest): { succeeded: boolean; results: string[] } | undefined {
    for (const branch of [request.success, request.failure ?? []])
      if (hasDuplicates(branch)) return undefined;
    const before = this.at(this.revision);
    const succeeded = request.compare.every((compare) => compareHolds(compare, before));
    const ops = succeeded ? request.success : (request.failure ?? []);
    const state = new Map(before);
    const revision = this.revision + 1;
    const results: string[] = [];
    let changes = 0;
    for (const op of ops) {
      if (op.kind === "put") {
        const old = before.get(op.key);
        if (op.ignoreLease === true && old === undefined) return undefined;
        const lease = op.ignoreLease === true ? old!.lease : (op.lease ?? 0n);
        if (lease !== 0n && !this.leases.has(lease)) return undefined;
        state.set(op.key, nextVersion(op.key, op.value, old, revision, lease));
        changes++;
        results.push("put");
      } else if (op.kind === "delete") {
        const gone = [...state.keys()].filter((key) => covers(op, key));
        for (const key of gone) state.delete(key);
        changes += gone.length;
        results.push(`delete ${gone.length}`);
      } else {
        const asked = op.revision ?? 0;
        if (asked > this.revision || (asked !== 0 && asked < this.compactRevision)) return undefined;
        results.push(describeRange(asked === 0 ? state : this.at(asked), op));
      }
    }
    if (changes > 0) this.states.push(state);
    return { succeeded, results };
  }

  revoke(lease: bigint): void {
    this.leases.delete(lease);
    const state = new Map(this.at(this.revision));
    for (const kv of [...state.values()]) if (kv.lease === lease) state.delete(kv.key);
    if (state.size < this.at(this.revision).size) this.states.push(state);
  }

  /** What differs between `revision` and the one before it: `key=value` or `key-`, in key order. */
  changes(revision: number): string[] {
    const before = this.at(revision - 1);
    const after = this.at(revision);
    const keys = [...new Set([...before.keys(), ...after.keys()])].sort();
    return keys.flatMap((key) => {
      const kv = after.get(key);
      if (kv === undefined) return [`${key}-`];
      return kv === before.get(key) ? [] : [describe(kv)];
    });
  }
}

export function describe(kv: KeyValue): string {
  const { key, value, createRevision, modRevision, version, lease } = kv;
  return `${key}=${value.join(".")}/${createRevision}/${modRevision}/${version}/${lease}`;
}

export function describeRange(
  state: Snapshot,
  range: { readonly key: Key; readonly end?: Key; limit?: number },
): string {
  const kvs = [...state.values()]
    .filter(({ key }) => covers(range, key))
    .sort((a, b) => (a.key < b.key ? -1 : 1));
  const shown = kvs.slice(0, range.limit === undefined || range.limit === 0 ? undefined : range.limit);
  return `range ${kvs.length} ${shown.map(describe).join(" ")}`;
}

function covers({ key: begin, end }: { readonly key: Key; readonly end?: Key }, key: Key): boolean {
  if (end === undefined) return key === begin;
  return key >= begin && (end === "\0" || key < end);
}

function hasDuplicates(ops: readonly StoreOp[]): boolean {
  return ops.some((a, i) => {
    return ops.some((b, j) => {
      if (i === j || a.kind !== "put") return false;
      return (b.kind === "put" && a.key === b.key) || (b.kind === "delete" && covers(b, a.key));
    });
  });
}

function nextVersion(
  key: Key,
  value: Uint8Array,
  old: KeyValue | undefined,
  revision: number,
  lease: bigint,
): KeyValue {
  const createRevision = old === undefined ? revision : old.createRevision;
  return { key, value, createRevision, modRevision: revision, version: (old?.version ?? 0) + 1, lease };
}

function compareHolds(compare: Compare, state: Snapshot): boolean {
  const found = [...state.values()].filter(({ key }) => covers(compare, key));
  if (found.length === 0)
    return compare.target !== "value" && holds(order(fieldOf(compare, undefined)), compare.op);
  return found.every((kv) => holds(order(fieldOf(compare, kv)), compare.op));
}

/** The key's field and what it is compared with. */
function fieldOf(compare: Compare, kv: KeyValue | undefined): readonly [bigint, bigint] {
  if (compare.target === "version") return [BigInt(kv?.version ?? 0), BigInt(compare.version)];
  if (compare.target === "create") return [BigInt(kv?.createRevision ?? 0), BigInt(compare.revision)];
  if (compare.target === "mod") return [BigInt(kv?.modRevision ?? 0), BigInt(compare.revision)];
  if (compare.target === "lease") return [kv?.lease ?? 0n, compare.lease];
  return [BigInt(compareBytes(kv!.value, compare.value)), 0n];
}

function order([a, b]: readonly [bigint, bigint]): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function holds(sign: number, op: Compare["op"]): boolean {
  return op === "=" ? sign === 0 : op === "!=" ? sign !== 0 : op === "<" ? sign < 0 : sign > 0;
}
