// The live feed as the page's state.
import type { ApiClient } from "./api-client.ts";
import { FeedHistory } from "./feed-history.ts";
import type { FeedSnapshot } from "./feed.ts";
import { sumsOf } from "./feed-view.ts";
import { SinkHistories } from "./sink-histories.ts";
import { StreamFollower, type Connection } from "./stream-follower.ts";

/** Snapshots come once a second. */
const SILENCE_MS = 8000;

export class FeedModel {
  readonly history = new FeedHistory();
  readonly sinkHistories = new SinkHistories();
  connection = $state.raw<Connection>({ kind: "connecting", attempt: 1 });
  snapshot = $state.raw<FeedSnapshot | null>(null);
  /** The newest that say something; null when a connection has just begun. */
  rates = $state.raw<FeedSnapshot["rates"] | null>(null);
  /** Grows with every snapshot: the history is not reactive by itself. */
  tick = $state(0);
  /** Whether the numbers are those of now. */
  readonly isLive = $derived(this.connection.kind === "live");
  readonly sums = $derived(this.snapshot === null ? null : sumsOf(this.snapshot));
  readonly #follower: StreamFollower;
  readonly #announce: (text: string) => void;
  #isFirst = true;

  constructor(api: ApiClient, page: Window, announce: (text: string) => void) {
    this.#announce = announce;
    this.#follower = new StreamFollower({
      open: (signal) => api.open("api/feed", { headers: { accept: "text/event-stream" } }, signal),
      onEvent: ({ event, data }) => {
        if (event === "snapshot") this.#onSnapshot(JSON.parse(data) as FeedSnapshot);
      },
      onConnection: (connection) => this.#onConnection(connection),
      nowMs: () => Date.now(),
      random: () => Math.random(),
      after: (ms, run) => {
        const timer = page.setTimeout(run, ms);
        return () => page.clearTimeout(timer);
      },
      silenceMs: SILENCE_MS,
    });
    page.addEventListener("online", () => this.#follower.retryNow());
  }

  start(): void {
    this.#follower.start();
  }

  retryNow(): void {
    this.#follower.retryNow();
  }

  #onSnapshot(snapshot: FeedSnapshot): void {
    if (this.history.push(snapshot, this.#isFirst)) this.rates = snapshot.rates;
    else if (this.#isFirst) this.rates = null;
    this.#isFirst = false;
    this.sinkHistories.push(snapshot);
    const before = this.snapshot?.unhealthy ?? [];
    this.snapshot = snapshot;
    this.tick += 1;
    if (snapshot.unhealthy.join("\n") !== before.join("\n")) {
      const reasons = snapshot.unhealthy.join("; ");
      this.#announce(reasons === "" ? "Millrace is ready" : `Millrace is not ready: ${reasons}`);
    }
  }

  #onConnection(connection: Connection): void {
    const before = this.connection;
    this.connection = connection;
    if (connection.kind === "live") {
      this.#isFirst = true;
      if (this.snapshot !== null) this.#announce("Connected again");
    } else if (connection.kind === "waiting" && before.kind === "connecting" && connection.attempt === 1) {
      this.#announce("The connection to the server broke; trying again");
    }
  }
}
