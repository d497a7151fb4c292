// A call on the server's side: between its stream and its handler. States: open, then over (finished or cancelled).
import { InvariantError, type Logger } from "@millrace/base";
import type { Deadlines } from "./deadlines.ts";
import type { H2Connection } from "./h2-connection.ts";
import type { H2Code } from "./h2-error.ts";
import type { RequestHead } from "./h2-fields.ts";
import type { H2Stream, StreamListener } from "./h2-stream.ts";
import type { HeldBytes } from "./held-bytes.ts";
import { KeptList } from "./hpack-encoder.ts";
import { STATUS_MESSAGE_CHARS_MAX } from "./limits.ts";
import { MessageReader, type MessageSink, type PartialMessages } from "./message-reader.ts";
import { fieldOf, metadataOf, pushMetadata } from "./metadata.ts";
import type { ConnectionLimits } from "./peer-options.ts";
import type { CallHandler, Metadata, Peer, ServerCall, ServerCallListener } from "./rpc.ts";
import { encodeStatusMessage, RpcError, STATUS_CODES, type StatusCode } from "./status.ts";
import { parseTimeout } from "./timeout.ts";

/** What the calls of one connection share. */
export interface CallContext {
  readonly connection: H2Connection;
  readonly limits: ConnectionLimits;
  readonly passEncodings: readonly string[] | undefined;
  readonly held: HeldBytes;
  readonly partial: PartialMessages;
  readonly peer: Peer;
  readonly deadlines: Deadlines;
  readonly logger: Logger;
  readonly nowMs: () => number;
  /** Runs a task in a later turn. */
  readonly later: (task: () => void) => void;
  readonly onOver: (call: GrpcServerCall) => void;
  /** Blocks of headers that are always the same, encoded once a connection. */
  readonly canned: CannedLists;
}

export class CannedLists {
  readonly head = new KeptList([":status", "200", "content-type", "application/grpc"]);
  readonly ok = new KeptList(["grpc-status", "0"]);
}

/** What the headers of a request say beyond HTTP, made once for equal requests. */
export class GrpcHead {
  readonly timeout: string | undefined;
  readonly encoding: string;
  readonly #head: RequestHead;
  #metadata: Metadata | undefined;

  constructor(head: RequestHead) {
    this.#head = head;
    this.timeout = fieldOf(head.list, "grpc-timeout");
    this.encoding = fieldOf(head.list, "grpc-encoding") ?? "";
    const { like } = head;
    if (like?.but === "grpc-timeout" && like.derived instanceof GrpcHead)
      this.#metadata = like.derived.metadata;
  }

  get metadata(): Metadata {
    return (this.#metadata ??= metadataOf(this.#head.list));
  }
}

export class GrpcServerCall implements ServerCall, StreamListener, MessageSink {
  readonly path: string;
  readonly authority: string;
  readonly timeoutMs: number | undefined;
  deadlineMs = 0;
  readonly #context: CallContext;
  readonly #stream: H2Stream;
  readonly #head: GrpcHead;
  readonly #reader: MessageReader;
  #listener: ServerCallListener | undefined;
  #hasSentHead = false;
  #isOver = false;
  #hasEnded = false;
  #isResuming = false;
  /** What the handler keeps. */
  #keptBytes = 0;
  #abort: AbortController | undefined;
  #reason: RpcError | undefined;

