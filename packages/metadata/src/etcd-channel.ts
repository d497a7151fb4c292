// What the client of etcd needs of a gRPC channel: a part of `Channel` of @millrace/grpc, so that its channels fit, and
// tests can put another library's behind it.
import { WireError } from "@millrace/base";
import { decode, encode } from "@millrace/protobuf";
import type { Method } from "./etcd-api/method.ts";
import type { RpcEnd } from "./etcd-errors.ts";

export interface RpcOptions {
  readonly metadata: ReadonlyMap<string, string>;
  readonly timeoutMs?: number;
}

export interface RpcListener {
  /** `bytes` are valid until it returns. */
  onMessage(bytes: Uint8Array): void;
  /** Called exactly once, last. */
  onEnd(end: RpcEnd): void;
}

export interface RpcCall {
  send(bytes: Uint8Array): boolean;
  halfClose(): void;
  cancel(): void;
  pause(): void;
  resume(): void;
}

export interface RpcChannel {
  start(path: string, options: RpcOptions, listener: RpcListener): RpcCall;
  /** Cuts off what is under way when `signal` aborts. */
  close(signal: AbortSignal): Promise<void>;
}

/** One answer, or how the call ended without one. */
export type Outcome<Response> =
  | { readonly kind: "answer"; readonly response: Response }
  | { readonly kind: "end"; readonly end: RpcEnd }
  /** `signal` aborted first. */
  | { readonly kind: "aborted"; readonly mayHaveHappened: boolean };

/** Calls once. Never rejects for what the network or the server does. */
export function callOnce<Request, Response>(
  channel: RpcChannel,
  method: Method<Request, Response>,
  request: Request,
  options: RpcOptions,
  signal: AbortSignal,
): Promise<Outcome<Response>> {
  return new Promise((resolve) => {
    let answer: Response | undefined;
    let malformed: string | undefined;
    const onAbort = (): void => call.cancel();
    const call = channel.start(method.path, options, {
      onMessage: (bytes) => {
        try {
          answer = decode(method.response, Uint8Array.from(bytes));
        } catch (thrown) {
          malformed = WireError.from(thrown).message;
        }
      },
      onEnd: (end) => {
        signal.removeEventListener("abort", onAbort);
        if (end.code === "OK" && answer !== undefined && malformed === undefined) {
          resolve({ kind: "answer", response: answer });
        } else if (signal.aborted) resolve({ kind: "aborted", mayHaveHappened: end.maybeProcessed });
        else if (end.code === "OK") {
          const message = malformed === undefined ? "no answer" : `malformed answer: ${malformed}`;
          resolve({ kind: "end", end: { code: "INTERNAL", message, maybeProcessed: true } });
        } else resolve({ kind: "end", end });
      },
    });
    signal.addEventListener("abort", onAbort, { once: true });
    call.send(encode(method.request, request));
    call.halfClose();
  });
}
