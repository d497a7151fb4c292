// Timers that are set at the end of the turn in which they are wanted, if they still are: what ends within its turn,
// as most small requests do, costs none.

export interface LateTimer {
  /** @returns whether it was not set yet */
  cancel(): boolean;
}

type State = "waiting" | "set" | "cancelled";

class Late implements LateTimer {
  state: State = "waiting";
  readonly set: () => void;

  constructor(set: () => void) {
    this.set = set;
  }

  cancel(): boolean {
    if (this.state === "set") return false;
    this.state = "cancelled";
    return true;
  }
}

export class LateTimers {
  #waiting: Late[] = [];

  /** @param set sets the timer */
  start(set: () => void): LateTimer {
    const timer = new Late(set);
    if (this.#waiting.push(timer) === 1) setImmediate(() => this.#setAll());
    return timer;
  }

  #setAll(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const timer of waiting) {
      if (timer.state !== "waiting") continue;
      timer.state = "set";
      timer.set();
    }
  }
}
