// The messages of an append's content stream, from whole bytes or from a stream of chunks, with the commit intent and the
// end that the protocol wants behind them.
import type { Clock } from "@millrace/base";
import type { AppendContent } from "@millrace/client";
import type { AppendInput } from "./append-states.ts";
import type { JournalReplica } from "./journal-replica.ts";

type Phase = "content" | "intent" | "end";

const EMPTY = new Uint8Array(0);

export class ContentSource {
  readonly knownBytes: number;
  /** Content of the message that `next` gave last. */
  chunk: Uint8Array = EMPTY;
  readonly #bytes: readonly Uint8Array[];
  #at = 0;
  #iterator: AsyncIterator<Uint8Array> | undefined;
  readonly #clock: Clock;
  #phase: Phase = "content";

  constructor(content: AppendContent, clock: Clock) {
    this.#clock = clock;
    if (content.kind === "bytes") {
      this.#bytes = content.bytes;
      let total = 0;
      for (const part of content.bytes) total += part.length;
      this.knownBytes = total;
    } else {
      this.#bytes = [];
      this.#iterator = content.chunks[Symbol.asyncIterator]();
      this.knownBytes = 0;
    }
  }

  next(_replica: JournalReplica): AppendInput | Promise<AppendInput> {
    if (this.#phase === "end") return { kind: "end-of-stream" };
    if (this.#phase === "intent") {
      this.#phase = "end";
      return chunkOf(0);
    }
    if (this.#iterator !== undefined) return this.#pull(this.#iterator);
    while (this.#at < this.#bytes.length) {
      const part = this.#bytes[this.#at++]!;
      if (part.length === 0) continue;
      this.chunk = part;
      return chunkOf(part.length);
    }
    return this.#intend();
  }

  liftRateLimit(): void {
    void this.#clock;
  }

  /** Lets the stream's source go, unless it has ended. */
  abandon(): void {
    const iterator = this.#iterator;
    this.#iterator = undefined;
    if (iterator?.return !== undefined) void Promise.resolve(iterator.return()).catch(() => undefined);
  }

  async #pull(iterator: AsyncIterator<Uint8Array>): Promise<AppendInput> {
    for (;;) {
      const { done, value } = await iterator.next();
      if (done === true) {
        this.#iterator = undefined;
        return this.#intend();
      }
      if (value.length === 0) continue;
      this.chunk = value;
      return chunkOf(value.length);
    }
  }

  #intend(): AppendInput {
    this.#phase = "end";
    return chunkOf(0);
  }
}

function chunkOf(bytes: number): AppendInput {
  return { kind: "message", message: { shape: "chunk", bytes, delayed: false } };
}
