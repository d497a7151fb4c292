// Shapes of calls over the callbacks of the transport: one request and one answer, one request and a stream of answers.
// Appends have a shape of their own (grpc-append.ts).
//
//  G1  A request is decoded while its bytes are there, and looked at once its sender has said that there is no other.
//  G2  Answers wait for the peer: at most one message is made ahead. Nothing is made for a call that is over.
import { WireError } from "@millrace/base";
import { CODE_TRAILER } from "@millrace/client";
import type { CallHandler, ServerCall, ServerCallListener, StatusCode } from "@millrace/grpc";
import { UnknownValueError } from "@millrace/protocol";
import { statusCodeOf } from "./grpc-status.ts";

/** Ends a call that failed; one that was cancelled has ended. */
export function finishFailed(
  call: ServerCall,
  thrown: unknown,
  codeOf: (error: WireError) => StatusCode = statusCodeOf,
): void {
  const error = WireError.from(thrown);
  if (!call.isOver) call.finish(codeOf(error), error.message, new Map([[CODE_TRAILER, error.code]]));
}

/** Ends a call whose request cannot be read. A number that an enumeration has not is refused as Go validates it. */
export function finishUndecoded(
  call: ServerCall,
  thrown: unknown,
  codeOf: (error: WireError) => StatusCode = statusCodeOf,
): void {
  if (thrown instanceof UnknownValueError) return finishFailed(call, thrown, codeOf);
  const { message } = WireError.from(thrown);
  if (!call.isOver) call.finish("INTERNAL", `grpc: failed to unmarshal the received message: ${message}`);
}

/** A call with one request; what it answers is up to `serve`. @param admit throws when the caller may not */
export function oneRequest<Request, Admitted>(
  decode: (bytes: Uint8Array) => Request,
  admit: (call: ServerCall) => Admitted,
  serve: (request: Request, call: Answering, admitted: Admitted) => Promise<void>,
  codeOf: (error: WireError) => StatusCode = statusCodeOf,
): CallHandler {
  return (call) => {
    const answering = new Answering(call);
    let admitted: Admitted;
    try {
      admitted = admit(call);
    } catch (error) {
      finishFailed(call, error, codeOf);
      return answering;
    }
    let request: { readonly message: Request } | undefined;
    answering.listen(
      (bytes) => {
        if (request !== undefined) {
          call.finish("INTERNAL", "the method takes one request message, and another came");
          answering.onCancelled();
          return;
        }
        try {
          request = { message: decode(bytes) };
        } catch (error) {
          finishUndecoded(call, error, codeOf);
        }
      },
      () => {
        if (request === undefined) {
          call.finish("INTERNAL", "the method takes one request message, and none came");
          return;
        }
        const { message } = request;
        // Async: what it throws at once is answered like what it rejects with.
        const served = async (): Promise<void> => serve(message, answering, admitted);
        served().then(
          () => call.finish("OK"),
          (error: unknown) => finishFailed(call, error, codeOf),
        );
      },
    );
    return answering;
  };
}

/** The answering side of a call: sends, and waits while the peer has no room. */
export class Answering implements ServerCallListener {
  readonly #call: ServerCall;
  #onMessage: (bytes: Uint8Array) => void = () => undefined;
  #onHalfClose: () => void = () => undefined;
  #waiting: { readonly drained: () => void; readonly over: (error: Error) => void } | undefined;

  constructor(call: ServerCall) {
    this.#call = call;
  }

  /** Aborts when nobody waits for the answer any more. */
  get signal(): AbortSignal {
    return this.#call.signal;
  }

  listen(onMessage: (bytes: Uint8Array) => void, onHalfClose: () => void): void {
    this.#onMessage = onMessage;
    this.#onHalfClose = onHalfClose;
  }

  /** @returns a promise when the peer has no room; it rejects when the call is over (G2) */
  send(bytes: Uint8Array, more?: Uint8Array): Promise<void> | undefined {
    if (this.#call.send(bytes, more)) return undefined;
    if (this.#call.isOver) throw isOver();
    return new Promise((drained, over) => {
      this.#waiting = { drained, over };
    });
  }

  onMessage(bytes: Uint8Array): void {
    if (!this.#call.isOver) this.#onMessage(bytes);
  }

  onHalfClose(): void {
    if (!this.#call.isOver) this.#onHalfClose();
  }

  onDrain(): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.drained();
  }

  onCancelled(): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.over(isOver());
  }
}

function isOver(): WireError {
  return new WireError("UNAVAILABLE", "the call is over");
}
