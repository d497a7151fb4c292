// Requests of OTLP that are being decoded and flattened, in pieces (work-turns.ts): one of 16 MB takes seconds, and one
// of some KB becomes 64 MB of records when it has a large resource, which each record repeats.
//
// L1 A request begins at once where nobody else has taken a piece's time in this turn of the loop, and goes on in later
//    turns. Most are done with their first piece.
// L2 What a body is decoded to takes up to twenty times its bytes: LARGE_MAX large ones are under way at a time, and
//    SMALL_MAX small ones, which do not wait for the large ones. Others wait in the order in which they came. One whose
//    records become large goes on among the large ones.
// L3 Bodies that are under way or wait, and what was reserved for their records, are held within the bound of all
//    bodies that are gone through in steps, until whoever has the records holds them himself. Beyond it nothing new is
//    taken, and of the large ones under way one goes on, up to what its records may take. Half of the bound may wait
//    in a lane.
// L4 What nobody waits for any more is not gone on with.
import { sizeText, WireError, type Clock } from "@millrace/base";
import type { BodySteps, HeldBytes } from "./http-source-steps.ts";
import type { DoorLimits } from "./limits.ts";
import { WalkLane } from "./walk-lane.ts";
import { Piece, PIECE_MS, type WorkTurns } from "./work-turns.ts";

/** Of a small one: its body. */
const SMALL_BYTES = 64 * 1024;
/** The same: its records. An SDK's batch is some hundred KB. */
const SMALL_RECORDS_BYTES = 1024 * 1024;
const SMALL_MAX = 64;
const LARGE_MAX = 2;
/** What a request takes beside its body, with the first memory for its records. */
const REQUEST_BYTES = 8192;

/** Yields between parts; a number: so many bytes it takes with its next part, if it is gone on with. */
export type Walk<T> = Iterator<number | undefined, T, undefined>;

export type WalkOutcome<T> =
  /** `release` is called when what the walk took is held no longer, or by somebody else. */
  | { readonly kind: "done"; readonly value: T; readonly release: () => void }
  /** Too much is under way. */
  | { readonly kind: "overloaded"; readonly error: WireError }
  /** Nobody waits for it. */
  | { readonly kind: "over" };

export interface WalkedRequest {
  /** Of the body. */
  readonly bytes: number;
  readonly isOver: () => boolean;
}

interface WalksPorts {
  readonly steps: Pick<BodySteps, "hasRoomFor" | "hold">;
  readonly turns: Pick<WorkTurns, "next" | "atEnd">;
  readonly clock: Pick<Clock, "monotonicMs">;
  readonly limits: Pick<DoorLimits, "receivingBytesMax">;
}

export class OtlpWalks {
  readonly #ports: WalksPorts;
  readonly #lanes: Lanes;
  /** Taken by first pieces in this turn of the loop. */
  #turnMs = 0;

