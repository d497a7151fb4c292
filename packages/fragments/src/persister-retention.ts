// Which local fragments of a journal without stores may go (D19): none, unless an age, a byte bound or a trim offset
// says so, and then from the oldest on, so that what is left has no hole.
import type { Clock } from "@millrace/base";
import type { LocalFragment } from "./spools.ts";

/** A wall clock that is further ahead than it can be by itself was set. */
const LEAP_MS = 60_000;
const BELIEVED_AFTER_MS = 3_600_000;

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

/**
 * The time for what cannot be undone. A wall clock that is set ahead, and soon back again, must not age a journal's
 * only copy by that much: it is believed once it has stayed ahead for an hour. One set back is believed at once. A
 * process that starts with a wall clock ahead of all that the one before has left cannot tell whether it was set or
 * time has passed: it waits its hour as well.
 */
export class CautiousClock {
  readonly #clock: Pick<Clock, "wallMs" | "monotonicMs">;
  #believed: { readonly wallMs: number; readonly monotonicMs: number };
  #aheadSinceMs: number | undefined;

  /** @param leftMs newest wall time that an earlier process has left; undefined: there was none */
  constructor(clock: Pick<Clock, "wallMs" | "monotonicMs">, leftMs: number | undefined) {
    this.#clock = clock;
    const wallMs = Math.min(clock.wallMs(), leftMs ?? Number.POSITIVE_INFINITY);
    this.#believed = { wallMs, monotonicMs: clock.monotonicMs() };
  }

  /** Unix ms. Ask more often than the clock drifts by a minute. */
  nowMs(): number {
    const wallMs = this.#clock.wallMs();
    const monotonicMs = this.#clock.monotonicMs();
    const expectedMs = this.#believed.wallMs + monotonicMs - this.#believed.monotonicMs;
    if (wallMs > expectedMs + LEAP_MS) {
      this.#aheadSinceMs ??= monotonicMs;
      if (monotonicMs - this.#aheadSinceMs < BELIEVED_AFTER_MS) return expectedMs;
    }
    this.#aheadSinceMs = undefined;
    this.#believed = { wallMs, monotonicMs };
    return wallMs;
  }
}
