// Messages of a call as an async iterable: what comes faster than it is taken stops the peer, by pausing the call.
import type { RpcError } from "./status.ts";

/** What a call of either side has that is to be stopped. */
export interface Pausable {
  pause(): void;
  resume(): void;
}

/** Beyond this the peer is stopped: enough that taking one at a time does not wait for each of them. */
const MESSAGES_MAX = 16;
const BYTES_MAX = 256 * 1024;

export class MessageQueue implements AsyncIterable<Uint8Array> {
  readonly #call: Pausable;
  readonly #onAbandoned: () => void;
  readonly #messages: Uint8Array[] = [];
  #bytes = 0;
  #isPaused = false;
  #end: { readonly error: RpcError | undefined } | undefined;
  #wake: (() => void) | undefined;

  /** @param onAbandoned the consumer left before the end */
  constructor(call: Pausable, onAbandoned: () => void) {
    this.#call = call;
    this.#onAbandoned = onAbandoned;
  }

  /** Keeps a copy. */
  push(message: Uint8Array): void {
    this.#messages.push(message.slice());
    this.#bytes += message.length;
    if (!this.#isPaused && (this.#messages.length >= MESSAGES_MAX || this.#bytes >= BYTES_MAX)) {
      this.#isPaused = true;
      this.#call.pause();
    }
    this.#wake?.();
  }

  /** What is there is still given; then the iteration ends, or throws `error`. */
  end(error?: RpcError): void {
    this.#end ??= { error };
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    let isWhole = false;
    try {
      for (;;) {
        const message = this.#messages.shift();
        if (message !== undefined) {
          this.#bytes -= message.length;
          if (this.#isPaused && this.#messages.length < MESSAGES_MAX / 2 && this.#bytes < BYTES_MAX / 2) {
            this.#isPaused = false;
            this.#call.resume();
          }
          yield message;
        } else if (this.#end !== undefined) {
          isWhole = true;
          if (this.#end.error !== undefined) throw this.#end.error;
          return;
        } else await this.#next();
      }
    } finally {
      if (!isWhole) this.#onAbandoned();
    }
  }

  #next(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = () => {
        this.#wake = undefined;
        resolve();
      };
    });
  }
}

/** Somebody who waits until more can be sent. */
export class Drain {
  #wake: (() => void) | undefined;
  #isOver = false;

  /** Resolves at the next `open`, or at once after `close`. */
  next(): Promise<void> {
    if (this.#isOver) return Promise.resolve();
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  open(): void {
    this.#wake?.();
    this.#wake = undefined;
  }

  close(): void {
    this.#isOver = true;
    this.open();
  }
}
