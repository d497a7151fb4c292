// One timer for many who wait equally long: to wake a process that rests costs more than what most of them do then.
//
//  T1  Whoever was added is called once, after at most `ms`; sooner when others wait already.
import type { Clock } from "@millrace/base";

export interface Waiter {
  due(): void;
}

export class SharedTimer {
  readonly #clock: Clock;
  readonly #ms: number;
  #waiting: Waiter[] = [];

  constructor(clock: Clock, ms: number) {
    this.#clock = clock;
    this.#ms = ms;
  }

  add(waiter: Waiter): void {
    if (this.#waiting.push(waiter) > 1) return;
    this.#clock.after(this.#ms, () => {
      const due = this.#waiting;
      this.#waiting = [];
      for (const each of due) each.due();
    });
  }
}