  constructor(context: CallContext, stream: H2Stream, request: RequestHead) {
    this.#context = context;
    this.#stream = stream;
    this.path = request.path;
    this.authority = request.authority;
    this.#head = (request.derived ??= new GrpcHead(request)) as GrpcHead;
    const { partial, limits, passEncodings } = context;
    this.#reader = new MessageReader(this, {
      shared: partial,
      bytesMax: limits.receiveBytesMax,
      side: "server",
      passEncodings,
    });
    this.#reader.encoding = this.#head.encoding;
    this.timeoutMs = this.#head.timeout === undefined ? undefined : parseTimeout(this.#head.timeout);
  }

  get metadata(): Metadata {
    return this.#head.metadata;
  }

  get peer(): Peer {
    return this.#context.peer;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  get isCompressed(): boolean {
    return this.#reader.isCompressed;
  }

  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController();
      if (this.#isOver) this.#abort.abort(this.#reason);
    }
    return this.#abort.signal;
  }

  /** Hands the call to its handler, once. */
  begin(handler: CallHandler): void {
    const { timeout } = this.#head;
    if (timeout !== undefined && this.timeoutMs === undefined) {
      this.finish("INTERNAL", `malformed grpc-timeout: ${JSON.stringify(timeout)}`);
      return;
    }
    if (this.timeoutMs !== undefined) {
      this.deadlineMs = this.#context.nowMs() + this.timeoutMs;
      this.#context.deadlines.add(this);
    }
    try {
      this.#listener = handler(this);
    } catch (error) {
      this.#onThrown(error);
    }
  }

  sendMetadata(metadata: Metadata): void {
    if (this.#isOver || this.#hasSentHead) return;
    const { canned, connection } = this.#context;
    this.#hasSentHead = true;
    if (metadata.size === 0) {
      connection.sender.headers(this.#stream, canned.head, { isEnd: false });
      return;
    }
    const extra: string[] = [];
    pushMetadata(extra, metadata);
    connection.sender.headers(this.#stream, canned.head, { isEnd: false, extra });
  }

  send(bytes: Uint8Array, more?: Uint8Array): boolean {
    if (this.#isOver) return false;
    const { connection, limits, canned } = this.#context;
    const length = bytes.length + (more?.length ?? 0);
    if (this.#stream.queuedBytes + length > limits.sendQueueBytesMax && this.#stream.queuedBytes > 0) {
      const message = `unsent messages exceed ${limits.sendQueueBytesMax} bytes`;
      this.#context.later(() => this.#cancel(new RpcError("RESOURCE_EXHAUSTED", message), true));
      return false;
    }
    if (!this.#hasSentHead) {
      this.#hasSentHead = true;
      connection.sender.headers(this.#stream, canned.head, { isEnd: false });
    }
    return connection.sender.message(this.#stream, bytes, more);
  }

  finish(code: StatusCode, message = "", trailers?: Metadata): void {
    if (this.#isOver) return;
    this.#end(undefined);
    const { connection, canned } = this.#context;
    const stream = this.#stream;
    const { sender } = connection;
    stream.resetsAfterEnd = true;
    if (code === "OK" && message === "" && (trailers === undefined || trailers.size === 0)) {
      if (this.#hasSentHead) sender.end(stream, canned.ok);
      else sender.headers(stream, canned.head, { isEnd: true, extra: canned.ok.fields });
      return;
    }
    const fields: string[] = ["grpc-status", String(STATUS_CODES[code])];
    if (message !== "") fields.push("grpc-message", encodeStatusMessage(message, STATUS_MESSAGE_CHARS_MAX));
    if (trailers !== undefined) pushMetadata(fields, trailers);
    if (this.#hasSentHead) sender.end(stream, fields);
    else sender.headers(stream, canned.head, { isEnd: true, extra: fields });
  }

  pause(): void {
    this.#reader.isPaused = true;
  }

  resume(): void {
    this.#reader.isPaused = false;
    if (this.#isResuming || (!this.#reader.hasHeld && !this.#hasEnded)) return;
    this.#isResuming = true;
    this.#context.later(() => {
      this.#isResuming = false;
      this.#onResumed();
    });
  }

  onHeaders(): void {} // Trailers of a request say nothing in gRPC.

  onData(bytes: Uint8Array, begin: number, end: number): void {
    if (this.#isOver) return;
    try {
      const held = this.#reader.push(bytes, begin, end);
      if (held > 0) this.#context.connection.hold(this.#stream, held);
    } catch (error) {
      this.#onThrown(error);
    }
  }

  keep(): boolean {
    return this.#reader.keep();
  }

  holds(bytes: number): void {
    if (this.#isOver) return;
    this.#keptBytes += bytes;
    this.#context.held.add(bytes);
  }

  onWhole(message: Uint8Array): void {
    this.#listener?.onMessage(message);
  }

  onEnd(): void {
    this.#hasEnded = true;
    if (!this.#reader.isPaused && !this.#reader.hasHeld) this.#onAllRead();
  }

  onWritable(): void {
    if (this.#isOver) return;
    try {
      this.#listener?.onDrain?.();
    } catch (error) {
      this.#onThrown(error);
    }
  }

  onReset(code: H2Code, isRemote: boolean, message: string): void {
    if (this.#isOver) return;
    let status: StatusCode = "INTERNAL";
    if (isRemote) status = "CANCELLED";
    else if (code === "CONNECT_ERROR") status = "UNAVAILABLE";
    const text = message === "" ? `the client reset the stream (${code})` : message;
    this.#cancel(new RpcError(status, text), false);
  }

  onDeadline(): void {
    this.#cancel(new RpcError("DEADLINE_EXCEEDED", `deadline of ${this.timeoutMs} ms exceeded`), true);
  }

  /** Nobody serves it any longer. */
  cut(error: RpcError): void {
    this.#cancel(error, true);
  }

  #onResumed(): void {
    if (this.#isOver) return;
    try {
      const released = this.#reader.readHeld();
      if (released > 0) this.#context.connection.hold(this.#stream, -released);
      if (this.#hasEnded && !this.#reader.isPaused && !this.#reader.hasHeld) this.#onAllRead();
    } catch (error) {
      this.#onThrown(error);
    }
  }

  #onAllRead(): void {
    if (this.#isOver) return;
    try {
      if (this.#reader.isInside) throw new RpcError("INTERNAL", "unexpected EOF");
      this.#listener?.onHalfClose();
    } catch (error) {
      this.#onThrown(error);
    }
  }

  /** The handler threw, or a message is malformed. */
  #onThrown(error: unknown): void {
    if (error instanceof InvariantError) throw error;
    if (error instanceof RpcError) {
      this.#cancel(error, true);
      return;
    }
    const message = error instanceof Error ? error.message : String(error);
    this.#context.logger.error("grpc-handler-failed", { path: this.path, error });
    this.#cancel(new RpcError("INTERNAL", message, { cause: error }), true);
  }

  #cancel(error: RpcError, isTold: boolean): void {
    if (this.#isOver) return;
    const listener = this.#listener;
    if (!isTold) this.#end(error);
    else if (this.#stream.queuedBytes > 0) {
      // The status would stand behind messages that the peer does not take.
      this.#end(error);
      const isExhausted = error.code === "RESOURCE_EXHAUSTED";
      this.#context.connection.reset(this.#stream, isExhausted ? "ENHANCE_YOUR_CALM" : "CANCEL");
    } else {
      this.#reason = error;
      this.finish(error.code, error.message, error.trailers);
    }
    try {
      listener?.onCancelled?.(error);
    } catch (thrown) {
      if (thrown instanceof InvariantError) throw thrown;
      this.#context.logger.error("grpc-handler-failed", { path: this.path, error: thrown });
    }
  }

  #end(reason: RpcError | undefined): void {
    this.#isOver = true;
    if (this.#keptBytes !== 0) this.#context.held.add(-this.#keptBytes);
    this.#reason ??= reason;
    this.#reader.stop();
    this.#listener = undefined;
    if (this.deadlineMs > 0) this.#context.deadlines.delete(this);
    this.#context.onOver(this);
    this.#abort?.abort(this.#reason ?? new RpcError("CANCELLED", "the call has finished"));
  }
}
