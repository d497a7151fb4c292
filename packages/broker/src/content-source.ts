// The messages of an append's content stream, from whole bytes or from a stream of chunks, with the commit intent
// and the end that the protocol wants behind them, or from what a door feeds, as it comes; and their flow control.
import { assert, type Clock } from "@millrace/base";
import type { AppendContent } from "@millrace/client";
import { AppendFeed, type FeedItem } from "./append-feed.ts";
import type { AppendInput, ContentStanding } from "./append-states.ts";
import { streamError } from "./append-stream.ts";
import { ClientPace, type PaceOwner } from "./client-pace.ts";
import { admitChunk, fullBucket, type RateBucket } from "./flow-control.ts";
import { FEED_BYTES_MAX } from "./limits.ts";

/** Whose journal it is: the bucket outlives the append. */
export interface FlowOwner extends PaceOwner {
  /** Bytes a second, 0 = no bound. */
  readonly maxRate: number;
  bucket: RateBucket | undefined;
}

type Phase = "content" | "end";

const EMPTY = new Uint8Array(0);
const INTENT: AppendInput = { kind: "message", message: { shape: "chunk", bytes: 0, delayed: false } };
const END_OF_STREAM: AppendInput = { kind: "end-of-stream" };

export class ContentSource {
  /** Of whole bytes their length, of a feed what is in it, of a stream 0. */
  readonly knownBytes: number;
  /** Content of the message that `next` gave last. */
  chunk: Uint8Array = EMPTY;
  readonly #clock: Clock;
  #bytes: readonly Uint8Array[];
  #feed: AppendFeed | undefined;
  #at = 0;
  #iterator: AsyncIterator<Uint8Array> | undefined;
  #phase: Phase = "content";
  /** Once a client was waited for. */
  #pace: ClientPace | undefined;
  #isTaken = false;
  /** Bytes that had been collected when the first was taken, and have not been taken yet. */
  #collectedBytes = FEED_BYTES_MAX;
  #isUnlimited = false;
  #cancelTimer: (() => void) | undefined;
  #passNow: (() => void) | undefined;
  /** All of it, once it is here. */
  #whole: AppendContent | undefined;
  #passing: "none" | "whole" | "some" | "passed" = "none";

  constructor(content: AppendContent | AppendFeed, clock: Clock) {
    this.#clock = clock;
    if (content instanceof AppendFeed) {
      this.#bytes = [];
      this.#feed = content;
      this.knownBytes = content.bytes;
      return;
    }
    if (content.kind === "chunks") {
      this.#bytes = [];
      this.#iterator = content.chunks[Symbol.asyncIterator]();
      this.knownBytes = 0;
      return;
    }
    this.#bytes = content.bytes;
    this.#whole = content;
    let total = 0;
    for (const part of content.bytes) total += part.length;
    this.knownBytes = total;
  }

