// One snapshot a second for whoever watches the console; nothing is computed while nobody does.
import type { Clock, Logger } from "@millrace/base";
import type { FeedSnapshot, FeedSource } from "@millrace/console";
import type { LatencyWindow } from "./latency-window.ts";

/** What a snapshot is made of, as of now. */
export interface FeedSample {
  readonly totals: FeedSnapshot["totals"];
  readonly sources: readonly FeedSource[];
  readonly unhealthy: readonly string[];
  readonly degraded: readonly string[];
}

const INTERVAL_MS = 1000;

export class ConsoleFeed {
  readonly #sample: () => Promise<FeedSample>;
  readonly #latency: LatencyWindow;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #subscribers = new Set<(snapshot: FeedSnapshot) => void>();
  #isRunning = false;
  #last: FeedSnapshot | undefined;
  #previous: { readonly atMs: number; readonly totals: FeedSnapshot["totals"] } | undefined;

  /** @param latency append latencies in seconds */
  constructor(ports: {
    sample: () => Promise<FeedSample>;
    latency: LatencyWindow;
    clock: Clock;
    logger: Logger;
  }) {
    this.#sample = ports.sample;
    this.#latency = ports.latency;
    this.#clock = ports.clock;
    this.#logger = ports.logger;
  }

  /** Calls `listener` with a snapshot soon and then every second, until the returned function is called. */
  subscribe(listener: (snapshot: FeedSnapshot) => void): () => void {
    this.#subscribers.add(listener);
    if (this.#last !== undefined && this.#isRunning) {
      listener(this.#last);
    } else {
      this.#latency.take([]);
      this.#previous = undefined;
    }
    if (!this.#isRunning) {
      this.#isRunning = true;
      this.#schedule(0);
    }
    return () => {
      this.#subscribers.delete(listener);
    };
  }

  #schedule(delayMs: number): void {
    this.#clock.after(delayMs, () => {
      this.#publish()
        .catch((error: unknown) => this.#logger.error("console-feed-failed", { error }))
        .finally(() => {
          if (this.#subscribers.size > 0) this.#schedule(INTERVAL_MS);
          else this.#isRunning = false;
        })
        .catch((error: unknown) => this.#logger.error("console-feed-failed", { error }));
    });
  }

  async #publish(): Promise<void> {
    if (this.#subscribers.size === 0) return;
    const { totals, sources, unhealthy, degraded } = await this.#sample();
    const atMs = this.#clock.monotonicMs();
    const before = this.#previous;
    const seconds = before === undefined ? 0 : (atMs - before.atMs) / 1000;
    const perSecond = (field: keyof FeedSnapshot["totals"]): number =>
      before === undefined || seconds <= 0
        ? 0
        : Math.max(0, (totals[field] - before.totals[field]) / seconds);
    const [p50, p99] = this.#latency.take([0.5, 0.99]);
    this.#previous = { atMs, totals };
    const snapshot: FeedSnapshot = {
      atMs: this.#clock.wallMs(),
      totals,
      rates: {
        recordsPerSecond: perSecond("acceptedRecords"),
        rowsPerSecond: perSecond("loadedRows"),
        bytesPerSecond: perSecond("appendedBytes"),
        appendP50Ms: milliseconds(p50),
        appendP99Ms: milliseconds(p99),
      },
      sources,
      unhealthy,
      degraded,
    };
    this.#last = snapshot;
    for (const listener of this.#subscribers) listener(snapshot);
  }
}

function milliseconds(seconds: number | null | undefined): number | null {
  return seconds === null || seconds === undefined ? null : seconds * 1000;
}
