// Long work on the event loop, piece by piece. Between two pieces the loop reads what has arrived and runs its timers:
// whoever has much to do must not keep those waiting who have little, nor a lease from being renewed.
//
// W1 A piece ends when some milliseconds have passed, however few records they were enough for.
// W2 In one turn of the loop there is one piece, whoever's: a hundred bodies take turns, not a hundred pieces at once.
import type { Clock } from "@millrace/base";
import type { Turns } from "./publisher-turns.ts";

/** Of a piece. */
export const PIECE_MS = 5;

/** Records of a piece without templates between two looks at the clock; they take some microseconds for each sink. */
const RECORDS_A_LOOK = 64;

/** Steps of templates that new requests may take in one turn of the loop: as long as a piece, or one template. */
export const TURN_STEPS = 50_000;

/** Says when a piece has taken its time. */
export class Piece {
  readonly #clock: Pick<Clock, "monotonicMs">;
  readonly #recordsALook: number;
  #endMs = 0;
  #records = 0;

  /** @param hasTemplates whether a single record may take a piece's time */
  constructor(clock: Pick<Clock, "monotonicMs">, hasTemplates: boolean) {
    this.#clock = clock;
    this.#recordsALook = hasTemplates ? 1 : RECORDS_A_LOOK;
  }

  begin(): void {
    this.#records = 0;
    this.#endMs = this.#clock.monotonicMs() + PIECE_MS;
  }

  /** Asked after each record. */
  isOver(): boolean {
    if (++this.#records % this.#recordsALook !== 0) return false;
    return this.#clock.monotonicMs() >= this.#endMs;
  }
}

/** The pieces of all who have long work in a process, in the order in which they ask. As many as ask may wait. */
export class WorkTurns {
  readonly #turns: Turns;
  readonly #waiting: (() => void)[] = [];
  #isAsked = false;

  constructor(turns: Turns) {
    this.#turns = turns;
  }

  /** Calls `run` in a later turn of the loop. It must not throw. */
  ask(run: () => void): void {
    this.#waiting.push(run);
    this.#arm();
  }

  /** Calls `run` when the present turn of the loop ends. It must not throw. */
  atEnd(run: () => void): void {
    this.#turns.atEnd(run);
  }

  /** Resolves in a later turn of the loop. */
  next(): Promise<void> {
    return new Promise((resolve) => this.ask(resolve));
  }

  #arm(): void {
    if (this.#isAsked) return;
    this.#isAsked = true;
    this.#turns.atEnd(() => {
      this.#isAsked = false;
      const run = this.#waiting.shift();
      if (this.#waiting.length > 0) this.#arm();
      run?.();
    });
  }
}
