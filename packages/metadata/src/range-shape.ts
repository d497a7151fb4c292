// Ranges as etcd's clients shape them: bounds on revisions, an order, and then the limit.
import { compareBytes, unreachable } from "@millrace/base";
import type { Key, KeyValue } from "./coordination.ts";
import type { Mvcc, RangeResult } from "./mvcc.ts";
import type { SortTarget, WideRange } from "./wide-requests.ts";

const NOTHING = new Uint8Array(0);

/** As {@link Mvcc.range}. `count` is of all keys of the range, as etcd counts; bounds and limit do not change it. */
export function shapedRange(
  state: Mvcc,
  request: WideRange,
  head: number,
  hidden?: ReadonlySet<Key>,
): RangeResult {
  if (isPlain(request)) return state.range(request, head, hidden);
  const all = state.range({ ...request, limit: 0, keysOnly: false }, head, hidden);
  let kvs = all.kvs.filter((kv) => isWithin(request, kv));
  if (request.sort !== undefined) kvs.sort(order(request.sort.target, request.sort.descending));
  const limit = request.limit ?? 0;
  const more = limit > 0 && kvs.length > limit;
  if (more) kvs = kvs.slice(0, limit);
  if (request.keysOnly === true) kvs = kvs.map((kv) => ({ ...kv, value: NOTHING }));
  return { kvs, count: all.count, more };
}

function isPlain(request: WideRange): boolean {
  const { minModRevision, maxModRevision, minCreateRevision, maxCreateRevision, sort } = request;
  return (
    sort === undefined &&
    minModRevision === undefined &&
    maxModRevision === undefined &&
    minCreateRevision === undefined &&
    maxCreateRevision === undefined
  );
}

function isWithin(request: WideRange, { modRevision, createRevision }: KeyValue): boolean {
  return (
    modRevision >= (request.minModRevision ?? 0) &&
    modRevision <= (request.maxModRevision ?? Infinity) &&
    createRevision >= (request.minCreateRevision ?? 0) &&
    createRevision <= (request.maxCreateRevision ?? Infinity)
  );
}

/** Equal ones stay in the order of their keys. */
function order(target: SortTarget, descending: boolean): (a: KeyValue, b: KeyValue) => number {
  const sign = descending ? -1 : 1;
  return (a, b) => sign * compareBy(target, a, b);
}

function compareBy(target: SortTarget, a: KeyValue, b: KeyValue): number {
  switch (target) {
    case "key":
      return a.key < b.key ? -1 : a.key > b.key ? 1 : 0;
    case "version":
      return a.version - b.version;
    case "create":
      return a.createRevision - b.createRevision;
    case "mod":
      return a.modRevision - b.modRevision;
    case "value":
      return compareBytes(a.value, b.value);
    default:
      return unreachable(target);
  }
}
