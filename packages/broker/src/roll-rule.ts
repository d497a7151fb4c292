// When the fragment being written is closed and an empty one is started (section 4.6 of the broker's protocol). Pure.
//
// There is no roll in the middle of an append: one append lies wholly inside one fragment, which therefore may exceed
// the wanted length by up to one append. Windows of the flush interval are aligned to Unix time.
import type { FragmentSpec } from "@millrace/protocol";

export interface SpoolSpan {
  readonly begin: number;
  /** With everything that was handed to commit. */
  readonly end: number;
  /** Unix ms of the fragment's first append; undefined while it is empty. */
  readonly firstAppendMs: number | undefined;
}

/**
 * Where a new fragment begins, or undefined when the current one goes on. An empty fragment is only ever moved
 * forward; its codec is chosen when it is persisted, so a changed spec needs no roll.
 * @param rollTo a wish to roll to at least this offset; 0 = none
 */
export function rollBegin(
  spool: SpoolSpan,
  rollTo: number,
  fragment: FragmentSpec,
  nowMs: number,
): number | undefined {
  const begin = Math.max(spool.end, rollTo);
  if (spool.end === spool.begin) return begin > spool.end ? begin : undefined;
  const wished = rollTo !== 0 && rollTo !== spool.begin;
  const full = spool.end - spool.begin > fragment.length;
  return wished || full || crossedFlush(spool.firstAppendMs, fragment.flushIntervalMs, nowMs)
    ? begin
    : undefined;
}

function crossedFlush(firstAppendMs: number | undefined, intervalMs: number, nowMs: number): boolean {
  if (firstAppendMs === undefined || intervalMs <= 0) return false;
  return Math.floor(firstAppendMs / intervalMs) !== Math.floor(nowMs / intervalMs);
}
