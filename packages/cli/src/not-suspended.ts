// Why an append that asked to suspend a journal changed nothing: specification section 4.5. A journal is in use while
// its newest fragment is on the brokers' disks alone, or younger than its flush interval. Pure.
import { printDuration, type Fragment, type JournalSpec } from "@millrace/protocol";

/** What counts as the flush interval of a journal that has none. */
const FLUSH_DEFAULT_MS = 24 * 3_600_000;

/** How old the newest fragment must be before the journal counts as not in use, ms. */
export function quietAfterMs({ fragment }: Pick<JournalSpec, "fragment">): number {
  return fragment.flushIntervalMs || FLUSH_DEFAULT_MS;
}

/**
 * @param newest the journal's newest fragment, if one is known
 * @param nowMs Unix milliseconds
 */
export function notSuspended(
  spec: Pick<JournalSpec, "fragment">,
  newest: Pick<Fragment, "modTime"> | undefined,
  nowMs: number,
): string {
  const { stores, flushIntervalMs } = spec.fragment;
  if (stores.length === 0) return "not suspended: it has content and no store; with --force it is";
  if (newest === undefined || newest.modTime === 0) {
    return "not suspended: its newest bytes are in no store yet; try again once they are persisted, or with --force";
  }
  const ageMs = Math.max(0, nowMs - newest.modTime * 1000);
  const leftMs = Math.max(0, quietAfterMs(spec) - ageMs);
  const bound = `${printDuration(quietAfterMs(spec))}${flushIntervalMs === 0 ? ", as it has no" : ", its"}`;
  return (
    `not suspended: its newest fragment is ${whole(ageMs)} old, and must be ${bound} flush_interval; ` +
    `try again in ${whole(leftMs)}, or with --force`
  );
}

function whole(ms: number): string {
  return printDuration(Math.ceil(ms / 1000) * 1000);
}
