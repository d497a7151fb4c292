// The deadlines of many calls on one timer: it stands at the earliest deadline that was known when it was set, and
// looks through all calls when it rings. A call that ends in time costs a timer nothing.
import type { Clock } from "@millrace/base";

export interface Deadlined {
  /** Monotonic milliseconds. */
  readonly deadlineMs: number;
  onDeadline(): void;
}

export class Deadlines {
  readonly #clock: Clock;
  readonly #calls = new Set<Deadlined>();
  #ringsAtMs = Number.POSITIVE_INFINITY;
  #cancelTimer: (() => void) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add(call: Deadlined): void {
    this.#calls.add(call);
    if (call.deadlineMs < this.#ringsAtMs) this.#set(call.deadlineMs);
  }

  delete(call: Deadlined): void {
    this.#calls.delete(call);
  }

  close(): void {
    this.#calls.clear();
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    this.#ringsAtMs = Number.POSITIVE_INFINITY;
  }

  #set(atMs: number): void {
    this.#cancelTimer?.();
    this.#ringsAtMs = atMs;
    // A timer takes at most 2^31 - 1 ms; it rings early then, finds nothing, and is set again.
    const waitMs = Math.min(Math.max(1, Math.ceil(atMs - this.#clock.monotonicMs())), 2 ** 31 - 1);
    this.#cancelTimer = this.#clock.after(waitMs, () => this.#ring());
  }

  #ring(): void {
    this.#cancelTimer = undefined;
    this.#ringsAtMs = Number.POSITIVE_INFINITY;
    const nowMs = this.#clock.monotonicMs();
    let nextMs = Number.POSITIVE_INFINITY;
    for (const call of this.#calls) {
      if (call.deadlineMs <= nowMs) {
        this.#calls.delete(call);
        call.onDeadline();
      } else nextMs = Math.min(nextMs, call.deadlineMs);
    }
    if (nextMs < this.#ringsAtMs) this.#set(nextMs);
  }
}
