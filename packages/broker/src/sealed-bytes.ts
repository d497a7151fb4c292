// Which local bytes of a journal count (durability.md D11): those that a restart found, and those that a running broker
// kept when it left the route. Pure. Until the list was read, at a revision not below this process's announcement,
// nothing counts: no spool end, not indexed, not served, not persisted.
//
//  S1  Bytes count in the listed segments of which this member is one, and nowhere else: all others go to quarantine.
//  S2  Those below the end of their segment are acknowledged: they are served and persisted. Those of the segment that
//      goes on count as held, but nobody knows yet which of them are acknowledged: an activation says so.
//      Those beyond where a list is void stay sealed too: the list that follows it may name this member.
//  S3  What this process itself knows to be acknowledged needs no judge.
import { segmentEnd, type HolderId, type HoldersList, type Range } from "./holders-list.ts";

export interface JudgedBytes {
  /** Acknowledged, ascending. */
  readonly acknowledged: readonly Range[];
  /** In the segment that goes on, or beyond where the list is void: sealed, and kept. */
  readonly held: readonly Range[];
  /** Everything else that is here, ascending. */
  readonly quarantine: readonly Range[];
}

/**
 * @param local what is on this disk, ascending and apart
 * @param known what this process knows to be acknowledged (S3)
 */
export function judgeBytes(
  list: HoldersList | undefined,
  self: HolderId,
  local: readonly Range[],
  known: readonly Range[] = [],
): JudgedBytes {
  const sure: Range[] = [...known];
  let open: Range | undefined;
  for (const [index, { begin, members, relisted }] of (list?.segments ?? []).entries()) {
    if (!members.includes(self)) continue;
    const end = segmentEnd(list!, index);
    // S1: what counts of it stands where its members were brought.
    if (end !== undefined && relisted === true) continue;
    if (end === undefined) open = { begin, end: Number.MAX_SAFE_INTEGER };
    else sure.push({ begin, end });
  }
  if (list?.tail.kind === "void") open = { begin: list.tail.begin, end: Number.MAX_SAFE_INTEGER };
  const acknowledged = intersect(local, union(sure));
  const rest = subtract(local, acknowledged);
  const held = open === undefined ? [] : intersect(rest, [open]);
  return { acknowledged, held, quarantine: subtract(rest, held) };
}

/** Ascending, apart, not empty. */
function union(ranges: readonly Range[]): readonly Range[] {
  const out: Range[] = [];
  for (const range of [...ranges].sort((a, b) => a.begin - b.begin)) {
    const last = out.at(-1);
    if (range.begin >= range.end) continue;
    if (last === undefined || range.begin > last.end) out.push(range);
    else out[out.length - 1] = { begin: last.begin, end: Math.max(last.end, range.end) };
  }
  return out;
}

export function intersect(a: readonly Range[], b: readonly Range[]): readonly Range[] {
  const out: Range[] = [];
  for (const x of a) {
    for (const y of b) {
      const [begin, end] = [Math.max(x.begin, y.begin), Math.min(x.end, y.end)];
      if (begin < end) out.push({ begin, end });
    }
  }
  return union(out);
}

export function subtract(a: readonly Range[], b: readonly Range[]): readonly Range[] {
  let left = [...a];
  for (const { begin, end } of b) {
    left = left.flatMap((range) => [
      ...(range.begin < begin ? [{ begin: range.begin, end: Math.min(range.end, begin) }] : []),
      ...(range.end > end ? [{ begin: Math.max(range.begin, end), end: range.end }] : []),
    ]);
  }
  return left.filter(({ begin, end }) => begin < end);
}
