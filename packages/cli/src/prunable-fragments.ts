// Which fragments of a journal may go. Pure.
//
// P1 Only what a store has, and only when it has had it for the journal's retention.
// P2 A retention of 0 keeps fragments for ever, as specs say.
// P3 The newest persisted fragment stays: it is what tells brokers that have lost everything where the journal ends;
//    without it they would write the same offsets again.
import type { Fragment } from "@millrace/protocol";

/** @param fragments of one journal @param nowMs Unix milliseconds @returns the oldest first */
export function prunableFragments(
  fragments: readonly Fragment[],
  retentionMs: number,
  nowMs: number,
): readonly Fragment[] {
  if (retentionMs <= 0) return []; // P2
  const stored = fragments.filter(({ backingStore }) => backingStore !== "");
  const newest = stored.reduce((end, fragment) => Math.max(end, fragment.end), 0);
  return stored
    .filter(({ end, modTime }) => end < newest && nowMs - modTime * 1000 >= retentionMs)
    .sort((a, b) => a.begin - b.begin);
}
