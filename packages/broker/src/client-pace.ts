// How long an append waits for what its client sends next. Its client has a credit of a second's silence: waiting
// drains it, bytes at the least rate refill it (flow-control.ts). It counts only while others wait for the journal, or
// once the append has given its turn to others; and what an append that is not whole makes whole ones wait, all such
// appends of a journal share (patience.ts).
//
//  W1  What lies in a socket because this process was busy is not silence: when the time is over, what came by then is
//      looked at once more.
import { WireError, type Clock } from "@millrace/base";
import type { AppendFeed } from "./append-feed.ts";
import type { ContentStanding } from "./append-states.ts";
import { drainSustain, refillSustain, SUSTAIN_MS_MAX } from "./flow-control.ts";
import type { Patience } from "./patience.ts";

/** The journal that a client keeps waiting. */
export interface PaceOwner {
  /** Bytes a second; 0 = no bound. */
  readonly minRate: number;
  /** Other appends wait for this one: only then is a slow client a nuisance. */
  readonly hasWaiters: boolean;
  /** One of them is whole. */
  readonly hasWholeWaiter: boolean;
  readonly patience: Patience;
}

/** Timers run before sockets are read: the next one runs after. */
const LAST_LOOK_MS = 1;

export class ClientPace {
  readonly #clock: Clock;
  #sustainMs = SUSTAIN_MS_MAX;
  #cancelTimer: (() => void) | undefined;
  #wanted: (() => void) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A client is waited for, at the expense of whoever comes to wait. */
  get isAwaiting(): boolean {
    return this.#wanted !== undefined;
  }

  /** Somebody waits now, who did not when the waiting began. */
  wanted(): void {
    this.#wanted?.();
  }

  /** `bytes` were here already: what came while we were busy was sent in time. */
  came(bytes: number, minRate: number): void {
    if (this.#sustainMs < SUSTAIN_MS_MAX) this.#sustainMs = refillSustain(this.#sustainMs, bytes, minRate);
  }

  /** No timer runs any more. */
  stop(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = this.#wanted = undefined;
  }

  /** Waits for content of an append that has its turn. Rejects when its client is silent for too long. */
  sustained<T>(received: Promise<T>, bytesOf: (result: T) => number, owner: PaceOwner): Promise<T> {
    const { minRate } = owner;
    if (minRate === 0) return received;
    const startMs = this.#clock.monotonicMs();
    return new Promise((resolve, reject) => {
      const bearing = this.#bear(owner, startMs, (error) => {
        this.stop();
        reject(error);
      });
      received.then(
        (result) => {
          bearing.end();
          const left = drainSustain(this.#sustainMs, this.#clock.monotonicMs() - startMs);
          this.#sustainMs = refillSustain(Math.max(0, left), bytesOf(result), minRate);
          resolve(result);
        },
        (error: unknown) => {
          bearing.end();
          reject(error);
        },
      );
    });
  }

  /**
   * Waits for as much of `feed`, of an append that has given its turn to others. Rejects when its client is silent for
   * too long.
   */
  gathered(feed: AppendFeed, least: ContentStanding, minRate: number): Promise<void> {
    this.stop();
    if (minRate === 0) return feed.until(least);
    let seen = feed.bytes;
    let isLastLook = false;
    return new Promise((resolve, reject) => {
      const expire = (): void => {
        const creditMs = refillSustain(0, feed.bytes - seen, minRate);
        seen = feed.bytes;
        if (creditMs === 0 && isLastLook) {
          reject(underflow());
          return;
        }
        isLastLook = creditMs === 0;
        this.#cancelTimer = this.#clock.after(isLastLook ? LAST_LOOK_MS : creditMs, expire);
      };
      this.#cancelTimer = this.#clock.after(this.#sustainMs, expire);
      void feed.until(least).then(() => {
        this.stop();
        resolve();
      });
    });
  }

  /** Watches the time while a client is waited for, and counts what whole appends wait. */
  #bear(owner: PaceOwner, startMs: number, refuse: (error: WireError) => void): { end(): void } {
    const { patience } = owner;
    let untilMs = startMs + this.#sustainMs;
    let sinceMs = Number.POSITIVE_INFINITY;
    let impatientMs = Number.POSITIVE_INFINITY;
    const count = (nowMs: number): void => {
      if (sinceMs < nowMs) patience.spend(nowMs - sinceMs, nowMs);
      sinceMs = impatientMs = Number.POSITIVE_INFINITY;
    };
    const arm = (nowMs: number): void => {
      this.#cancelTimer?.();
      this.#cancelTimer = this.#clock.after(Math.max(0, Math.min(untilMs, impatientMs) - nowMs), expire);
    };
    const wanted = (nowMs: number): void => {
      if (sinceMs !== Number.POSITIVE_INFINITY || !owner.hasWholeWaiter) return;
      sinceMs = nowMs;
      impatientMs = nowMs + patience.leftMs(nowMs);
    };
    const expire = (): void => {
      const nowMs = this.#clock.monotonicMs();
      const isTooLong = nowMs >= impatientMs ? owner.hasWholeWaiter : owner.hasWaiters;
      if (nowMs >= impatientMs) count(nowMs);
      else untilMs = nowMs + SUSTAIN_MS_MAX;
      if (!isTooLong) arm(nowMs);
      else this.#cancelTimer = this.#clock.after(LAST_LOOK_MS, () => end(underflow())); // W1
    };
    const end = (error?: WireError): void => {
      count(this.#clock.monotonicMs());
      this.stop();
      if (error !== undefined) refuse(error);
    };
    this.#wanted = (): void => {
      const nowMs = this.#clock.monotonicMs();
      const isCounting = sinceMs !== Number.POSITIVE_INFINITY;
      wanted(nowMs);
      if (!isCounting && impatientMs < untilMs) arm(nowMs);
    };
    wanted(startMs);
    arm(startMs);
    return { end };
  }
}

function underflow(): WireError {
  return new WireError(
    "REQUEST_TIMEOUT",
    "append stream: client stream didn't sustain the minimum append data rate",
  );
}
