// When a slice is uploaded and a file imported: the rules of specification 6.1 in its order, the first decisive one
// wins.
import type { LevelConditions, SinkConditions } from "./definitions.ts";

export type UploadReason = "count" | "size" | "interval";
export type ImportReason = "max-slices" | "expiration" | "slices" | "count" | "size" | "interval";

export type Verdict<R extends string> =
  | { readonly kind: "yes"; readonly reason: R }
  /** `againMs`: after this time alone the verdict may be another; absent: only records change it. */
  | { readonly kind: "no"; readonly againMs?: number };

export interface SliceFacts {
  readonly records: number;
  readonly bytes: number;
  /** Milliseconds; negative when the clock was set back: that counts as long ago. */
  readonly sinceOpenedMs: number;
}

export interface FileFacts extends SliceFacts {
  readonly slices: number;
  /** Until the staging of this file expires; undefined when it does not. */
  readonly untilExpirationMs: number | undefined;
}

/** A file whose staging expires this soon is imported, even when empty. */
export const EXPIRATION_MS = 30 * 60_000;

export function uploadVerdict(conditions: LevelConditions, facts: SliceFacts): Verdict<UploadReason> {
  const sinceOpenedMs = elapsed(facts.sinceOpenedMs);
  const { minIntervalMs, intervalMs, count, bytes } = conditions;
  if (sinceOpenedMs < minIntervalMs) return later(facts.records > 0, minIntervalMs - sinceOpenedMs);
  if (facts.records === 0) return { kind: "no" };
  if (facts.records >= count) return { kind: "yes", reason: "count" };
  if (facts.bytes >= bytes) return { kind: "yes", reason: "size" };
  if (sinceOpenedMs >= intervalMs) return { kind: "yes", reason: "interval" };
  return later(true, intervalMs - sinceOpenedMs);
}

export function importVerdict(conditions: SinkConditions["import"], facts: FileFacts): Verdict<ImportReason> {
  const sinceOpenedMs = elapsed(facts.sinceOpenedMs);
  const { minIntervalMs, intervalMs, count, bytes, slicesCount, maxSlices } = conditions;
  if (facts.slices >= maxSlices) return { kind: "yes", reason: "max-slices" };
  const expiresInMs = (facts.untilExpirationMs ?? Number.POSITIVE_INFINITY) - EXPIRATION_MS;
  if (sinceOpenedMs < minIntervalMs) {
    const wait = Math.min(minIntervalMs - sinceOpenedMs, expiresInMs);
    return later(facts.records > 0 || facts.slices >= slicesCount || wait === expiresInMs, Math.max(0, wait));
  }
  if (expiresInMs <= 0) return { kind: "yes", reason: "expiration" };
  if (facts.slices >= slicesCount) return { kind: "yes", reason: "slices" };
  if (facts.records === 0) return later(expiresInMs < Number.POSITIVE_INFINITY, expiresInMs);
  if (facts.records >= count) return { kind: "yes", reason: "count" };
  if (facts.bytes >= bytes) return { kind: "yes", reason: "size" };
  if (sinceOpenedMs >= intervalMs) return { kind: "yes", reason: "interval" };
  return later(true, Math.min(intervalMs - sinceOpenedMs, expiresInMs));
}

function elapsed(sinceOpenedMs: number): number {
  return sinceOpenedMs < 0 ? Number.POSITIVE_INFINITY : sinceOpenedMs;
}

function later(matters: boolean, againMs: number): { readonly kind: "no"; readonly againMs?: number } {
  return matters ? { kind: "no", againMs } : { kind: "no" };
}
