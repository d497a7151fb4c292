// Bodies of many records, gone through step by step: after each step others have their turn.
import type { Clock } from "@millrace/base";
import type { BodyWalk } from "./http-source-walk.ts";

export interface SteppedBody {
  /** Bytes that are held until the end. */
  readonly bytes: number;
  /** Makes the scanner and the record ready for this body again: others had them meanwhile. */
  readonly resume: () => void;
  /** Nobody waits for the answer any more: what was not looked at is not taken. */
  readonly isOver: () => boolean;
}

export class BodySteps {
  readonly #clock: Clock;
  readonly #onFatal: (error: unknown) => void;
  readonly #heldBytesMax: number;
  /** Of the bodies that are not at their end. */
  #heldBytes = 0;

  constructor(ports: {
    readonly clock: Clock;
    readonly onFatal: (error: unknown) => void;
    readonly limits: { readonly receivingBytesMax: number };
  }) {
    this.#clock = ports.clock;
    this.#onFatal = ports.onFatal;
    this.#heldBytesMax = ports.limits.receivingBytesMax;
  }

  /** Bodies that are gone through in steps are held meanwhile; alone, any body may be. */
  hasRoomFor(bytes: number): boolean {
    return this.#heldBytes === 0 || this.#heldBytes + bytes <= this.#heldBytesMax;
  }

  /** Goes through a body, for which the scanner is ready now. @param held asked when one step does not do */
  walk(walk: BodyWalk, held: () => SteppedBody): void {
    if (walk.step()) return;
    const { bytes, resume, isOver } = held();
    this.#heldBytes += bytes;
    const goOn = (): void => {
      if (isOver()) {
        this.#heldBytes -= bytes;
        return;
      }
      try {
        resume();
        if (walk.step()) this.#heldBytes -= bytes;
        else this.#clock.after(0, goOn);
      } catch (error) {
        this.#onFatal(error);
      }
    };
    this.#clock.after(0, goOn);
  }
}
