// How fast an append's content may and must come (section 4.9). Pure.
//
// Upper bound: a token bucket per journal. It starts with one second of the rate, banks up to ten, and may go into
// debt: a chunk passes when its whole length is paid for, so the debt is what later chunks wait for.
// Lower bound: credit per append, one second of the rate at most. Waiting for the client drains it; what the client
// sends refills it. Time that a chunk waits for the upper bound drains nothing: that is ours, not the client's.

export interface RateBucket {
  /** Bytes that may pass now; negative: debt. */
  readonly balance: number;
  readonly atMs: number;
}

/** @param rate bytes a second, > 0 */
export function fullBucket(rate: number, nowMs: number): RateBucket {
  return { balance: rate, atMs: nowMs };
}

/** @returns the bucket after a chunk, and how long the chunk waits */
export function admitChunk(
  bucket: RateBucket,
  bytes: number,
  rate: number,
  nowMs: number,
): { readonly bucket: RateBucket; readonly waitMs: number } {
  const accrued = bucket.balance + (rate * Math.max(0, nowMs - bucket.atMs)) / 1000;
  const balance = Math.min(accrued, 10 * rate) - bytes;
  return { bucket: { balance, atMs: nowMs }, waitMs: balance >= 0 ? 0 : (-balance / rate) * 1000 };
}

/** Milliseconds of silence that the client may still afford, at most 1000. */
export type SustainMs = number;

export const SUSTAIN_MS_MAX: SustainMs = 1000;

/** After waiting for the client. @returns <= 0: it did not sustain the rate */
export function drainSustain(sustainMs: SustainMs, waitedMs: number): SustainMs {
  return sustainMs - waitedMs;
}

/** @param rate bytes a second, > 0 */
export function refillSustain(sustainMs: SustainMs, bytes: number, rate: number): SustainMs {
  return Math.min(SUSTAIN_MS_MAX, sustainMs + (bytes / rate) * 1000);
}

/** The journal's own rate and the broker's, whichever is smaller; 0 = no bound. */
export function boundRate(journalRate: number | bigint, brokerRate: number): number {
  if (journalRate === 0) return brokerRate;
  const rate = Number(journalRate);
  return brokerRate === 0 ? rate : Math.min(rate, brokerRate);
}
