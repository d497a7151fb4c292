// How long to wait before the next try of a stream that broke: grows, bounded, spread so that many pages which lost one
// server do not come back in step.

const FIRST_MS = 500;
const MAX_MS = 15_000;

/**
 * @param attempt failed tries so far, from 1 on
 * @param random in [0, 1)
 * @returns milliseconds in [half, whole) of the doubling bound
 */
export function reconnectDelayMs(attempt: number, random: number): number {
  const bound = Math.min(MAX_MS, FIRST_MS * 2 ** Math.min(attempt - 1, 10));
  return Math.round(bound * (0.5 + random / 2));
}
