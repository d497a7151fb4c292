// Cover sets: spans in order of begin and end, none contained in another single one (gazette-broker.md 5.1). They
// prefer larger spans. Since no member holds another, begins and ends both ascend strictly.

export interface Span {
  readonly begin: number;
  readonly end: number;
}

/**
 * Adds `span` to the cover set `set` in place. An empty span is ignored, and so is one that a larger member holds;
 * otherwise it replaces the members that it holds, one of the same range too. (Gazette's Add replaces only the last
 * member when `span` ends beyond it, and so may leave others that `span` holds; here the invariant comes first.)
 * @returns whether `set` changed
 */
export function addCover<T extends Span>(set: T[], span: T): boolean {
  if (span.end <= span.begin) return false;
  const last = set.at(-1);
  if (last === undefined || last.end < span.end) {
    if (last !== undefined && last.begin >= span.begin)
      replaceHeld(set, firstEndingAfter(set, span.begin), span);
    else set.push(span);
    return true;
  }
  let from = firstEndingAfter(set, span.begin);
  for (; from < set.length; from++) {
    const member = set[from]!;
    if (member.begin <= span.begin && member.end >= span.end && !sameRange(member, span)) return false;
    if (member.begin >= span.begin) break;
  }
  replaceHeld(set, from, span);
  return true;
}

/**
 * Finds the member that holds `offset` and reaches furthest. When none does, `index` is that of the first member
 * beyond `offset`, or the set's length.
 */
export function longestOverlapping(set: readonly Span[], offset: number): { index: number; found: boolean } {
  let index = firstEndingAfter(set, offset);
  const found = index < set.length && set[index]!.begin <= offset;
  while (index + 1 < set.length && set[index + 1]!.begin <= offset) index++;
  return { index, found };
}

/** Members of the cover set `a` that no run of contiguous members of the cover set `b` holds. */
export function coverDifference<T extends Span>(a: readonly T[], b: readonly Span[]): T[] {
  return a.filter((span) => !isCovered(span, b));
}

function isCovered(span: Span, set: readonly Span[]): boolean {
  const overlap = longestOverlapping(set, span.begin);
  if (!overlap.found) return false;
  let index = overlap.index;
  while (index + 1 < set.length && set[index]!.end < span.end && set[index + 1]!.begin <= set[index]!.end)
    index++;
  return set[index]!.end >= span.end;
}

/** Puts `span` in the place of the members that it holds, which begin at index `from` at the earliest. */
function replaceHeld<T extends Span>(set: T[], from: number, span: T): void {
  while (from < set.length && set[from]!.begin < span.begin) from++;
  let to = from;
  while (to < set.length && set[to]!.end <= span.end) to++;
  set.splice(from, to - from, span);
}

/** Index of the first member with end > `offset`. */
export function firstEndingAfter(set: readonly Span[], offset: number): number {
  let low = 0;
  let high = set.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (set[middle]!.end > offset) high = middle;
    else low = middle + 1;
  }
  return low;
}

function sameRange(a: Span, b: Span): boolean {
  return a.begin === b.begin && a.end === b.end;
}
