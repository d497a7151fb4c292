// A call on the client's side. States: waiting (for a connection), open, ended (the end is known, and told in a later
// turn or behind messages that are held while paused), over.
import { assert, InvariantError, type Logger } from "@millrace/base";
import type { Deadlines } from "./deadlines.ts";
import type { H2Connection } from "./h2-connection.ts";
import type { H2Code } from "./h2-error.ts";
import { faultOfTrailers, parseResponseStatus } from "./h2-fields.ts";
import type { H2Stream, StreamListener } from "./h2-stream.ts";
import type { HeaderList } from "./hpack-decoder.ts";
import { MessageReader, type MessageSink, type PartialMessages } from "./message-reader.ts";
import { fieldOf, metadataOf, NO_METADATA, textOfHeader } from "./metadata.ts";
import type { ConnectionLimits } from "./peer-options.ts";
import type { CallEnd, ClientCall, ClientCallListener, Metadata } from "./rpc.ts";
import {
  codeOfHttpStatus,
  decodeStatusMessage,
  parseStatusCode,
  RpcError,
  type StatusCode,
} from "./status.ts";

/** What the calls of one channel share. */
export interface ClientContext {
  readonly limits: ConnectionLimits;
  readonly deadlines: Deadlines;
  readonly logger: Logger;
  /** Runs a task in a later turn. */
  readonly later: (task: () => void) => void;
  /** The call has ended and does not wait any longer. */
  readonly onEnded: (call: GrpcClientCall) => void;
}

/** What calls of one connection share. */
export interface ClientConnection {
  readonly connection: H2Connection;
  readonly partial: PartialMessages;
}

type State = "waiting" | "open" | "ended" | "over";

export class GrpcClientCall implements ClientCall, StreamListener, MessageSink {
  readonly path: string;
  readonly authority: string;
  readonly metadata: Metadata;
  readonly timeoutMs: number | undefined;
  readonly deadlineMs: number;
  readonly waitsForReady: boolean;
  readonly #context: ClientContext;
  readonly #listener: ClientCallListener;
  #state: State = "waiting";
  #link: ClientConnection | undefined;
  #stream: H2Stream | undefined;
  #reader: MessageReader | undefined;
  /** Messages from before there is a stream, in parts: bytes, and more of the same message or undefined. */
  #early: Uint8Array[] = [];
  #earlyBytes = 0;
  #isHalfClosed = false;
  #isPaused = false;
  #isResuming = false;
  #hasHead = false;
  #end: CallEnd | undefined;

  constructor(
    context: ClientContext,
    request: {
      readonly path: string;
      readonly authority: string;
      readonly metadata: Metadata;
      readonly timeoutMs: number | undefined;
      readonly deadlineMs: number;
      readonly waitsForReady: boolean;
    },
    listener: ClientCallListener,
  ) {
    this.path = request.path;
    this.authority = request.authority;
    this.metadata = request.metadata;
    this.timeoutMs = request.timeoutMs;
    this.deadlineMs = request.deadlineMs;
    this.waitsForReady = request.waitsForReady;
    this.#context = context;
    this.#listener = listener;
  }

  get isOver(): boolean {
    return this.#state === "over";
  }

  /** Whether no stream has been opened for it. */
  get isWaiting(): boolean {
    return this.#state === "waiting";
  }

