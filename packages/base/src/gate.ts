// Waiting without timers: a Gate wakes everyone who waits for the next change of something.

/** Waiters for "something changed". A waiter checks its condition again after each wake. */
export class Gate {
  #waiters = new Set<() => void>();

  /** Wakes all who wait now. */
  open(): void {
    if (this.#waiters.size === 0) return;
    const waiters = this.#waiters;
    this.#waiters = new Set();
    for (const wake of waiters) wake();
  }

  /** Resolves at the next open(). Rejects with `signal.reason` when `signal` aborts first. */
  next(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) {
        reject(signal.reason as Error);
        return;
      }
      const wake = (): void => {
        signal.removeEventListener("abort", onAbort);
        resolve();
      };
      const onAbort = (): void => {
        this.#waiters.delete(wake);
        reject(signal.reason as Error);
      };
      this.#waiters.add(wake);
      signal.addEventListener("abort", onAbort, { once: true });
    });
  }
}

/** Resolves when `condition` holds; it is asked at once and after each opening of `gate`. */
export async function waitUntil(gate: Gate, condition: () => boolean, signal: AbortSignal): Promise<void> {
  while (!condition()) await gate.next(signal);
}
