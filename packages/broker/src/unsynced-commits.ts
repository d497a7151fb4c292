// Commits of a pipeline whose peers answer before they have synced: all members have them in memory, whoever waited was
// told, and what is left is to learn that they are synced, in their order.
import type { WireError } from "@millrace/base";
import type { EarlyHooks } from "./peer-pipeline.ts";

interface Unsynced {
  readonly end: number;
  readonly told: (failure: WireError | undefined) => void;
}

export class UnsyncedCommits implements EarlyHooks {
  readonly #waiting: Unsynced[] = [];
  #synced = 0;
  #failure: WireError | undefined;

  /** @param end not below that of the one before @param told once: all peers have it synced, or the pipeline broke */
  add(end: number, told: (failure: WireError | undefined) => void): void {
    this.#waiting.push({ end, told });
    this.#settle();
  }

  synced(end: number): void {
    this.#synced = Math.max(this.#synced, end);
    this.#settle();
  }

  broken(failure: WireError): void {
    this.#failure = failure;
    this.#settle();
  }

  #settle(): void {
    for (;;) {
      const next = this.#waiting[0];
      if (next === undefined || (this.#failure === undefined && next.end > this.#synced)) return;
      this.#waiting.shift();
      next.told(next.end > this.#synced ? this.#failure : undefined);
    }
  }
}
