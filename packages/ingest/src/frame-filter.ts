// Which frames of a partition count (D20): an append of unknown outcome is retried with the same frame, so a frame may
// stand twice. A frame counts when its sequence is above the last one seen of its producer. The state is a function of
// the partition's bytes, and is checkpointed at slice ends.

/** Last sequence of each producer, the producer that was seen longest ago first. */
export type FrameFilterCheckpoint = readonly (readonly [producer: string, sequence: number])[];

/**
 * Producers remembered: one per process that ever wrote to the partition. A producer that is forgotten has been silent
 * while so many others started: it is no longer retrying.
 */
export const FILTER_PRODUCERS_MAX = 256;

export class FrameFilter {
  readonly #last: Map<string, number>;

  constructor(checkpoint: FrameFilterCheckpoint = []) {
    this.#last = new Map(checkpoint);
  }

  /** Whether this frame counts; false: it stood in the partition before. Frames must come in journal order. */
  accept(frame: { readonly producer: string; readonly sequence: number }): boolean {
    const last = this.#last.get(frame.producer);
    if (last !== undefined && frame.sequence <= last) return false;
    this.#last.delete(frame.producer);
    this.#last.set(frame.producer, frame.sequence);
    if (this.#last.size > FILTER_PRODUCERS_MAX) {
      for (const oldest of this.#last.keys()) {
        this.#last.delete(oldest);
        break;
      }
    }
    return true;
  }

  /** The state after the frames so far; `new FrameFilter(checkpoint)` goes on from it. */
  checkpoint(): FrameFilterCheckpoint {
    return [...this.#last];
  }
}
