// How much history the embedded store keeps for watchers and old reads: so many revisions, so long, so many bytes,
// whichever is reached first.
import type { Mvcc } from "./mvcc.ts";

export interface RetentionOptions {
  /** Revisions that stay readable, default 10,000. A compaction starts when there are a quarter more. */
  readonly historyRevisionsMax: number;
  /** Milliseconds that a revision stays readable after the next one was made, default ten minutes. */
  readonly historyMs: number;
  /** Bytes of keys and values in the history, default 64 MiB. A compaction halves it. */
  readonly historyBytesMax: number;
}

const SAMPLES = 20;

export class HistoryRetention {
  readonly #options: RetentionOptions;
  /** Revisions that were the newest at a time, oldest first. */
  readonly #samples: { readonly atMs: number; readonly revision: number }[] = [];
  #aged = 0;

  constructor(options: Partial<RetentionOptions>) {
    this.#options = {
      historyRevisionsMax: options.historyRevisionsMax ?? 10_000,
      historyMs: options.historyMs ?? 10 * 60_000,
      historyBytesMax: options.historyBytesMax ?? 64 * 1024 * 1024,
    };
  }

  /** Notes that `revision` is the newest now. */
  tick(nowMs: number, revision: number): void {
    const newest = this.#samples.at(-1);
    if (newest === undefined || nowMs - newest.atMs >= this.#options.historyMs / SAMPLES) {
      this.#samples.push({ atMs: nowMs, revision });
    }
    while (this.#samples.length > 0 && this.#samples[0]!.atMs <= nowMs - this.#options.historyMs) {
      this.#aged = this.#samples.shift()!.revision;
    }
  }

  /** The revision to compact to, or undefined when nothing is due. */
  due(state: Mvcc, durableRevision: number): number | undefined {
    const { historyRevisionsMax, historyBytesMax } = this.#options;
    let target = Math.min(this.#aged, durableRevision);
    if (durableRevision - state.compactRevision > 1.25 * historyRevisionsMax) {
      target = Math.max(target, durableRevision - historyRevisionsMax);
    }
    if (state.historyBytes > historyBytesMax) {
      target = Math.max(target, revisionWithin(state, durableRevision, historyBytesMax / 2));
    }
    return target > Math.max(state.compactRevision, 1) ? target : undefined;
  }
}

/** The lowest revision from which on the history has at most `bytesMax` bytes; `head` if its own are more. */
function revisionWithin(state: Mvcc, head: number, bytesMax: number): number {
  let bytes = 0;
  let revision = head;
  for (; revision > state.historyBegin; revision--) {
    for (const { kv } of state.eventsAt(revision)) bytes += kv.key.length + kv.value.length;
    if (bytes > bytesMax) return Math.min(revision + 1, head);
  }
  return revision;
}
