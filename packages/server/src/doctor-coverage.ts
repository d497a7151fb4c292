// Whether the fragments of a journal hold every offset from the first one to the head, each with one content. Pure:
// what the bytes are is known by their SHA-1, and where two fragments overlap without being the same, the caller
// compares.

/** Offsets [begin, end) with the SHA-1 of their bytes. */
export interface CoverSpan {
  readonly begin: number;
  readonly end: number;
  readonly sum: string;
}

export interface Range {
  readonly begin: number;
  readonly end: number;
}

export interface Coverage<S extends CoverSpan> {
  /** First offset that is held; the head when nothing is. */
  readonly first: number;
  /** Offsets in no fragment, below the head. */
  readonly gaps: readonly Range[];
  /** Fragments of one range with different sums: two contents. */
  readonly conflicts: readonly (readonly [S, S])[];
  /** Fragments of different ranges that share [begin, end): their bytes have to be compared there. */
  readonly overlaps: readonly {
    readonly pair: readonly [S, S];
    readonly begin: number;
    readonly end: number;
  }[];
}

/** @param head end of what was acknowledged, as far as anybody knows */
export function coverageOf<S extends CoverSpan>(spans: readonly S[], head: number): Coverage<S> {
  const sorted = [...spans].sort((a, b) => a.begin - b.begin || a.end - b.end);
  const first = sorted[0]?.begin ?? head;
  const gaps: Range[] = [];
  const conflicts: (readonly [S, S])[] = [];
  const overlaps: { pair: readonly [S, S]; begin: number; end: number }[] = [];
  /** Of the spans so far, the one that reaches furthest. */
  let longest: S | undefined;
  for (const span of sorted) {
    if (longest === undefined) {
      longest = span;
      continue;
    }
    if (span.begin > longest.end) gaps.push({ begin: longest.end, end: span.begin });
    const isSame = span.begin === longest.begin && span.end === longest.end;
    if (isSame && span.sum !== longest.sum) conflicts.push([longest, span]);
    if (!isSame && span.begin < longest.end) {
      const end = Math.min(longest.end, span.end);
      overlaps.push({ pair: [longest, span], begin: span.begin, end });
    }
    if (span.end > longest.end) longest = span;
  }
  const end = longest?.end ?? head;
  if (end < head) gaps.push({ begin: end, end: head });
  return { first, gaps, conflicts, overlaps };
}
