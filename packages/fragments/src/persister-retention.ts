// Which local fragments of a journal without stores may go (D19): none, unless an age, a byte bound or a trim offset
// says so, and then from the oldest on, so that what is left has no hole. Pure.
import type { LocalFragment } from "./spools.ts";

export interface RetentionPolicy {
  /** Fragments whose last byte is older may go; 0: age lets none go. */
  readonly retentionMs: number;
  /** Closed fragments beyond this many bytes go, oldest first; undefined: no bound. */
  readonly bytesMax: number | undefined;
  /** Fragments that end at or before this offset may go: nobody needs them any more. */
  readonly trimmedTo: number;
}

/**
 * @param fragments ascending
 * @param closedMs wall time at which a fragment was known to be closed, for one that has no successor
 * @param nowMs wall time, Unix ms
 */
export function expiredFragments(
  fragments: readonly LocalFragment[],
  policy: RetentionPolicy,
  closedMs: (fragment: LocalFragment) => number,
  nowMs: number,
): readonly LocalFragment[] {
  const closed = fragments.filter((fragment) => fragment.closed);
  let bytes = closed.reduce((total, { begin, end }) => total + end - begin, 0);
  let count = 0;
  for (const [i, fragment] of closed.entries()) {
    const isTrimmed = fragment.end <= policy.trimmedTo;
    const isTooMuch = policy.bytesMax !== undefined && bytes > policy.bytesMax;
    // A fragment's last byte is not younger than the first append of its successor.
    const next = fragments[i + 1];
    const lastMs = next !== undefined && next.end > next.begin ? next.firstAppendMs : closedMs(fragment);
    const isOld = policy.retentionMs > 0 && lastMs + policy.retentionMs <= nowMs;
    if (!isTrimmed && !isTooMuch && !isOld) break;
    bytes -= fragment.end - fragment.begin;
    count++;
  }
  return closed.slice(0, count);
}