  /** The next message, at once when nothing needs waiting for. Rejects with what the stream threw. */
  next(owner: FlowOwner): AppendInput | Promise<AppendInput> {
    if (this.#feed !== undefined) return this.#take(this.#feed, owner);
    if (this.#phase === "end") return END_OF_STREAM;
    if (this.#iterator !== undefined) return this.#pull(this.#iterator, owner);
    while (this.#at < this.#bytes.length) {
      const part = this.#bytes[this.#at++]!;
      if (part.length > 0) return this.#deliver(part, owner);
    }
    return this.#intend();
  }

  /** All of it is here, untouched, and it has no byte; known of bytes and of feeds. */
  get isNothing(): boolean {
    if (this.#whole !== undefined) return this.knownBytes === 0;
    return this.#feed?.isNothing === true;
  }

  /** While nothing was taken. Of a stream whoever gives it has collected the beginning. */
  get standing(): ContentStanding {
    return this.#feed === undefined ? "enough" : this.#feed.standing;
  }

  /** More of it is to come from its client. */
  get isUnfinished(): boolean {
    return this.#iterator !== undefined || this.#feed?.isDecided === false;
  }

  /** Bytes that are here. */
  get waitingBytes(): number {
    return this.#feed?.bytes ?? this.knownBytes;
  }

  /** Its client is waited for, at the expense of whoever comes to wait. */
  get isAwaited(): boolean {
    return this.#pace?.isAwaiting === true;
  }

  /** Somebody waits for the append, who did not when the waiting for its client began. */
  wanted(): void {
    this.#pace?.wanted();
  }

  /**
   * Waits until so much of it is here, before any of it was taken. @returns undefined: it is
   * @param minRate what its client must sustain meanwhile; 0 = nothing
   */
  gathered(least: ContentStanding, minRate: number): Promise<void> | undefined {
    const { standing } = this;
    if (this.#feed === undefined || standing === "enough" || standing === least) return undefined;
    return this.#paced().gathered(this.#feed, least, minRate);
  }

  /** Nothing was taken but what is still here: another broker can have it from the beginning. */
  get isUntouched(): boolean {
    return this.#passing === "none" || this.#passing === "whole";
  }

  /** All of it went to another broker, with the intent to commit. */
  get isPassedOn(): boolean {
    return this.#passing === "whole" || this.#passing === "passed";
  }

  /**
   * The content for another broker, which judges it: instead of `next`, without flow control. Anew for each attempt.
   * @param signal ends the waiting for what comes
   * @throws {WireError} INVALID_ARGUMENT about what came already
   */
  passOn(signal: AbortSignal): AppendContent {
    if (this.#whole === undefined && this.#feed?.isWhole === true) {
      const feed = passFeed(this.#feed);
      const bytes: Uint8Array[] = [];
      for (let next = feed(); next !== "end"; next = feed()) if (next.length > 0) bytes.push(next);
      this.#whole = { kind: "bytes", bytes };
      // The next attempt may be ours: the feed has nothing any more.
      this.#bytes = bytes;
      this.#feed = undefined;
    }
    if (this.#whole !== undefined) {
      this.#passing = "whole";
      return this.#whole;
    }
    if (this.#feed !== undefined) return { kind: "chunks", chunks: this.#passFeed(this.#feed, signal) };
    return { kind: "chunks", chunks: this.#passStream(this.#iterator!) };
  }

  /** No more waiting for the upper bound: whoever takes over should not wait for this append. */
  liftRateLimit(): void {
    this.#isUnlimited = true;
    this.#passNow?.();
  }

  /** Lets the stream's source go, unless it has ended, and stops the timers. */
  abandon(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    this.#pace?.stop();
    const iterator = this.#iterator;
    this.#iterator = undefined;
    // A source that throws while it is let go has nobody left to tell.
    if (iterator?.return !== undefined) void Promise.resolve(iterator.return()).catch(() => undefined);
  }

  async *#passFeed(feed: AppendFeed, signal: AbortSignal): AsyncGenerator<Uint8Array, void, undefined> {
    this.#passing = "some";
    const next = passFeed(feed);
    for (;;) {
      if (feed.isEmpty) await filledOrAborted(feed, signal);
      const chunk = next();
      if (chunk === "end") break;
      if (chunk.length > 0) yield chunk;
    }
    this.#passing = "passed";
  }

  async *#passStream(iterator: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
    this.#passing = "some";
    yield* { [Symbol.asyncIterator]: () => iterator };
    this.#passing = "passed";
  }

  #take(feed: AppendFeed, owner: FlowOwner): AppendInput | Promise<AppendInput> {
    if (!this.#isTaken) {
      this.#isTaken = true;
      this.#collectedBytes = feed.bytes;
    }
    const item = feed.take();
    if (item !== undefined) {
      if (item instanceof Uint8Array) this.#pace?.came(item.length, owner.minRate);
      return this.#taken(item, owner);
    }
    return this.#paced()
      .sustained(feed.filled(), () => feed.bytes, owner)
      .then(() => {
        const next = feed.take();
        assert(next !== undefined, "a feed that was filled has something");
        return this.#taken(next, owner);
      });
  }

  #taken(item: FeedItem, owner: FlowOwner): AppendInput | Promise<AppendInput> {
    if (item === "end-of-stream") return END_OF_STREAM;
    if (!(item instanceof Uint8Array)) return { kind: "message", message: item };
    return item.length === 0 ? INTENT : this.#deliver(item, owner);
  }

  #deliver(chunk: Uint8Array, owner: FlowOwner): AppendInput | Promise<AppendInput> {
    this.chunk = chunk;
    if (this.isUnfinished) this.#earn(chunk.length, owner);
    const { maxRate } = owner;
    if (maxRate === 0 || this.#isUnlimited) return chunkOf(chunk.length, false);
    const nowMs = this.#clock.monotonicMs();
    const { bucket, waitMs } = admitChunk(
      owner.bucket ?? fullBucket(maxRate, nowMs),
      chunk.length,
      maxRate,
      nowMs,
    );
    owner.bucket = bucket;
    if (waitMs === 0) return chunkOf(chunk.length, false);
    return new Promise((resolve) => {
      const pass = (): void => {
        this.#cancelTimer?.();
        this.#cancelTimer = this.#passNow = undefined;
        resolve(chunkOf(chunk.length, true));
      };
      this.#passNow = pass;
      this.#cancelTimer = this.#clock.after(waitMs, pass);
    });
  }

  async #pull(iterator: AsyncIterator<Uint8Array>, owner: FlowOwner): Promise<AppendInput> {
    for (;;) {
      const received = iterator.next();
      const bytesOf = (result: IteratorResult<Uint8Array>): number =>
        result.done === true ? 0 : result.value.length;
      const { done, value } = await this.#paced().sustained(received, bytesOf, owner);
      if (done === true) {
        this.#iterator = undefined;
        return this.#intend();
      }
      if (value.length > 0) return this.#deliver(value, owner);
    }
  }

  #paced(): ClientPace {
    return (this.#pace ??= new ClientPace(this.#clock));
  }

  /** T2 of patience.ts */
  #earn(bytes: number, { patience, minRate }: FlowOwner): void {
    const earning = bytes - this.#collectedBytes;
    this.#collectedBytes = Math.max(0, -earning);
    if (minRate > 0 && earning > 0) patience.earn(earning, minRate, this.#clock.monotonicMs());
  }

  #intend(): AppendInput {
    this.#phase = "end";
    return INTENT;
  }
}

/**
 * Takes what is in a feed, one piece each time: an empty one for the intent, then the end (X1 of append-proxy.ts).
 * Something must be there.
 * @throws {WireError} INVALID_ARGUMENT
 */
function passFeed(feed: AppendFeed): () => Uint8Array | "end" {
  let hasIntent = false;
  return () => {
    const item = feed.take();
    assert(item !== undefined, "something waits in the feed");
    if (item === "end-of-stream") {
      if (!hasIntent) throw streamError("unexpected EOF");
      return "end";
    }
    if (hasIntent) throw streamError("expected EOF after empty Content chunk");
    if (!(item instanceof Uint8Array)) {
      throw streamError(item.shape === "invalid" ? item.text : "expected Content chunk");
    }
    hasIntent = item.length === 0;
    return item;
  };
}

async function filledOrAborted(feed: AppendFeed, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  let onAbort = (): void => undefined;
  const aborted = new Promise<never>((_, reject) => {
    onAbort = (): void => reject(signal.reason as Error);
    signal.addEventListener("abort", onAbort, { once: true });
  });
  try {
    await Promise.race([feed.filled(), aborted]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

function chunkOf(bytes: number, delayed: boolean): AppendInput {
  return { kind: "message", message: { shape: "chunk", bytes, delayed } };
}
