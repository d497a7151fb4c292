// What a door has received of an append's stream and the machine has not yet taken. The door pushes, the machine pulls.
//
//  F1  Chunks keep their order and their borders; whoever pushes has copied them.
//  F2  The door stops its peer while more than FEED_BYTES_MAX wait, so a feed holds that much and one chunk.
import type { StreamMessage } from "./append-states.ts";
import { FEED_BYTES_MAX } from "./limits.ts";

/** A chunk; one without bytes is the intent to commit. */
export type FeedItem = Uint8Array | Exclude<StreamMessage, { readonly shape: "chunk" }> | "end-of-stream";

export class AppendFeed {
  /** Bytes that wait. */
  bytes = 0;
  readonly #items: FeedItem[] = [];
  #at = 0;
  #wake: (() => void) | undefined;
  readonly #onRoom: () => void;

  /** @param onRoom called when a full feed has room again */
  constructor(onRoom: () => void) {
    this.#onRoom = onRoom;
  }

  get isFull(): boolean {
    return this.bytes > FEED_BYTES_MAX;
  }

  get isEmpty(): boolean {
    return this.#at === this.#items.length;
  }

  /** Nothing more comes. */
  get isWhole(): boolean {
    return this.#items.at(-1) === "end-of-stream";
  }

  /** Nothing was taken, and the intent to commit is all that came. */
  get isNothing(): boolean {
    const [intent, end, ...more] = this.#items;
    const isIntent = intent instanceof Uint8Array && intent.length === 0;
    return this.#at === 0 && isIntent && end === "end-of-stream" && more.length === 0;
  }

  push(item: FeedItem): void {
    this.#items.push(item);
    if (item instanceof Uint8Array) this.bytes += item.length;
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }

  /** @returns undefined when nothing waits */
  take(): FeedItem | undefined {
    if (this.isEmpty) return undefined;
    const item = this.#items[this.#at++]!;
    if (this.#at === this.#items.length) {
      this.#items.length = 0;
      this.#at = 0;
    }
    if (item instanceof Uint8Array) {
      const wasFull = this.isFull;
      this.bytes -= item.length;
      if (wasFull && !this.isFull) this.#onRoom();
    }
    return item;
  }

  /** Resolves when something waits. One caller at a time. */
  filled(): Promise<void> {
    if (this.#at < this.#items.length) return Promise.resolve();
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}
