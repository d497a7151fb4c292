// What callers and handlers of gRPC see. Messages are bytes; whoever calls has the codec. A call is a duplex with
// callbacks, so that a busy door makes no promise, timer or copy for each message; `server-async.ts` and
// `client-async.ts` put promises and async iterables on top where that does not matter.
//
// R1 Callbacks of one call come one after the other, never from within `send`, `finish`, `halfClose`, `pause` or
//    `resume` of the same call, and none after the last one (`onCancelled`, `onEnd`) or after `finish`.
// R2 `send` copies: its bytes belong to the caller again when it returns. What is received is a view that is valid
//    until the callback returns.
// R3 What one turn of the event loop sends leaves in one write of the socket.
// R4 A callback that throws ends its own call (INTERNAL) and is logged; an InvariantError passes through.
import type { RpcError, StatusCode } from "./status.ts";

/**
 * Headers of a request or an answer, or trailers: names in lower case, without pseudo-headers and without those that
 * the protocol itself uses (`content-type`, `te`, `grpc-timeout`, `grpc-status`, `grpc-message`, …). Values of a name
 * that comes several times are joined by `,`. Names that end in `-bin` have base64 values: see `encodeBinaryValue`.
 */
export type Metadata = ReadonlyMap<string, string>;

/** Who is at the other end of a connection. */
export interface Peer {
  /** `127.0.0.1:54321`, `[::1]:54321`, or `unix` */
  readonly address: string;
  readonly isTls: boolean;
  /** The certificate that a TLS peer proved to have (DER), when it was asked for one. */
  readonly certificate: Uint8Array | undefined;
}

/** A call as its handler sees it. */
export interface ServerCall {
  /** `/package.Service/Method` */
  readonly path: string;
  /** `:authority` of the request; empty when there was none. */
  readonly authority: string;
  readonly metadata: Metadata;
  readonly peer: Peer;
  /** What `grpc-timeout` said, in milliseconds. When it is over the transport ends the call (DEADLINE_EXCEEDED). */
  readonly timeoutMs: number | undefined;
  /** Aborts with the reason of `onCancelled`, or when the call has finished. Made when it is first asked for. */
  readonly signal: AbortSignal;
  /** Whether it ended: by `finish`, or because it was cancelled. What is sent then is dropped. */
  readonly isOver: boolean;
  /**
   * Whether the message that came last is still compressed, in one of the server's `passEncodings`. The handler opens
   * it, within bounds of its own.
   */
  readonly isCompressed: boolean;
  /**
   * The handler keeps `bytes` more (or, negative, less) of what came: the server bounds what all calls keep. When the
   * call is over none of it counts any more.
   */
  holds(bytes: number): void;
  /** During `onMessage`: whether the message becomes the listener's to keep, so that it needs no copy. */
  keep(): boolean;

  /** Sends the headers of the answer now; otherwise they leave with the first message, or with the status alone. */
  sendMetadata(metadata: Metadata): void;
  /**
   * Sends one message: `bytes`, followed by `more` if given (a header and its content need no joining).
   * @returns false when the peer's window or our queue is full: wait for `onDrain`. What was given is kept anyhow; more
   *   than `sendQueueBytesMax` unsent ends the call with RESOURCE_EXHAUSTED. Also false when the call is over: then
   *   what was given is dropped, and no `onDrain` follows.
   */
  send(bytes: Uint8Array, more?: Uint8Array): boolean;
  /** Ends the call. What was sent leaves first. Further calls of this do nothing. */
  finish(code: StatusCode, message?: string, trailers?: Metadata): void;
  /** No further `onMessage` and `onHalfClose` until `resume`; the peer is stopped by flow control. */
  pause(): void;
  /** Messages that came meanwhile are delivered in a later turn. */
  resume(): void;
}

/** What a handler wants to hear. An object of a class rather than closures, where calls are many. */
export interface ServerCallListener {
  onMessage(bytes: Uint8Array): void;
  /** The client sends no more. */
  onHalfClose(): void;
  /** `send` said false, and now there is room. */
  onDrain?(): void;
  /**
   * Nobody waits for the answer: CANCELLED (the client's will), DEADLINE_EXCEEDED, UNAVAILABLE (the connection is gone
   * or the server stops), or what the client broke (INTERNAL, RESOURCE_EXHAUSTED). Not called after `finish`.
   */
  onCancelled?(error: RpcError): void;
}

/** Begins to serve a call; may finish it at once. Throwing an RpcError refuses it with that status. */
export type CallHandler = (call: ServerCall) => ServerCallListener;

/** By path: `/package.Service/Method`. */
export type CallHandlers = ReadonlyMap<string, CallHandler>;

export interface CallOptions {
  readonly metadata?: Metadata | undefined;
  /** Milliseconds from now, > 0: sent as `grpc-timeout`, and kept by this side too. Default: none. */
  readonly timeoutMs?: number | undefined;
  /** `:authority` of this call. Default: that of the channel. */
  readonly authority?: string | undefined;
  /** Wait for a connection, if need be until the deadline, instead of failing with UNAVAILABLE. Default false. */
  readonly waitForReady?: boolean | undefined;
}

/** How a call ended. */
export interface CallEnd {
  readonly code: StatusCode;
  readonly message: string;
  readonly trailers: Metadata;
  /**
   * False when it is certain that no handler of the server saw the call (never connected, refused stream, beyond the
   * server's GOAWAY): the same call may be made elsewhere. Otherwise true.
   */
  readonly maybeProcessed: boolean;
}

/** A call as its caller sees it. */
export interface ClientCall {
  readonly path: string;
  readonly authority: string;
  /** Whether `onEnd` was called. */
  readonly isOver: boolean;
  /** As `ServerCall.send`; before there is a connection messages are queued. */
  send(bytes: Uint8Array, more?: Uint8Array): boolean;
  /** Sends no more. */
  halfClose(): void;
  /** Ends the call for both sides; `onEnd` (CANCELLED, unless `code` says otherwise) follows in a later turn. */
  cancel(message?: string, code?: StatusCode): void;
  pause(): void;
  resume(): void;
}

export interface ClientCallListener {
  /** The headers of the answer; not called when the server answered with a status alone. */
  onMetadata?(metadata: Metadata): void;
  onMessage(bytes: Uint8Array): void;
  onDrain?(): void;
  /** Called exactly once for each call, last. */
  onEnd(end: CallEnd): void;
}

export type ChannelState = "idle" | "connecting" | "ready" | "backing-off" | "closed";

/** Calls to one address. Our own is `GrpcChannel`; tests put a library's behind it. */
export interface Channel {
  readonly state: ChannelState;
  /** Begins a call. Never throws for what the network does: `listener.onEnd` tells, in a later turn. */
  start(path: string, options: CallOptions, listener: ClientCallListener): ClientCall;
  /** Refuses further calls, lets those under way end until `signal` aborts, then cuts them off (UNAVAILABLE). */
  close(signal: AbortSignal): Promise<void>;
}
