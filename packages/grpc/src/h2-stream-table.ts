// The streams of a connection: those that are open, and what can be said of the others by their number alone.
import type { H2Stream } from "./h2-stream.ts";

/** Streams that were reset and whose late frames are dropped; frames of older ones are not on their way any more. */
const RESET_STREAMS_MAX = 4096;

export class StreamTable {
  readonly #role: "server" | "client";
  readonly #streams = new Map<number, H2Stream>();
  readonly #reset = new Set<number>();
  /** The highest number that the peer has used. */
  lastOfPeer = 0;
  /** The next number that this side uses. */
  next = 1;

  constructor(role: "server" | "client") {
    this.#role = role;
  }

  get size(): number {
    return this.#streams.size;
  }

  get(id: number): H2Stream | undefined {
    return this.#streams.get(id);
  }

  set(stream: H2Stream): void {
    this.#streams.set(stream.id, stream);
  }

  /** @returns whether it was there */
  delete(stream: H2Stream): boolean {
    return this.#streams.delete(stream.id);
  }

  values(): IterableIterator<H2Stream> {
    return this.#streams.values();
  }

  /** Whether the peer opens streams of such a number: clients the odd ones; servers none, here. */
  isPeers(id: number): boolean {
    return (id & 1) === (this.#role === "server" ? 1 : 0);
  }

  /** Whether it was never opened. */
  isIdle(id: number): boolean {
    return this.isPeers(id) ? id > this.lastOfPeer : id >= this.next;
  }

  /** This side has reset it: frames of the peer may be on their way. */
  noteReset(id: number): void {
    this.#reset.add(id);
    if (this.#reset.size <= RESET_STREAMS_MAX) return;
    for (const oldest of this.#reset) {
      this.#reset.delete(oldest);
      return;
    }
  }

  wasReset(id: number): boolean {
    return this.#reset.has(id);
  }
}
