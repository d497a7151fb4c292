// Requests of OTLP that are being decoded and flattened, in pieces (work-turns.ts): one of 16 MB takes seconds.
//
// L1 A request begins at once where nobody else has taken a piece's time in this turn of the loop, and goes on in later
//    turns. Most are done with their first piece.
// L2 What a body is decoded to takes up to twenty times its bytes: LARGE_MAX large ones are under way at a time, and
//    SMALL_MAX small ones, which do not wait for the large ones. Others wait in the order in which they came.
// L3 Bodies that are under way or wait are held within the bound of all bodies that are gone through in steps.
// L4 What nobody waits for any more is not gone on with.
import { WireError, type Clock } from "@millrace/base";
import type { BodySteps } from "./http-source-steps.ts";
import { Piece, PIECE_MS, type WorkTurns } from "./work-turns.ts";

const SMALL_BYTES = 64 * 1024;
const SMALL_MAX = 64;
const LARGE_MAX = 2;
/** What a request takes that waits, beside its body. */
const REQUEST_BYTES = 4096;

export type WalkOutcome<T> =
  | { readonly kind: "done"; readonly value: T }
  /** Too much is under way. */
  | { readonly kind: "overloaded"; readonly error: WireError }
  /** Nobody waits for it. */
  | { readonly kind: "over" };

export interface WalkedRequest {
  /** Of the body. */
  readonly bytes: number;
  readonly isOver: () => boolean;
}

export class OtlpWalks {
  readonly #steps: Pick<BodySteps, "hasRoomFor" | "hold">;
  readonly #turns: Pick<WorkTurns, "next" | "atEnd">;
  readonly #clock: Pick<Clock, "monotonicMs">;
  readonly #small = new Lane(SMALL_MAX);
  readonly #large = new Lane(LARGE_MAX);
  /** Taken by first pieces in this turn of the loop. */
  #turnMs = 0;

  constructor(ports: {
    readonly steps: Pick<BodySteps, "hasRoomFor" | "hold">;
    readonly turns: Pick<WorkTurns, "next" | "atEnd">;
    readonly clock: Pick<Clock, "monotonicMs">;
  }) {
    this.#steps = ports.steps;
    this.#turns = ports.turns;
    this.#clock = ports.clock;
  }

  /** Drives `walk` to its end. @throws what it throws */
  async run<T>(
    walk: Iterator<undefined, T, undefined>,
    { bytes, isOver }: WalkedRequest,
  ): Promise<WalkOutcome<T>> {
    const held = bytes + REQUEST_BYTES;
    if (!this.#steps.hasRoomFor(held)) {
      const error = new WireError("OVERLOADED", "bodies of many records are waiting for their turns");
      return { kind: "overloaded", error };
    }
    const release = this.#steps.hold(held);
    const lane = bytes <= SMALL_BYTES ? this.#small : this.#large;
    try {
      if (!lane.enter()) await lane.wait();
      try {
        return await this.#drive(walk, isOver);
      } finally {
        lane.leave();
      }
    } finally {
      release();
    }
  }

  async #drive<T>(walk: Iterator<undefined, T, undefined>, isOver: () => boolean): Promise<WalkOutcome<T>> {
    const piece = new Piece(this.#clock, true);
    if (this.#turnMs >= PIECE_MS) await this.#turns.next();
    for (let isFirst = true; ; isFirst = false) {
      if (isOver()) return { kind: "over" };
      const begunMs = this.#clock.monotonicMs();
      const step = this.#piece(walk, piece);
      if (isFirst) this.#spend(this.#clock.monotonicMs() - begunMs);
      if (step.done === true) return { kind: "done", value: step.value };
      await this.#turns.next();
    }
  }

  #piece<T>(walk: Iterator<undefined, T, undefined>, piece: Piece): IteratorResult<undefined, T> {
    piece.begin();
    for (;;) {
      const step = walk.next();
      if (step.done === true || piece.isOver()) return step;
    }
  }

  #spend(ms: number): void {
    if (this.#turnMs === 0) this.#turns.atEnd(() => (this.#turnMs = 0));
    this.#turnMs += Math.max(ms, Number.MIN_VALUE);
  }
}

/** So many at a time. */
class Lane {
  readonly #max: number;
  readonly #waiting: (() => void)[] = [];
  #inside = 0;

  constructor(max: number) {
    this.#max = max;
  }

  /** @returns false: it is full */
  enter(): boolean {
    if (this.#inside >= this.#max) return false;
    this.#inside++;
    return true;
  }

  /** Resolves once there is a place, which is the caller's. */
  wait(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  leave(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#inside--;
    else next();
  }
}
