// A call of a gRPC transport as a test plays it: what the handler sends is kept, room and time are the test's.
import type { CallHandlers, ServerCall, ServerCallListener } from "@millrace/grpc";
import { concatBytes } from "@millrace/base";

export interface EndedCall {
  readonly code: string;
  readonly message: string;
}

export class FakeCall implements ServerCall {
  readonly path: string;
  readonly authority = "localhost";
  readonly metadata: ReadonlyMap<string, string>;
  readonly peer = { address: "test", isTls: false, certificate: undefined };
  readonly timeoutMs = undefined;
  readonly isCompressed = false;
  readonly sent: Uint8Array[] = [];
  ended: EndedCall | undefined;
  isPaused = false;
  /** What its handler says that it keeps. */
  heldBytes = 0;
  /** Messages that are taken before `send` says that there is no room. */
  room = Number.POSITIVE_INFINITY;
  readonly #listener: ServerCallListener;
  readonly #over = new AbortController();
  #hasSignal = false;
  #onEnd: (() => void) | undefined;

  constructor(
    handlers: CallHandlers,
    path: string,
    authorization?: string,
    metadata: ReadonlyMap<string, string> = new Map(),
  ) {
    this.path = path;
    const own = authorization === undefined ? [] : [["authorization", authorization] as const];
    this.metadata = new Map([...metadata, ...own]);
    this.#listener = handlers.get(path)!(this);
  }

  /** Whether somebody asked for the signal. */
  get hasSignal(): boolean {
    return this.#hasSignal;
  }

  get signal(): AbortSignal {
    this.#hasSignal = true;
    return this.#over.signal;
  }

  get isOver(): boolean {
    return this.ended !== undefined;
  }

  holds(bytes: number): void {
    this.heldBytes += bytes;
  }

  keep(): boolean {
    return false;
  }

  sendMetadata(): void {}

  send(bytes: Uint8Array, more?: Uint8Array): boolean {
    if (this.isOver) return false;
    this.sent.push(concatBytes(more === undefined ? [bytes.slice()] : [bytes, more]));
    return --this.room > 0;
  }

  finish(code: string, message = ""): void {
    if (this.isOver) return;
    this.#end({ code, message });
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
  }

  /** The peer sends; the bytes are overwritten afterwards, as a transport's are. */
  receive(...messages: readonly Uint8Array[]): this {
    for (const message of messages) {
      const view = message.slice();
      if (!this.isOver) this.#listener.onMessage(view);
      view.fill(0xff);
    }
    return this;
  }

  halfClose(): this {
    if (!this.isOver) this.#listener.onHalfClose();
    return this;
  }

  drain(room: number): void {
    this.room = room;
    this.#listener.onDrain?.();
  }

  cancel(): void {
    if (this.isOver) return;
    const reason = Object.assign(new Error("the client went away"), { code: "CANCELLED" });
    this.#end({ code: "CANCELLED", message: reason.message });
    this.#listener.onCancelled?.(reason as never);
  }

  /** Resolves once the call is over. */
  async end(): Promise<EndedCall> {
    if (this.ended === undefined) await new Promise<void>((resolve) => (this.#onEnd = resolve));
    return this.ended!;
  }

  #end(ended: EndedCall): void {
    this.ended = ended;
    this.#over.abort(new Error(ended.message));
    this.#onEnd?.();
  }
}