  constructor(ports: WalksPorts) {
    this.#ports = ports;
    // Half of all bodies, so that those under way, and bodies of others, have the rest.
    const waitingBytesMax = Math.floor(ports.limits.receivingBytesMax / 2);
    this.#lanes = {
      small: new WalkLane(SMALL_MAX, { waitingBytesMax }),
      large: new WalkLane(LARGE_MAX, { waitingBytesMax }),
    };
  }

  /** Drives `walk` to its end. @throws what it throws */
  async run<T>(walk: Walk<T>, { bytes, isOver }: WalkedRequest): Promise<WalkOutcome<T>> {
    const { steps, limits } = this.#ports;
    const place = new WalkPlace(bytes, { steps, lanes: this.#lanes });
    let outcome: WalkOutcome<T> | undefined;
    try {
      if (!place.enter() && !(await place.wait())) outcome = overloaded(limits);
      else outcome = await this.#drive(walk, place, isOver);
      return outcome;
    } finally {
      place.leave();
      if (outcome?.kind !== "done") place.release();
    }
  }

  async #drive<T>(walk: Walk<T>, place: WalkPlace, isOver: () => boolean): Promise<WalkOutcome<T>> {
    const { clock, limits, turns } = this.#ports;
    const piece = new Piece(clock, true);
    if (this.#turnMs >= PIECE_MS) await turns.next();
    for (let isFirst = true; ; isFirst = false) {
      if (isOver()) return { kind: "over" };
      const begunMs = clock.monotonicMs();
      const step = goOn(walk, piece, place);
      if (isFirst) this.#spend(clock.monotonicMs() - begunMs);
      if (step.done === true) return { kind: "done", value: step.value, release: place.release };
      if (!(await place.wait())) return overloaded(limits);
      await turns.next();
    }
  }

  #spend(ms: number): void {
    if (this.#turnMs === 0) this.#ports.turns.atEnd(() => (this.#turnMs = 0));
    this.#turnMs += Math.max(ms, Number.MIN_VALUE);
  }
}

/** Goes on for a piece, or until it has to wait for what it takes. */
function goOn<T>(walk: Walk<T>, piece: Piece, place: WalkPlace): IteratorResult<unknown, T> {
  piece.begin();
  for (;;) {
    const step = walk.next();
    if (step.done === true) return step;
    if (step.value !== undefined && !place.take(step.value)) return step;
    if (piece.isOver()) return step;
  }
}

function overloaded({ receivingBytesMax }: Pick<DoorLimits, "receivingBytesMax">): WalkOutcome<never> {
  const bound = sizeText(receivingBytesMax);
  const message = `bodies of many records are waiting for their turns with all they may hold, "${bound}"`;
  return { kind: "overloaded", error: new WireError("OVERLOADED", message) };
}

interface Lanes {
  readonly small: WalkLane;
  readonly large: WalkLane;
}

/** Of one request: what it holds, and where it stands. */
class WalkPlace {
  readonly #steps: WalksPorts["steps"];
  readonly #lanes: Lanes;
  #lane: WalkLane;
  #isInside = false;
  #held: HeldBytes | undefined;
  /** Of the body, and of the request. */
  readonly #ownBytes: number;
  #recordsBytes = 0;
  /** What it waits for. */
  #wantedBytes = 0;

  constructor(bodyBytes: number, { steps, lanes }: Pick<WalksPorts, "steps"> & { readonly lanes: Lanes }) {
    this.#steps = steps;
    this.#lanes = lanes;
    this.#lane = bodyBytes <= SMALL_BYTES ? lanes.small : lanes.large;
    this.#ownBytes = bodyBytes + REQUEST_BYTES;
  }

  /** @returns false: it has to wait first */
  enter(): boolean {
    if (!this.#steps.hasRoomFor(this.#ownBytes)) return false;
    this.#held = this.#steps.hold(this.#ownBytes);
    this.#isInside = this.#lane.enter();
    return this.#isInside;
  }

  /** Takes so many bytes more for its records. @returns false: it has to wait first */
  take(bytes: number): boolean {
    const isFree =
      this.#lane === this.#lanes.small
        ? this.#recordsBytes + bytes <= SMALL_RECORDS_BYTES
        : this.#lane.isAlone || this.#steps.hasRoomFor(bytes);
    if (isFree) this.#grow(bytes);
    else this.#wantedBytes = bytes;
    return isFree;
  }

  /** Until it is inside, with what it wanted. @returns false: there is no room */
  async wait(): Promise<boolean> {
    if (this.#held === undefined) return false;
    const bytes = this.#wantedBytes;
    this.#wantedBytes = 0;
    const { small, large } = this.#lanes;
    if (bytes > 0 && this.#lane === small) {
      this.leave();
      this.#lane = large;
      this.#isInside = large.enter();
    }
    if (!this.#isInside) {
      const heldBytes = this.#ownBytes + this.#recordsBytes;
      if (!this.#lane.hasRoomFor(heldBytes)) return false;
      await this.#lane.wait(heldBytes);
      this.#isInside = true;
    }
    if (bytes > 0 && !this.take(bytes)) await this.#takeAlone();
    return true;
  }

  async #takeAlone(): Promise<void> {
    const bytes = this.#wantedBytes;
    this.#wantedBytes = 0;
    this.#isInside = false;
    await this.#lane.alone();
    this.#isInside = true;
    this.#grow(bytes);
  }

  leave(): void {
    if (this.#isInside) this.#lane.leave();
    this.#isInside = false;
  }

  readonly release = (): void => {
    this.#held?.release();
    this.#held = undefined;
  };

  #grow(bytes: number): void {
    this.#recordsBytes += bytes;
    this.#held?.grow(bytes);
  }
}
