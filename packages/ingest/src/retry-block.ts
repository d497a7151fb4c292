// What a slice or a file remembers about failing (specification 5.3), and when it is tried again.
//
// The original waits 2 min × 4ⁿ up to 3 h, and after 50 failures ten years, which loses data in silence. Rows are
// wanted within a second here, so: 1 s × 2ⁿ up to 30 s, for ever. A failure that cannot mend itself (bad
// credentials, a table that refuses the columns) waits 3 min at once: a person mends it, and then nobody has to
// restart anything. Any successful change of state drops the block.
import { CODES, type Code } from "@millrace/base";
import { isoTime, msOf, type JsonFields } from "./storage-json.ts";

export interface RetryBlock {
  /** Failures in a row. */
  readonly attempt: number;
  /** Fit for a person. */
  readonly reason: string;
  readonly firstFailedAt: string;
  readonly lastFailedAt: string;
  readonly retryAfter: string;
}

const RETRY_FIRST_MS = 1000;
/** What heals by itself is noticed within this time. */
const RETRY_MAX_MS = 30_000;
const RETRY_LASTING_MS = 180_000;
/** Spread of the wait, as a part of it: many entities that failed together must not come back together. */
const JITTER = 0.1;
const REASON_CHARS_MAX = 1000;

/** Milliseconds to wait after failure `attempt` (1 is the first). @param spread in [0, 1) */
export function retryDelayMs(attempt: number, code: Code, spread: number): number {
  const lasting = CODES[code].retry === "never";
  const exponent = Math.min(attempt - 1, 20);
  const delayMs = lasting ? RETRY_LASTING_MS : Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** exponent);
  return Math.round(delayMs * (1 + JITTER * spread));
}

/** Milliseconds until the next attempt; 0 when it is due, also when the clock was set back behind the failure. */
export function retryWaitMs(block: RetryBlock | undefined, nowMs: number): number {
  if (block === undefined || nowMs < msOf(block.lastFailedAt)) return 0;
  return Math.max(0, msOf(block.retryAfter) - nowMs);
}

/** The block after one more failure. */
export function afterFailure(
  previous: RetryBlock | undefined,
  failure: { readonly code: Code; readonly reason: string },
  nowMs: number,
  spread: number,
): RetryBlock {
  const attempt = (previous?.attempt ?? 0) + 1;
  const now = isoTime(nowMs);
  return {
    attempt,
    reason: failure.reason.slice(0, REASON_CHARS_MAX),
    firstFailedAt: previous?.firstFailedAt ?? now,
    lastFailedAt: now,
    retryAfter: isoTime(nowMs + retryDelayMs(attempt, failure.code, spread)),
  };
}

export function decodeRetry(fields: JsonFields): RetryBlock {
  return {
    attempt: fields.integer("attempt", 1),
    reason: fields.text("reason"),
    firstFailedAt: fields.time("firstFailedAt"),
    lastFailedAt: fields.time("lastFailedAt"),
    retryAfter: fields.time("retryAfter"),
  };
}
