// The journal tail as the page's state. Content goes into a bounded buffer as it comes; the page shows it at most once
// a frame, and not at all while paused.
import type { ApiClient } from "./api-client.ts";
import { StreamFollower, type Connection } from "./stream-follower.ts";
import { TailBuffer, type TailLine } from "./tail-buffer.ts";

export class TailModel {
  connection = $state.raw<Connection>({ kind: "stopped" });
  /** Journal that is followed, or was last. */
  journal = $state("");
  lines = $state.raw<readonly TailLine[]>([]);
  /** Offset behind the last byte that came. */
  head = $state<number | undefined>(undefined);
  paused = $state(false);
  /** Lines that came while paused. */
  missed = $state(0);
  failure = $state("");
  wraps = $state(true);
  readonly #page: Window;
  readonly #follower: StreamFollower;
  #buffer = new TailBuffer();
  #shownTotal = 0;
  #isDue = false;

  constructor(api: ApiClient, page: Window) {
    this.#page = page;
    this.#follower = new StreamFollower({
      open: (signal) => {
        const url = `api/tail?${new URLSearchParams({ journal: this.journal }).toString()}`;
        return api.open(url, { headers: { accept: "text/event-stream" } }, signal);
      },
      onEvent: ({ event, data }) => this.#onEvent(event, data),
      onConnection: (connection) => {
        this.connection = connection;
        if (connection.kind === "refused") this.failure = connection.reason;
      },
      nowMs: () => Date.now(),
      random: () => Math.random(),
      after: (ms, run) => {
        const timer = page.setTimeout(run, ms);
        return () => page.clearTimeout(timer);
      },
      silenceMs: Infinity,
    });
  }

  get isFollowing(): boolean {
    return this.connection.kind !== "stopped" && this.connection.kind !== "refused";
  }

  follow(journal: string): void {
    this.journal = journal;
    this.#buffer = new TailBuffer();
    this.failure = "";
    this.paused = false;
    this.#show();
    this.#follower.start();
  }

  stop(): void {
    this.#follower.stop();
    this.#show();
  }

  pause(): void {
    this.#show();
    this.paused = true;
    this.missed = 0;
  }

  resume(): void {
    this.paused = false;
    this.#show();
  }

  restartIfUnauthorised(): void {
    if (this.connection.kind === "unauthorised") this.#follower.start();
  }

  #onEvent(event: string, data: string): void {
    const body = JSON.parse(data) as { offset: number; text: string; message: string };
    if (event === "content") {
      this.#buffer.push(body.offset, body.text);
      this.#schedule();
    } else if (event === "failed") {
      this.failure = body.message;
      this.#follower.stop();
    }
  }

  #schedule(): void {
    if (this.#isDue) return;
    this.#isDue = true;
    this.#page.requestAnimationFrame(() => {
      this.#isDue = false;
      if (this.paused) this.missed = this.#buffer.total - this.#shownTotal;
      else this.#show();
    });
  }

  #show(): void {
    this.lines = this.#buffer.lines();
    this.head = this.#buffer.head;
    this.#shownTotal = this.#buffer.total;
  }
}
