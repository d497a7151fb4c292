// Owns promises that nobody awaits in line. The first failure aborts the rest; close() aborts and awaits all of them.

export class TaskGroup {
  readonly name: string;
  readonly #controller = new AbortController();
  readonly #running = new Set<Promise<void>>();
  readonly #onFailure: (task: string, error: unknown) => void;

  /** @param onFailure called once for each task that failed for another reason than the group's abort */
  constructor(name: string, onFailure: (task: string, error: unknown) => void) {
    this.name = name;
    this.#onFailure = onFailure;
  }

  /** Aborts when the group closes or one of its tasks fails. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  get size(): number {
    return this.#running.size;
  }

  /** Starts `task` and owns its promise. A task that ends because the group's signal aborted has not failed. */
  spawn(task: string, run: (signal: AbortSignal) => Promise<void>): void {
    const signal = this.#controller.signal;
    const running: Promise<void> = Promise.resolve()
      .then(() => run(signal))
      .catch((error: unknown) => {
        if (signal.aborted) return;
        this.#controller.abort(error);
        this.#onFailure(task, error);
      })
      .finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  /** Aborts every task and resolves when all have ended. */
  async close(): Promise<void> {
    if (!this.#controller.signal.aborted) this.#controller.abort(new Error(`${this.name} is closing`));
    while (this.#running.size > 0) await Promise.all(this.#running);
  }
}
