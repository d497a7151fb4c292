// The last five minutes of the feed, as the charts draw them.
//
// H1 x grows: a server whose clock went back starts a new history.
// H2 Time without snapshots is a gap, not a line between two points that know nothing of each other.
// H3 The first snapshot of a connection has no previous one to be a rate against: it is a gap too.
// H4 A snapshot right behind another (somebody else has connected) is a rate over next to no time: it is left out.
import type { FeedSnapshot } from "./feed.ts";
import { SeriesRing } from "./series-ring.ts";

export const HISTORY_SECONDS = 300;

/** Snapshots come once a second; twice that leaves room for gaps and for those sent when another page connects. */
const CAPACITY = HISTORY_SECONDS * 2;

/** Milliseconds without a snapshot that are a gap. */
const GAP_MS = 3500;

/** Milliseconds over which a rate says something. */
const RATE_MS_MIN = 400;

/** Columns, for `columns()`. */
export const COLUMN = {
  time: 0,
  recordsPerSecond: 1,
  rowsPerSecond: 2,
  appendP50Ms: 3,
  appendP99Ms: 4,
} as const;

export class FeedHistory {
  readonly #ring = new SeriesRing(Object.keys(COLUMN).length, CAPACITY);

  /**
   * @param isFirst whether it is the first snapshot of its connection
   * @returns whether the snapshot's rates say something
   */
  push(snapshot: FeedSnapshot, isFirst: boolean): boolean {
    const x = snapshot.atMs / 1000;
    const newest = this.#ring.newest;
    if (newest !== undefined && Math.abs(x - newest) < RATE_MS_MIN / 1000) return false; // H4
    if (newest !== undefined && x < newest) {
      this.#ring.clear(); // H1
    } else if (newest !== undefined && x - newest > GAP_MS / 1000) {
      this.#ring.push([newest + 1, null, null, null, null]); // H2
    }
    const { recordsPerSecond, rowsPerSecond, appendP50Ms, appendP99Ms } = snapshot.rates;
    if (isFirst) this.#ring.push([x, null, null, null, null]);
    else this.#ring.push([x, recordsPerSecond, rowsPerSecond, appendP50Ms, appendP99Ms]);
    return !isFirst;
  }

  get count(): number {
    return this.#ring.count;
  }

  /** Columns of COLUMN, x in seconds, the oldest first. */
  columns(indexes: readonly number[]): (number | null)[][] {
    return this.#ring.columns(indexes);
  }
}
