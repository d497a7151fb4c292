// One stream of an HTTP/2 connection (RFC 9113 section 5): what may still be sent and received, and what waits. It is
// data; `H2Sender` and `H2Connection` change it.
import type { ConnectionFault, H2Code } from "./h2-error.ts";
import type { RequestHead } from "./h2-fields.ts";
import type { HeldBytes } from "./held-bytes.ts";
import type { HeaderList } from "./hpack-decoder.ts";
import type { KeptList } from "./hpack-encoder.ts";
import type { Outbox } from "./outbox.ts";
import type { ConnectionLimits } from "./peer-options.ts";

/** Whom a stream belongs to. */
export interface StreamListener {
  /** Headers of the answer (client), or trailers. */
  onHeaders(list: HeaderList, isEnd: boolean): void;
  /** Content; valid during the call. What is held on to must be said by `H2Connection.hold`. */
  onData(bytes: Uint8Array, begin: number, end: number): void;
  /** The peer sends no more. */
  onEnd(): void;
  /** What could not be sent at once has been. */
  onWritable(): void;
  /** The stream is over before both sides ended it. @param isRemote the peer said so, and not this side */
  onReset(code: H2Code, isRemote: boolean, message: string): void;
}

/** Whom a connection belongs to. */
export interface ConnectionOwner {
  /** A request (server only): its stream and what it says. @returns who serves it */
  onRequest(stream: H2Stream, request: RequestHead): StreamListener;
  /** The peer's first SETTINGS are here. */
  onReady(): void;
  /** The peer opens no more, or wants no more opened. Streams above the last one have been reset by then. */
  onGoAway(code: H2Code, message: string): void;
  /** A stream is gone from the table, or the last GOAWAY was sent: whoever waits for the end looks again. */
  onStreamClosed(): void;
  /** The connection is over; what is in the outbox may still be sent. */
  onOver(fault: ConnectionFault): void;
}

/** What a connection is made with. */
export interface ConnectionParts {
  readonly role: "server" | "client";
  readonly limits: ConnectionLimits;
  readonly outbox: Outbox;
  readonly owner: ConnectionOwner;
  readonly held: HeldBytes;
}

/** One direction. `closed`: the stream is not in the connection's table any more. */
export type Side = "open" | "ended" | "closed";

/** A block of headers to send: what comes again is kept in its encoded form. */
export type Fields = KeptList | readonly string[];

export class H2Stream {
  readonly id: number;
  listener: StreamListener | undefined;
  sending: Side = "open";
  receiving: Side = "open";
  sendWindow: number;
  receiveWindow: number;
  /** Received and not given back to the peer's window yet; of that, what the listener holds on to. */
  unreturnedBytes = 0;
  heldBytes = 0;
  /** What `content-length` still promises; -1 when it was not there. */
  contentLeft = -1;

  /** What waits for windows or for the socket: pieces, where in the first, and how much. */
  queue: Uint8Array[] = [];
  queueAt = 0;
  queuedBytes = 0;
  /** After the queue: the end, with trailers if there are any. */
  endsAfterQueue = false;
  /** When this side has ended and the peer has not, it is told to stop (RST_STREAM, NO_ERROR). */
  resetsAfterEnd = false;
  trailers: Fields | undefined;
  /** Whether the listener was told to wait. */
  wasRefused = false;
  /** Whether it is in the sender's round. */
  isWaiting = false;

  /** The flags of the last DATA frame, while they can still be changed: chunk, where in it, and `Outbox.takes`. */
  flagsChunk: Uint8Array | undefined;
  flagsAt = 0;
  flagsTakes = -1;

  constructor(id: number, { sendWindow, receiveWindow }: { sendWindow: number; receiveWindow: number }) {
    this.id = id;
    this.sendWindow = sendWindow;
    this.receiveWindow = receiveWindow;
  }
}
