// Bodies of many records, gone through step by step: after each step others have their turn (work-turns.ts). Requests
// with templates that come when a turn of the loop has done enough of this wait for later ones, in order: a client
// may have a hundred of them in one packet.
import type { BodyWalk } from "./http-source-walk.ts";
import type { RecordsAhead } from "./records-ahead.ts";
import { TURN_STEPS, type WorkTurns } from "./work-turns.ts";

export interface SteppedBody {
  /** Bytes that are held until the end. */
  readonly bytes: number;
  /** Makes the scanner and the record ready for this body again: others had them meanwhile. */
  readonly resume: () => void;
  /** Nobody waits for the answer any more: what was not looked at is not taken. */
  readonly isOver: () => boolean;
}

export interface HeldBytes {
  readonly grow: (bytes: number) => void;
  /** At the end; after it nothing grows. */
  readonly release: () => void;
}

interface WaitingRequest {
  /** That are held meanwhile. */
  readonly bytes: number;
  readonly begin: () => void;
}

export class BodySteps {
  readonly #turns: WorkTurns;
  readonly #onFatal: (error: unknown) => void;
  readonly #heldBytesMax: number;
  /** Of the bodies that are not at their end, or have not begun. */
  #heldBytes = 0;
  /** Steps of templates in this turn of the loop, of requests that have begun in it. */
  #turnSteps = 0;
  readonly #waiting: WaitingRequest[] = [];

  constructor(ports: {
    readonly turns: WorkTurns;
    readonly onFatal: (error: unknown) => void;
    readonly limits: { readonly receivingBytesMax: number };
  }) {
    this.#turns = ports.turns;
    this.#onFatal = ports.onFatal;
    this.#heldBytesMax = ports.limits.receivingBytesMax;
  }

  /** Bodies that are gone through in steps are held meanwhile; alone, any body may be. */
  hasRoomFor(bytes: number): boolean {
    return this.#heldBytes === 0 || this.#heldBytes + bytes <= this.#heldBytesMax;
  }

  /** Counts the bytes of a body that others go through, and what they become. */
  hold(bytes: number): HeldBytes {
    let held = bytes;
    this.#heldBytes += bytes;
    return {
      grow: (more) => {
        held += more;
        this.#heldBytes += more;
      },
      release: () => {
        this.#heldBytes -= held;
        held = 0;
      },
    };
  }

  /** Whether a request with templates has to wait for a turn. */
  get mustWait(): boolean {
    return this.#waiting.length > 0 || this.#turnSteps >= TURN_STEPS;
  }

  /** A request has taken so many steps of templates. */
  spend(steps: number): void {
    if (this.#turnSteps === 0 && steps > 0) this.#turns.atEnd(() => (this.#turnSteps = 0));
    this.#turnSteps += steps;
  }

  /** Begins a request in a later turn, if there is room for it. */
  wait(request: WaitingRequest): void {
    this.#heldBytes += request.bytes;
    this.#waiting.push(request);
    if (this.#waiting.length === 1) this.#turns.ask(this.#beginWaiting);
  }

  readonly #beginWaiting = (): void => {
    do {
      const { bytes, begin } = this.#waiting[0]!;
      this.#heldBytes -= bytes;
      try {
        begin();
      } catch (error) {
        this.#onFatal(error);
      }
      this.#waiting.shift();
    } while (this.#waiting.length > 0 && this.#turnSteps < TURN_STEPS);
    if (this.#waiting.length > 0) this.#turns.ask(this.#beginWaiting);
  };

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
        else this.#turns.ask(goOn);
      } catch (error) {
        this.#onFatal(error);
      }
    };
    this.#turns.ask(goOn);
  }

  /** The same of a body with records that wait for their programs after each step. @param ahead takes the walk's */
  walkAhead(walk: BodyWalk, ahead: RecordsAhead, { bytes, resume, isOver }: SteppedBody): void {
    this.#heldBytes += bytes;
    this.#goAhead(walk, ahead, { resume, isOver })
      .catch(this.#onFatal)
      .finally(() => (this.#heldBytes -= bytes));
  }

  async #goAhead(
    walk: BodyWalk,
    ahead: RecordsAhead,
    { resume, isOver }: Pick<SteppedBody, "resume" | "isOver">,
  ): Promise<void> {
    for (let isDone = false; !isDone;) {
      isDone = walk.step();
      // Of a step that has only looked through an array, others still have their turns.
      if (!(await ahead.evaluate(isOver))) await this.#turns.next();
      for (;;) {
        if (isOver()) return;
        resume();
        if (ahead.flush()) break;
        await this.#turns.next();
      }
    }
  }
}
