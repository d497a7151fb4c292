// Calls of the etcd server over the transport: one request and one answer, and how an error becomes a status.
import { WireError, type Counter, type Logger } from "@millrace/base";
import type { ServerCall, ServerCallListener, StatusCode } from "@millrace/grpc";
import { decode, encode, type Message } from "@millrace/protobuf";
import type { Method } from "./etcd-api/method.ts";
import { etcdRefusal, refusalOf, refusalStatus, refusalText, type RefusalName } from "./etcd-refusals.ts";
import { REQUEST_BYTES_MAX } from "./limits.ts";

export interface CallPorts {
  readonly logger: Logger;
  /** By method and gRPC code. */
  readonly calls: Counter;
}

/** Answers the one request of a call. What it throws becomes the call's status. */
export type Answer<Request, Response> = (request: Request, call: ServerCall) => Promise<Response> | Response;

/** Refusals whose text etcd's clients compare are told in that very text; value and bound stay on this side. */
const REFUSAL_OF_CODE: Partial<Record<WireError["code"], RefusalName>> = {
  DISK_FULL: "noSpace",
  OVERLOADED: "tooManyRequests",
  SHUTTING_DOWN: "stopped",
  OUTCOME_UNKNOWN: "timedOut",
};

export interface CallStatus {
  readonly code: StatusCode;
  readonly message: string;
}

/** How etcd would tell what went wrong. An InvariantError is thrown again. */
export function statusOf(thrown: unknown): CallStatus {
  const error = WireError.from(thrown);
  const refusal = refusalOf(error) ?? REFUSAL_OF_CODE[error.code];
  if (refusal !== undefined) return { code: refusalStatus(refusal), message: refusalText(refusal) };
  if (error.code === "INVALID_ARGUMENT") return { code: "INVALID_ARGUMENT", message: error.message };
  if (error.code === "UNAVAILABLE") return { code: "UNAVAILABLE", message: error.message };
  return { code: "INTERNAL", message: "an unexpected error; see the log" };
}

/** Ends `call` as `thrown` asks for. */
export function refuse(call: ServerCall, ports: CallPorts, thrown: unknown): void {
  const { code, message } = statusOf(thrown);
  if (code === "INTERNAL") ports.logger.error("etcd-call-failed", { path: call.path, error: thrown });
  end(call, ports, code, message);
}

export function end(call: ServerCall, ports: CallPorts, code: StatusCode, message = ""): void {
  ports.calls.add(1, { method: call.path.slice(call.path.lastIndexOf("/") + 1), code });
  call.finish(code, message);
}

/** @throws {WireError} INVALID_ARGUMENT. What it gives shares no memory with `bytes`. */
export function decodeRequest<M>(request: Message<M>, bytes: Uint8Array): M {
  if (bytes.length > REQUEST_BYTES_MAX) {
    throw etcdRefusal("tooLarge", `${bytes.length} > ${REQUEST_BYTES_MAX} bytes`);
  }
  return decode(request, bytes.slice());
}

/** A call with one request and one answer; begins when the request is there. */
export class UnaryCall<Request, Response> implements ServerCallListener {
  readonly #call: ServerCall;
  readonly #ports: CallPorts;
  readonly #method: Method<Request, Response>;
  readonly #answer: Answer<Request, Response>;
  #hasRequest = false;

  constructor(
    call: ServerCall,
    ports: CallPorts,
    method: Method<Request, Response>,
    answer: Answer<Request, Response>,
  ) {
    this.#call = call;
    this.#ports = ports;
    this.#method = method;
    this.#answer = answer;
  }

  onMessage(bytes: Uint8Array): void {
    if (this.#hasRequest) {
      end(this.#call, this.#ports, "INTERNAL", "a second request in a call that has one");
      return;
    }
    this.#hasRequest = true;
    void this.#run(bytes);
  }

  onHalfClose(): void {
    if (!this.#hasRequest) end(this.#call, this.#ports, "INTERNAL", "a call without a request");
  }

  onCancelled(): void {
    this.#ports.calls.add(1, {
      method: this.#call.path.slice(this.#call.path.lastIndexOf("/") + 1),
      code: "CANCELLED",
    });
  }

  async #run(bytes: Uint8Array): Promise<void> {
    const { request, response } = this.#method;
    try {
      const answer = await this.#answer(decodeRequest(request, bytes), this.#call);
      if (this.#call.isOver) return;
      this.#call.send(encode(response, answer));
      end(this.#call, this.#ports, "OK");
    } catch (error) {
      if (!this.#call.isOver) refuse(this.#call, this.#ports, error);
    }
  }
}
