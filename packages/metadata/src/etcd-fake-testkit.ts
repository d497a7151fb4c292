// A channel to a member that does what a test says, on simulated time.
import type { Clock } from "@millrace/base";
import { decode, encode } from "@millrace/protobuf";
import type { Method } from "./etcd-api/method.ts";
import type { RpcCall, RpcChannel, RpcListener, RpcOptions } from "./etcd-channel.ts";

export class FakeCall implements RpcCall {
  readonly path: string;
  readonly metadata: ReadonlyMap<string, string>;
  isPaused = false;
  isOver = false;
  readonly #listener: RpcListener;
  readonly #onMessage: (call: FakeCall, bytes: Uint8Array) => void;

  constructor(
    path: string,
    metadata: ReadonlyMap<string, string>,
    listener: RpcListener,
    onMessage: (call: FakeCall, bytes: Uint8Array) => void,
  ) {
    this.path = path;
    this.metadata = metadata;
    this.#listener = listener;
    this.#onMessage = onMessage;
  }

  send(bytes: Uint8Array): boolean {
    const copy = Uint8Array.from(bytes);
    queueMicrotask(() => this.isOver || this.#onMessage(this, copy));
    return true;
  }

  halfClose(): void {}

  cancel(): void {
    queueMicrotask(() => this.end("CANCELLED", "cancelled"));
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
  }

  /** An answer, as bytes that are valid only until the listener returns. */
  reply(bytes: Uint8Array): void {
    if (this.isOver) return;
    const lent = Uint8Array.from(bytes);
    this.#listener.onMessage(lent);
    lent.fill(0xee);
  }

  end(code: string, message = "", maybeProcessed = true): void {
    if (this.isOver) return;
    this.isOver = true;
    this.#listener.onEnd({ code, message, maybeProcessed });
  }
}

/** What a member does with one message of a call. */
export type FakeMember = (call: FakeCall, bytes: Uint8Array) => void;

export function fakeChannel(clock: Clock, member: FakeMember): RpcChannel {
  return {
    start: (path: string, { metadata, timeoutMs }: RpcOptions, listener: RpcListener) => {
      const call = new FakeCall(path, metadata, listener, member);
      if (timeoutMs !== undefined)
        clock.after(timeoutMs, () => call.end("DEADLINE_EXCEEDED", "deadline exceeded"));
      return call;
    },
    close: async () => {},
  };
}

/** Answers a call of `method` as `answer` says. */
export function answering<Q, R>(
  method: Method<Q, R>,
  answer: (request: Q, call: FakeCall) => R | undefined,
): readonly [path: string, member: FakeMember] {
  return [
    method.path,
    (call, bytes) => {
      const response = answer(decode(method.request, bytes), call);
      if (response === undefined) return;
      call.reply(encode(method.response, response));
      if (!/Watch$|KeepAlive$/.test(method.path)) call.end("OK");
    },
  ];
}

/** A member that serves these methods; others are UNIMPLEMENTED. */
export function memberOf(...methods: readonly (readonly [path: string, member: FakeMember])[]): FakeMember {
  const known = new Map(methods);
  return (call, bytes) => {
    const member = known.get(call.path);
    if (member === undefined) call.end("UNIMPLEMENTED", `unknown method ${call.path}`);
    else member(call, bytes);
  };
}
