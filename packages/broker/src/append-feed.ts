// What a door has received of an append's stream and the machine has not yet taken. The door pushes, the machine pulls.
//
//  F1  Chunks keep their order and their borders; whoever pushes has copied them.
//  F2  The door stops its peer while more than FEED_BYTES_MAX or FEED_ITEMS_MAX wait, so a feed holds that much and one
//      chunk; of what was taken it keeps nothing.
//  F3  The first thing that is wrong with a stream decides: what comes behind it is not kept, be it ever so much.
import type { ContentStanding, StreamMessage } from "./append-states.ts";
import { FEED_BYTES_MAX, FEED_ITEMS_MAX } from "./limits.ts";

/** A chunk; one without bytes is the intent to commit. */
export type FeedItem = Uint8Array | Exclude<StreamMessage, { readonly shape: "chunk" }> | "end-of-stream";

/** Takes after which the place of what was taken is given up, if that is half of the list. */
const COMPACT_ITEMS = 64;
const TAKEN = new Uint8Array(0);

export class AppendFeed {
  /** Bytes that wait. */
  bytes = 0;
  readonly #items: FeedItem[] = [];
  #at = 0;
  #isTouched = false;
  #hasIntent = false;
  #isDecided = false;
  #wake: (() => void) | undefined;
  #wakeAt: ContentStanding | undefined;
  readonly #onRoom: () => void;

  /** @param onRoom called when a full feed has room again */
  constructor(onRoom: () => void) {
    this.#onRoom = onRoom;
  }

  /** Chunks, and the like, that wait. */
  get count(): number {
    return this.#items.length - this.#at;
  }

  /** Of the list, with what was taken and has not been given up yet. */
  get places(): number {
    return this.#items.length;
  }

  get isFull(): boolean {
    return this.bytes > FEED_BYTES_MAX || this.count > FEED_ITEMS_MAX;
  }

  get isEmpty(): boolean {
    return this.#at === this.#items.length;
  }

  /** F3: whatever comes, how the stream ends is known. */
  get isDecided(): boolean {
    return this.#isDecided;
  }

  /** Nothing more comes. */
  get isWhole(): boolean {
    return this.#items.at(-1) === "end-of-stream";
  }

  /** Of what waits, while nothing was taken. */
  get standing(): ContentStanding {
    if (this.#isDecided || this.isFull) return "enough";
    return this.bytes > 0 ? "some" : "none";
  }

  /** Nothing was taken, and the intent to commit is all that came. */
  get isNothing(): boolean {
    const [intent, end, ...more] = this.#items;
    const isIntent = intent instanceof Uint8Array && intent.length === 0;
    return !this.#isTouched && isIntent && end === "end-of-stream" && more.length === 0;
  }

  push(item: FeedItem): void {
    if (this.#isDecided) return; // F3
    this.#items.push(item);
    if (item instanceof Uint8Array) this.bytes += item.length;
    if (this.#hasIntent || !(item instanceof Uint8Array)) this.#isDecided = true;
    else this.#hasIntent = item.length === 0;
    if (this.#wake !== undefined && this.#has(this.#wakeAt)) this.#woken();
  }

  /** @returns undefined when nothing waits */
  take(): FeedItem | undefined {
    if (this.isEmpty) return undefined;
    const wasFull = this.isFull;
    const item = this.#items[this.#at]!;
    this.#isTouched = true;
    this.#items[this.#at++] = TAKEN;
    if (this.isEmpty || (this.#at >= COMPACT_ITEMS && 2 * this.#at >= this.#items.length)) {
      this.#items.splice(0, this.#at);
      this.#at = 0;
    }
    if (item instanceof Uint8Array) this.bytes -= item.length;
    if (wasFull && !this.isFull) this.#onRoom();
    return item;
  }

  /** Resolves when something waits. One caller at a time, of this and `until`: who called before hears nothing. */
  filled(): Promise<void> {
    return this.#when(undefined);
  }

  /** Resolves when so much of the content waits. */
  until(least: ContentStanding): Promise<void> {
    return this.#when(least);
  }

  #when(least: ContentStanding | undefined): Promise<void> {
    if (this.#has(least)) return Promise.resolve();
    return new Promise((resolve) => {
      this.#wake = resolve;
      this.#wakeAt = least;
    });
  }

  #has(least: ContentStanding | undefined): boolean {
    if (least === undefined) return !this.isEmpty;
    const { standing } = this;
    return standing === "enough" || standing === least;
  }

  #woken(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }
}