  /** The channel has opened a stream for it: what was sent so far goes out. */
  attach(link: ClientConnection, open: (listener: StreamListener) => H2Stream): void {
    assert(this.#state === "waiting", "a call is attached once", { path: this.path });
    this.#state = "open";
    this.#link = link;
    const { receiveBytesMax: bytesMax } = this.#context.limits;
    this.#reader = new MessageReader(this, { shared: link.partial, bytesMax, side: "client" });
    this.#reader.isPaused = this.#isPaused;
    const stream = (this.#stream = open(this));
    const early = this.#early;
    if (early.length > 0) {
      this.#early = [];
      const { sender } = link.connection;
      for (const message of early) sender.message(stream, message, undefined);
      // They were told to wait.
      if (stream.queuedBytes > 0) stream.wasRefused = true;
      else this.#context.later(() => this.onWritable());
    }
    if (this.#isHalfClosed) link.connection.sender.end(stream, undefined);
  }

  send(bytes: Uint8Array, more?: Uint8Array): boolean {
    if (this.#isHalfClosed || this.#state === "ended" || this.#state === "over") return false;
    const length = bytes.length + (more?.length ?? 0);
    const waiting = this.#stream?.queuedBytes ?? this.#earlyBytes;
    const { sendQueueBytesMax } = this.#context.limits;
    if (waiting + length > sendQueueBytesMax && waiting > 0) {
      this.cancel(`unsent messages exceed ${sendQueueBytesMax} bytes`, "RESOURCE_EXHAUSTED");
      return false;
    }
    if (this.#stream !== undefined) return this.#link!.connection.sender.message(this.#stream, bytes, more);
    const message = new Uint8Array(length);
    message.set(bytes);
    if (more !== undefined) message.set(more, bytes.length);
    this.#early.push(message);
    this.#earlyBytes += length;
    return false;
  }

  halfClose(): void {
    if (this.#isHalfClosed || this.#state === "ended" || this.#state === "over") return;
    this.#isHalfClosed = true;
    if (this.#stream !== undefined) this.#link!.connection.sender.end(this.#stream, undefined);
  }

  cancel(message = "the call was cancelled", code: StatusCode = "CANCELLED"): void {
    if (this.#state === "over") return;
    this.#reader?.stop();
    if (this.#state === "ended") this.#context.later(() => this.#tell());
    else this.#fail(code, message, { maybeProcessed: this.#stream !== undefined });
  }

  pause(): void {
    this.#isPaused = true;
    if (this.#reader !== undefined) this.#reader.isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    if (this.#reader === undefined) return;
    this.#reader.isPaused = false;
    if (this.#isResuming || (!this.#reader.hasHeld && this.#end === undefined)) return;
    this.#isResuming = true;
    this.#context.later(() => {
      this.#isResuming = false;
      this.#onResumed();
    });
  }

  /** Never got a stream, or not that the server would have looked at. */
  refuse(code: StatusCode, message: string): void {
    if (this.#state !== "ended" && this.#state !== "over")
      this.#fail(code, message, { maybeProcessed: false });
  }

  onDeadline(): void {
    this.cancel(`deadline of ${this.timeoutMs} ms exceeded`, "DEADLINE_EXCEEDED");
  }

  onHeaders(list: HeaderList, isEnd: boolean): void {
    if (this.#state !== "open") return;
    if (list.isCut) {
      const { headerListBytesMax } = this.#context.limits;
      this.#fail("RESOURCE_EXHAUSTED", `header list of more than ${headerListBytesMax} bytes`, {});
      return;
    }
    if (this.#hasHead) {
      if (!isEnd || faultOfTrailers(list) !== undefined) this.#breach("malformed trailers");
      else this.#onTrailers(list, 200);
      return;
    }
    const status = parseResponseStatus(list);
    if (typeof status === "string") {
      this.#breach(status);
      return;
    }
    if (status < 200 && !isEnd) return;
    this.#hasHead = true;
    if (isEnd) {
      this.#onTrailers(list, status);
      return;
    }
    const type = fieldOf(list, "content-type") ?? "";
    if (status !== 200 || !type.startsWith("application/grpc")) {
      const code = status === 200 ? "UNKNOWN" : codeOfHttpStatus(status);
      this.#fail(code, `unexpected HTTP status ${status}, content-type ${JSON.stringify(type)}`, {});
      return;
    }
    this.#reader!.encoding = fieldOf(list, "grpc-encoding") ?? "";
    if (this.#listener.onMetadata !== undefined)
      this.#call(() => this.#listener.onMetadata?.(metadataOf(list)));
  }

  onData(bytes: Uint8Array, begin: number, end: number): void {
    if (this.#state !== "open") return;
    if (!this.#hasHead) {
      this.#breach("DATA before HEADERS");
      return;
    }
    try {
      const held = this.#reader!.push(bytes, begin, end);
      if (held > 0) this.#link!.connection.hold(this.#stream!, held);
    } catch (error) {
      this.#onThrown(error);
    }
  }

  onWhole(message: Uint8Array): void {
    this.#listener.onMessage(message);
  }

  /** The server's end; trailers have been read by then. */
  onEnd(): void {
    if (this.#state === "open") this.#fail("INTERNAL", "the server ended the stream without trailers", {});
  }

  onWritable(): void {
    if (this.#state === "open" && this.#listener.onDrain !== undefined)
      this.#call(() => this.#listener.onDrain?.());
  }

  onReset(code: H2Code, isRemote: boolean, message: string): void {
    if (this.#state !== "open") return;
    const text = message === "" ? `stream reset by the server (${code})` : message;
    if (code === "REFUSED_STREAM") this.#fail("UNAVAILABLE", text, { maybeProcessed: false });
    else if (code === "CONNECT_ERROR") this.#fail("UNAVAILABLE", text, {});
    else if (isRemote && code === "CANCEL") this.#fail("CANCELLED", text, {});
    else if (isRemote && code === "ENHANCE_YOUR_CALM") this.#fail("RESOURCE_EXHAUSTED", text, {});
    else if (isRemote && code === "INADEQUATE_SECURITY") this.#fail("PERMISSION_DENIED", text, {});
    else this.#fail("INTERNAL", text, {});
  }

  #onTrailers(list: HeaderList, httpStatus: number): void {
    const status = fieldOf(list, "grpc-status");
    const code = status === undefined ? undefined : parseStatusCode(status);
    const message = decodeStatusMessage(textOfHeader(fieldOf(list, "grpc-message") ?? ""));
    let end: CallEnd;
    if (code !== undefined) end = { code, message, trailers: metadataOf(list), maybeProcessed: true };
    else {
      const http = httpStatus === 200 ? "UNKNOWN" : codeOfHttpStatus(httpStatus);
      const text = `HTTP status ${httpStatus} and no valid grpc-status`;
      end = { code: http, message: text, trailers: metadataOf(list), maybeProcessed: true };
    }
    if (end.code === "OK" && this.#reader!.isInside && !this.#reader!.hasHeld) {
      end = { ...end, code: "INTERNAL", message: "unexpected EOF" };
    }
    this.#finish(end);
    // What this side still would send nobody reads.
    if (this.#stream!.sending === "open") this.#link!.connection.reset(this.#stream!, "CANCEL");
    if (!this.#reader!.hasHeld) this.#tell();
  }

  #onResumed(): void {
    if (this.#state === "over") return;
    try {
      const released = this.#reader!.readHeld();
      if (released > 0) this.#link!.connection.hold(this.#stream!, -released);
    } catch (error) {
      this.#onThrown(error);
    }
    if (this.#state === "ended" && !this.#reader!.hasHeld && !this.#isPaused) this.#tell();
  }

  #onThrown(error: unknown): void {
    if (error instanceof InvariantError) throw error;
    this.#reader!.stop();
    if (error instanceof RpcError) {
      this.#fail(error.code, error.message, {});
      return;
    }
    this.#context.logger.error("grpc-listener-failed", { path: this.path, error });
    this.#fail("INTERNAL", error instanceof Error ? error.message : String(error), {});
  }

  #breach(message: string): void {
    this.#fail("INTERNAL", `protocol error: ${message}`, {});
  }

  /** Ends the call here; its stream, if it has one, is reset. */
  #fail(code: StatusCode, message: string, { maybeProcessed = true }: { maybeProcessed?: boolean }): void {
    if (this.#state === "over") return;
    const wasTold = this.#state === "ended";
    this.#end = { code, message, trailers: NO_METADATA, maybeProcessed };
    if (!wasTold) this.#finish(this.#end);
    if (this.#stream !== undefined) this.#link!.connection.reset(this.#stream, "CANCEL");
    this.#reader?.stop();
    if (!wasTold) this.#context.later(() => this.#tell());
  }

  #finish(end: CallEnd): void {
    this.#state = "ended";
    this.#end = end;
    this.#early = [];
    if (this.deadlineMs < Number.POSITIVE_INFINITY) this.#context.deadlines.delete(this);
    this.#context.onEnded(this);
  }

  #tell(): void {
    if (this.#state === "over") return;
    this.#state = "over";
    this.#reader?.stop();
    this.#call(() => this.#listener.onEnd(this.#end!));
  }

  #call(callback: () => void): void {
    try {
      callback();
    } catch (error) {
      this.#onThrown(error);
    }
  }
}
