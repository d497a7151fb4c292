// Handlers as async functions: for calls that are few enough for a promise or two each. A handler that throws an
// RpcError ends its call with that status; anything else is INTERNAL and logged.
import { InvariantError } from "@millrace/base";
import { Drain, MessageQueue } from "./message-queue.ts";
import type { CallHandler, ServerCall, ServerCallListener } from "./rpc.ts";
import { RpcError } from "./status.ts";

type Requests = AsyncIterable<Uint8Array>;
type Replies = AsyncIterable<Uint8Array>;

export function unary(serve: (request: Uint8Array, call: ServerCall) => Promise<Uint8Array>): CallHandler {
  return (call) => new OneRequest(call, (request) => reply(call, serve(request, call)));
}

export function serverStream(serve: (request: Uint8Array, call: ServerCall) => Replies): CallHandler {
  return (call) => {
    const drain = new Drain();
    return new OneRequest(call, (request) => replyAll(call, serve(request, call), drain), drain);
  };
}

export function clientStream(
  serve: (requests: Requests, call: ServerCall) => Promise<Uint8Array>,
): CallHandler {
  return (call) => {
    const listener = new ManyRequests(call);
    listener.run(() => reply(call, serve(listener.requests, call)));
    return listener;
  };
}

export function bidi(serve: (requests: Requests, call: ServerCall) => Replies): CallHandler {
  return (call) => {
    const listener = new ManyRequests(call);
    listener.run(() => replyAll(call, serve(listener.requests, call), listener.drain));
    return listener;
  };
}

async function reply(call: ServerCall, result: Promise<Uint8Array>): Promise<void> {
  call.send(await result);
  call.finish("OK");
}

async function replyAll(call: ServerCall, replies: Replies, drain: Drain): Promise<void> {
  for await (const message of replies) {
    if (!call.send(message)) await drain.next();
    if (call.isOver) return;
  }
  call.finish("OK");
}

/** Owns the promise of a handler. */
function run(call: ServerCall, serve: () => Promise<void>): void {
  serve().then(undefined, (error: unknown) => {
    if (error instanceof InvariantError) throw error;
    if (error instanceof RpcError) call.finish(error.code, error.message, error.trailers);
    else call.finish("INTERNAL", error instanceof Error ? error.message : String(error));
  });
}

class OneRequest implements ServerCallListener {
  readonly #call: ServerCall;
  readonly #serve: (request: Uint8Array) => Promise<void>;
  readonly #drain: Drain | undefined;
  #request: Uint8Array | undefined;

  constructor(call: ServerCall, serve: (request: Uint8Array) => Promise<void>, drain?: Drain) {
    this.#call = call;
    this.#serve = serve;
    this.#drain = drain;
  }

  onMessage(bytes: Uint8Array): void {
    if (this.#request !== undefined)
      throw new RpcError("INTERNAL", "more than one message where one is expected");
    this.#request = bytes.slice();
  }

  onHalfClose(): void {
    const request = this.#request;
    if (request === undefined) throw new RpcError("INTERNAL", "no message where one is expected");
    run(this.#call, () => this.#serve(request));
  }

  onDrain(): void {
    this.#drain?.open();
  }

  onCancelled(): void {
    this.#drain?.close();
  }
}

class ManyRequests implements ServerCallListener {
  readonly requests: MessageQueue;
  readonly drain = new Drain();
  readonly #call: ServerCall;

  constructor(call: ServerCall) {
    this.#call = call;
    // A handler may answer without having read everything: what still comes is dropped.
    this.requests = new MessageQueue(call, () => call.resume());
  }

  /** Starts the handler when its call is set up. */
  run(serve: () => Promise<void>): void {
    run(this.#call, () => Promise.resolve().then(serve));
  }

  onMessage(bytes: Uint8Array): void {
    this.requests.push(bytes);
  }

  onHalfClose(): void {
    this.requests.end();
  }

  onDrain(): void {
    this.drain.open();
  }

  onCancelled(error: RpcError): void {
    this.requests.end(error);
    this.drain.close();
  }
}
