// Ordered start and reverse-order graceful stop of the parts of a process.
import { WireError, type Logger } from "@millrace/base";

export interface Running {
  /** Finishes what was accepted and ends. Called once. */
  stop(signal: AbortSignal): Promise<void>;
}

/** A stack of what runs: the last started stops first. */
export class Lifecycle {
  readonly #logger: Logger;
  readonly #running: { readonly name: string; readonly running: Running }[] = [];

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** Starts a part. When it fails, everything that runs is stopped, and the failure is thrown. */
  async start<T>(
    name: string,
    start: () => Promise<T>,
    stop: (started: T, signal: AbortSignal) => Promise<void>,
  ): Promise<T> {
    let started: T;
    try {
      started = await start();
    } catch (error) {
      await this.stop(AbortSignal.abort(new WireError("SHUTTING_DOWN", `${name} did not start`)));
      throw error;
    }
    this.#logger.debug("part-started", { part: name });
    this.#running.push({ name, running: { stop: (signal) => stop(started, signal) } });
    return started;
  }

  /**
   * Stops everything, newest first. A part that fails to stop is logged and does not keep the others from stopping.
   * @param signal aborts when the time for finishing work is over; parts then close at once
   */
  async stop(signal: AbortSignal): Promise<void> {
    for (let part = this.#running.pop(); part !== undefined; part = this.#running.pop()) {
      try {
        await part.running.stop(signal);
        this.#logger.debug("part-stopped", { part: part.name });
      } catch (error) {
        this.#logger.error("part-failed-to-stop", { part: part.name, error });
      }
    }
  }
}
