// How much time has passed, also while the machine slept. A monotonic clock stands still meanwhile (CLOCK_MONOTONIC
// does), and a lease that ended in the night would seem to have hours left; the wall clock goes on. So what the wall
// clock moves beyond the monotonic one between two readings counts as time that has passed.
//
//   T1  It never goes back, whatever the wall clock does, and is never slower than the monotonic clock.
//   T2  Somebody who sets the wall clock forward makes everything late by as much: deadlines pass too early, never too
//       late.
//       Deadlines that are safe to miss early may ask it; nobody who removes something after a time.
//   T3  A process that is stopped between its readings of the two clocks counts that time once.

import type { Clock } from "./ports.ts";

/** What the clocks drift apart between two readings, and small corrections of the wall clock, are no sleep. */
const DRIFT_MS_MAX = 500;

export type ClockReadings = Pick<Clock, "wallMs" | "monotonicMs">;

export class PassedTime {
  readonly #clocks: ClockReadings;
  /** By how much the wall clock was ahead of the monotonic one. */
  #aheadMs: number;
  /** What the monotonic clock did not tell of. */
  #sleptMs = 0;

  constructor(clocks: ClockReadings) {
    this.#clocks = clocks;
    this.#aheadMs = clocks.wallMs() - clocks.monotonicMs();
  }

  /** Milliseconds since an arbitrary moment. */
  ms(): number {
    const clocks = this.#clocks;
    let nowMs = clocks.monotonicMs();
    let aheadMs = clocks.wallMs() - nowMs;
    if (Math.abs(aheadMs - this.#aheadMs) > DRIFT_MS_MAX) {
      // T3: a jump of a clock is there when one looks again.
      nowMs = clocks.monotonicMs();
      aheadMs = clocks.wallMs() - nowMs;
    }
    const jumpMs = aheadMs - this.#aheadMs;
    if (jumpMs > DRIFT_MS_MAX) this.#sleptMs += jumpMs;
    this.#aheadMs = aheadMs;
    return nowMs + this.#sleptMs;
  }
}
