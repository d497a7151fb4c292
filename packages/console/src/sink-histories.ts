// The last five minutes of each sink, as charts draw them: records accepted and rows loaded per second.
import type { FeedSink, FeedSnapshot } from "./feed.ts";
import { HISTORY_SECONDS } from "./feed-history.ts";
import { SeriesRing } from "./series-ring.ts";

/** Columns, for `columns()`. */
export const SINK_COLUMN = { time: 0, acceptedPerSecond: 1, loadedPerSecond: 2 } as const;

/** Sinks with a history: a page that is left open must not grow. */
const SINKS_MAX = 200;
/** Milliseconds over which a rate says something, and without a snapshot that are a gap. */
const RATE_MS_MIN = 400;
const GAP_MS = 3500;

export interface ChartHistory {
  /** Columns of numbers, x in seconds first, the oldest first. */
  columns(indexes: readonly number[]): (number | null)[][];
}

interface SinkHistory {
  readonly ring: SeriesRing;
  atMs: number;
  accepted: number;
  loaded: number;
}

export class SinkHistories {
  readonly #sinks = new Map<string, SinkHistory>();

  push(snapshot: FeedSnapshot): void {
    const seen = new Set<string>();
    for (const { sourceId, sinks } of snapshot.sources) {
      for (const sink of sinks) {
        const key = keyOf(sourceId, sink.sinkId);
        seen.add(key);
        this.#push(key, sink, snapshot.atMs);
      }
    }
    for (const key of this.#sinks.keys()) if (!seen.has(key)) this.#sinks.delete(key);
  }

  of(sourceId: string, sinkId: string): ChartHistory {
    const find = () => this.#sinks.get(keyOf(sourceId, sinkId));
    return { columns: (indexes) => find()?.ring.columns(indexes) ?? indexes.map(() => []) };
  }

  /** The newest rates; null when there are none yet. */
  newest(sourceId: string, sinkId: string): readonly (number | null)[] {
    const { acceptedPerSecond, loadedPerSecond } = SINK_COLUMN;
    return this.of(sourceId, sinkId)
      .columns([acceptedPerSecond, loadedPerSecond])
      .map((column) => column.at(-1) ?? null);
  }

  #push(key: string, { acceptedRecords: accepted, loadedRows: loaded }: FeedSink, atMs: number): void {
    const known = this.#sinks.get(key);
    if (known === undefined) {
      if (this.#sinks.size >= SINKS_MAX) return;
      const ring = new SeriesRing(3, HISTORY_SECONDS * 2);
      ring.push([atMs / 1000, null, null]);
      this.#sinks.set(key, { ring, atMs, accepted, loaded });
      return;
    }
    const ms = atMs - known.atMs;
    if (ms >= 0 && ms < RATE_MS_MIN) return;
    if (ms < 0) known.ring.clear(); // the server's clock went back
    // After a gap, a clock that went back and statistics that began anew, the first rate says nothing.
    const isCut = ms < 0 || ms > GAP_MS || accepted < known.accepted || loaded < known.loaded;
    const rate = (now: number, before: number): number | null =>
      isCut ? null : ((now - before) / ms) * 1000;
    known.ring.push([atMs / 1000, rate(accepted, known.accepted), rate(loaded, known.loaded)]);
    Object.assign(known, { atMs, accepted, loaded });
  }
}

function keyOf(sourceId: string, sinkId: string): string {
  return `${sourceId}/${sinkId}`;
}
