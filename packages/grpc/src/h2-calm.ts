// How much work without use a peer may make: PING, SETTINGS, empty DATA, resets, tiny window updates and the like cost,
// and content in either direction earns. Who does nothing else runs out and is sent away with ENHANCE_YOUR_CALM.
import { ConnectionFault } from "./h2-error.ts";

/** What one thing costs. A useful frame earns 4. */
export const COST = {
  /** Each WINDOW_UPDATE may belong to one DATA frame of ours, and there are two windows. */
  windowUpdate: 1,
  priority: 2,
  unknown: 2,
  emptyData: 4,
  continuation: 4,
  ping: 4,
  settings: 8,
  /** A header list that is longer than allowed: the work of reading it was for nothing. */
  cutList: 24,
  /** A stream that the peer opened and that ends before its answer: opening earned 4, the work is ours. */
  reset: 12,
} as const;

export const EARNED_BY_USE = 4;
/** Enough for any sudden crowd of cancelled calls: 1,000 at once. */
const BUDGET_MAX = 12_000;
const EARNED_PER_MS = 2;

export class CalmBudget {
  #left = BUDGET_MAX;
  #atMs: number;

  constructor(nowMs: number) {
    this.#atMs = nowMs;
  }

  earn(): void {
    if (this.#left < BUDGET_MAX) this.#left += EARNED_BY_USE;
  }

  /** @throws {ConnectionFault} ENHANCE_YOUR_CALM */
  spend(what: keyof typeof COST, nowMs: number): void {
    this.#left -= COST[what];
    if (this.#left >= 0) return;
    this.#left = Math.min(BUDGET_MAX, this.#left + (nowMs - this.#atMs) * EARNED_PER_MS);
    this.#atMs = nowMs;
    if (this.#left < 0)
      throw new ConnectionFault("ENHANCE_YOUR_CALM", `too many frames without use (${what})`);
  }
}
