// How long to wait before trying again: the schedules of the client library (specification section 10).
import type { Clock } from "@millrace/base";

/** Milliseconds before attempt `attempt` (0 is the first retry) of a read. */
export function readBackoffMs(attempt: number): number {
  if (attempt <= 1) return 50;
  if (attempt <= 3) return 100;
  return attempt <= 5 ? 1000 : 5000;
}

/** Milliseconds before attempt `attempt` of an append: 10 ms doubling up to 1 s. */
export function appendBackoffMs(attempt: number): number {
  return Math.min(1000, 10 * 2 ** Math.min(attempt, 10));
}

export async function backOff(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  if (ms > 0) await clock.sleep(ms, signal);
}
