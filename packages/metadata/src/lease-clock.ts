// When leases end. Deadlines are not durable: a restart and a pause both give every lease its full time again (D16),
// since the owners could not renew while the store was away.
import type { Clock } from "@millrace/base";

export class LeaseClock {
  readonly #clock: Clock;
  readonly #pauseMs: number;
  readonly #leases = new Map<bigint, { readonly ttlMs: number; deadlineMs: number }>();
  #lastTickMs: number;

  /** @param pauseMs a time between two ticks above this is a pause of the process, in milliseconds */
  constructor(clock: Clock, pauseMs: number) {
    this.#clock = clock;
    this.#pauseMs = pauseMs;
    this.#lastTickMs = clock.monotonicMs();
  }

  /** Gives `lease` its full time from now on. */
  start(lease: bigint, ttlSeconds: number): void {
    const ttlMs = ttlSeconds * 1000;
    this.#leases.set(lease, { ttlMs, deadlineMs: this.#clock.monotonicMs() + ttlMs });
  }

  forget(lease: bigint): void {
    this.#leases.delete(lease);
  }

  /** Whole seconds until `lease` ends, at least 0; undefined when unknown. */
  remainingSeconds(lease: bigint): number | undefined {
    const entry = this.#leases.get(lease);
    if (entry === undefined) return undefined;
    return Math.max(0, Math.ceil((entry.deadlineMs - this.#clock.monotonicMs()) / 1000));
  }

  /** Leases whose time is over. After a pause there are none: all start again. */
  tick(): { readonly pausedMs: number; readonly expired: readonly bigint[] } {
    const nowMs = this.#clock.monotonicMs();
    const elapsedMs = nowMs - this.#lastTickMs;
    this.#lastTickMs = nowMs;
    if (elapsedMs > this.#pauseMs) {
      for (const entry of this.#leases.values()) entry.deadlineMs = nowMs + entry.ttlMs;
      return { pausedMs: elapsedMs, expired: [] };
    }
    const expired: bigint[] = [];
    for (const [lease, { deadlineMs }] of this.#leases) if (deadlineMs <= nowMs) expired.push(lease);
    return { pausedMs: 0, expired };
  }
}
