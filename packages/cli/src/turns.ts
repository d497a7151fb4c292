// Whose turn it is: several writers of one output, each of which has a piece to write that is not to be broken up.
import { Gate, waitUntil } from "@millrace/base";

export class Turns {
  readonly #given = new Gate();
  #isTaken = false;

  /** Resolves when nobody else has the turn. @throws `signal.reason` */
  async take(signal: AbortSignal): Promise<void> {
    await waitUntil(this.#given, () => !this.#isTaken, signal);
    this.#isTaken = true;
  }

  give(): void {
    this.#isTaken = false;
    this.#given.open();
  }
}
