// Calls that come before their broker can answer. A broker is announced before it is ready: others assign journals to
// it and connect at once, and Gazette's brokers try a replica that refused them again a minute later.
//
//  H1  Until `open`, calls wait: nothing of them is read, so that flow control stops who sends. Then they are handled
//      in their order, and what comes later goes straight to its handler.
//  H2  CALLS_MAX wait at most, HOLD_MS at most; the others are refused with UNAVAILABLE.
import { WireError, type Clock } from "@millrace/base";
import {
  RpcError,
  type CallHandler,
  type CallHandlers,
  type ServerCall,
  type ServerCallListener,
} from "@millrace/grpc";
import { statusCodeOf } from "./grpc-status.ts";

const CALLS_MAX = 1024;
const HOLD_MS = 10_000;
const STARTING = "the broker is starting";

export class HeldCalls {
  readonly #clock: Pick<Clock, "after">;
  readonly #waiting = new Set<HeldCall>();
  #isOpen = false;

  constructor(clock: Pick<Clock, "after">) {
    this.#clock = clock;
  }

  /** The same handlers, which calls wait for. */
  over(handlers: CallHandlers): CallHandlers {
    return new Map([...handlers].map(([path, handler]) => [path, this.#over(handler)]));
  }

  /** From now on calls are handled. */
  open(): void {
    this.#isOpen = true;
    for (const held of this.#waiting) held.begin();
    this.#waiting.clear();
  }

  #over(handler: CallHandler): CallHandler {
    return (call) => {
      if (this.#isOpen) return handler(call);
      if (this.#waiting.size >= CALLS_MAX) throw new RpcError("UNAVAILABLE", STARTING);
      const held = new HeldCall(call, handler, () => this.#waiting.delete(held));
      held.stopWaiting = this.#clock.after(HOLD_MS, () => held.refuse());
      this.#waiting.add(held);
      return held;
    };
  }
}

class HeldCall implements ServerCallListener {
  stopWaiting: () => void = () => undefined;
  readonly #call: ServerCall;
  readonly #handler: CallHandler;
  readonly #onOver: () => void;
  #listener: ServerCallListener | undefined;

  constructor(call: ServerCall, handler: CallHandler, onOver: () => void) {
    this.#call = call;
    this.#handler = handler;
    this.#onOver = onOver;
    call.pause();
  }

  begin(): void {
    this.stopWaiting();
    // What the handler pauses stays so: messages come in a later turn.
    this.#call.resume();
    try {
      this.#listener = this.#handler(this.#call);
    } catch (error) {
      if (error instanceof RpcError) return this.#call.finish(error.code, error.message, error.trailers);
      const { message } = WireError.from(error);
      this.#call.finish(statusCodeOf(WireError.from(error)), message);
    }
  }

  refuse(): void {
    this.#onOver();
    this.#call.finish("UNAVAILABLE", STARTING);
  }

  onMessage(bytes: Uint8Array): void {
    this.#listener?.onMessage(bytes);
  }

  onHalfClose(): void {
    this.#listener?.onHalfClose();
  }

  onDrain(): void {
    this.#listener?.onDrain?.();
  }

  onCancelled(error: RpcError): void {
    this.stopWaiting();
    this.#onOver();
    this.#listener?.onCancelled?.(error);
  }
}
