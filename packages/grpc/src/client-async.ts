// Calls as promises and async iterables. All reject with an RpcError, also when `signal` aborts (CANCELLED, with its
// reason as the cause).
import { Drain, MessageQueue } from "./message-queue.ts";
import type { CallEnd, CallOptions, Channel, ClientCall, ClientCallListener } from "./rpc.ts";
import { RpcError } from "./status.ts";

type Messages = AsyncIterable<Uint8Array> | Iterable<Uint8Array>;

/** One message there, one back. */
export function callUnary(
  channel: Channel,
  path: string,
  request: Uint8Array,
  options: CallOptions,
  signal: AbortSignal,
): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const listener = new OneReply(resolve, reject, signal);
    if (!listener.begin(() => channel.start(path, options, listener))) return;
    listener.call.send(request);
    listener.call.halfClose();
  });
}

/** Many messages there, one back. Stops reading `requests` when the call is over. */
export function callClientStream(
  channel: Channel,
  path: string,
  requests: Messages,
  options: CallOptions,
  signal: AbortSignal,
): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const listener = new OneReply(resolve, reject, signal);
    if (!listener.begin(() => channel.start(path, options, listener))) return;
    sendAll(listener.call, requests, listener.drain);
  });
}

/** One message there, many back. Leaving the iteration early cancels the call. */
export async function* callServerStream(
  channel: Channel,
  path: string,
  request: Uint8Array,
  options: CallOptions,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  const listener = new ManyReplies(signal);
  listener.begin(() => channel.start(path, options, listener));
  listener.call.send(request);
  listener.call.halfClose();
  yield* listener.replies;
}

/** Many messages there, many back. Leaving the iteration early cancels the call. */
export async function* callBidi(
  channel: Channel,
  path: string,
  requests: Messages,
  options: CallOptions,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  const listener = new ManyReplies(signal);
  listener.begin(() => channel.start(path, options, listener));
  sendAll(listener.call, requests, listener.drain);
  yield* listener.replies;
}

/** Owns the sending of many messages; a source that fails cancels the call. */
function sendAll(call: ClientCall, messages: Messages, drain: Drain): void {
  const send = async (): Promise<void> => {
    for await (const message of messages) {
      if (call.isOver) return;
      if (!call.send(message)) await drain.next();
      if (call.isOver) return;
    }
    call.halfClose();
  };
  send().then(undefined, (error: unknown) => {
    call.cancel(error instanceof Error ? error.message : String(error), "CANCELLED");
  });
}

function errorOf(end: CallEnd, signal: AbortSignal): RpcError {
  const { code, message, trailers, maybeProcessed } = end;
  const cause = signal.aborted ? (signal.reason as unknown) : undefined;
  return new RpcError(code, message, { trailers, maybeProcessed, cause });
}

/** A call that an AbortSignal cancels; the signal's listener goes with the call. */
abstract class AbortableCall {
  readonly drain = new Drain();
  protected readonly signal: AbortSignal;
  #call: ClientCall | undefined;
  readonly #onAbort = (): void => this.#call?.cancel("the caller aborted the call");

  constructor(signal: AbortSignal) {
    this.signal = signal;
  }

  get call(): ClientCall {
    return this.#call!;
  }

  start(begin: () => ClientCall): void {
    this.#call = begin();
    if (this.signal.aborted) this.#onAbort();
    else this.signal.addEventListener("abort", this.#onAbort, { once: true });
  }

  onDrain(): void {
    this.drain.open();
  }

  protected end(): void {
    this.signal.removeEventListener("abort", this.#onAbort);
    this.drain.close();
  }
}

class OneReply extends AbortableCall implements ClientCallListener {
  readonly #resolve: (reply: Uint8Array) => void;
  readonly #reject: (error: RpcError) => void;
  #reply: Uint8Array | undefined;

  constructor(resolve: (reply: Uint8Array) => void, reject: (error: RpcError) => void, signal: AbortSignal) {
    super(signal);
    this.#resolve = resolve;
    this.#reject = reject;
  }

  /** @returns false when the caller had aborted before: nothing was begun */
  begin(start: () => ClientCall): boolean {
    if (this.signal.aborted) {
      const cause: unknown = this.signal.reason;
      this.#reject(
        new RpcError("CANCELLED", "the caller aborted the call", { cause, maybeProcessed: false }),
      );
      return false;
    }
    this.start(start);
    return true;
  }

  onMessage(bytes: Uint8Array): void {
    if (this.#reply !== undefined)
      throw new RpcError("INTERNAL", "more than one message where one is expected");
    this.#reply = bytes.slice();
  }

  onEnd(end: CallEnd): void {
    this.end();
    if (end.code !== "OK") this.#reject(errorOf(end, this.signal));
    else if (this.#reply !== undefined) this.#resolve(this.#reply);
    else
      this.#reject(new RpcError("INTERNAL", "no message where one is expected", { trailers: end.trailers }));
  }
}

class ManyReplies extends AbortableCall implements ClientCallListener {
  readonly replies: MessageQueue;

  constructor(signal: AbortSignal) {
    super(signal);
    const pausable = { pause: () => this.call.pause(), resume: () => this.call.resume() };
    this.replies = new MessageQueue(pausable, () => this.call.cancel("the caller has left"));
  }

  begin(start: () => ClientCall): void {
    this.start(start);
  }

  onMessage(bytes: Uint8Array): void {
    this.replies.push(bytes);
  }

  onEnd(end: CallEnd): void {
    this.end();
    this.replies.end(end.code === "OK" ? undefined : errorOf(end, this.signal));
  }
}
