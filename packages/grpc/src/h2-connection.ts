// An HTTP/2 connection as a machine (RFC 9113), server or client side: bytes in by `push`, bytes out through the
// outbox, streams to their listeners. It knows no socket, no timer and no gRPC but for the prefix of messages.
//
// C1 What breaks the protocol ends the connection and its streams, once, with GOAWAY; a stream alone, with RST_STREAM.
// C2 Header blocks are decoded whatever becomes of their stream: both sides' tables stay in step.
// C3 Streams of the peer's number at most `maxConcurrentStreams`; one more is refused (REFUSED_STREAM).
// C4 What arrives for a stream that this side has reset is dropped, as it may have been on its way; for any other
//    stream that is over it is a fault.
import { CalmBudget } from "./h2-calm.ts";
import { codeName, ConnectionFault, H2, type H2Code } from "./h2-error.ts";
import { faultOfTrailers, type RequestHead } from "./h2-fields.ts";
import * as frame from "./h2-frame.ts";
import { FrameDecoder, type FrameListener } from "./h2-frame-decoder.ts";
import { HeaderBlocks, type HeaderBlock } from "./h2-header-block.ts";
import { checkLength, checkStream, readGoAway, writeGoAway, writePing } from "./h2-payload.ts";
import { ReceiveWindows } from "./h2-receive-windows.ts";
import { H2Sender } from "./h2-sender.ts";
import { applySettings, writeSettings } from "./h2-settings.ts";
import {
  H2Stream,
  type ConnectionParts,
  type ConnectionOwner,
  type Fields,
  type StreamListener,
} from "./h2-stream.ts";
import { StreamTable } from "./h2-stream-table.ts";
import { HpackDecoder, type HeaderList } from "./hpack-decoder.ts";
import type { ConnectionLimits } from "./peer-options.ts";
import { RequestHeads } from "./request-heads.ts";

/**
 * A server keeps to the default, which every client sends anyway; a server that goes by what we say sends a message of
 * 64 KiB in one frame, and one stream still does not keep the others waiting for long.
 */
const FRAME_BYTES_MAX = { server: frame.DEFAULT_FRAME_BYTES_MAX, client: 128 * 1024 } as const;
const TABLE_BYTES_MAX = 4096;

export class H2Connection implements FrameListener {
  readonly sender: H2Sender;
  readonly #role: "server" | "client";
  readonly #limits: ConnectionLimits;
  readonly #owner: ConnectionOwner;
  readonly #frames: FrameDecoder;
  readonly #decoder: HpackDecoder;
  readonly #blocks: HeaderBlocks;
  readonly #calm: CalmBudget;
  readonly #heads = new RequestHeads();
  readonly #windows: ReceiveWindows;
  readonly #streams: StreamTable;
  #nowMs: number;
  #peerStreamsMax = Number.MAX_SAFE_INTEGER;
  #hasSettings = false;
  #isOver = false;
  /** This side's GOAWAY: streams of the peer above it are not served. */
  #lastServed = frame.WINDOW_MAX;
  #peerGoesAway = false;
  /** The message of a GOAWAY that the peer has been sent ahead. */
  #goingAway: string | undefined;
  /** The DATA frame that is being read. */
  #dataStream: H2Stream | undefined;
  #dataLength = 0;
  #dataIsEnd = false;

  constructor({ role, limits, outbox, owner, held }: ConnectionParts, nowMs: number) {
    this.#role = role;
    this.#streams = new StreamTable(role);
    this.#limits = limits;
    this.#owner = owner;
    this.#nowMs = nowMs;
    this.#calm = new CalmBudget(nowMs);
    const frameBytesMax = FRAME_BYTES_MAX[role];
    this.#frames = new FrameDecoder(this, { frameBytesMax, hasPreface: role === "server" });
    this.#decoder = new HpackDecoder(TABLE_BYTES_MAX, limits.headerListBytesMax);
    this.#blocks = new HeaderBlocks(blockBytesMax(limits));
    this.sender = new H2Sender(outbox, held, (stream) => this.#onSent(stream));
    if (role === "client") outbox.copy(frame.PREFACE, 0, frame.PREFACE.length);
    writeSettings(this.sender, { ...limits, role, frameBytesMax });
    this.#windows = new ReceiveWindows(this.sender, limits, held);
    this.#windows.open();
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  get openStreams(): number {
    return this.#streams.size;
  }

  /** Whether a stream may be opened now. */
  get mayOpen(): boolean {
    return (
      !this.#isOver &&
      !this.#peerGoesAway &&
      this.#streams.size < this.#peerStreamsMax &&
      this.#streams.next < frame.WINDOW_MAX
    );
  }

  /** The peer has said, or the numbers say, that no further stream can be opened here. */
  get isSpent(): boolean {
    return this.#isOver || this.#peerGoesAway || this.#streams.next >= frame.WINDOW_MAX;
  }

  /** This side has said, for good, which is the last stream that it serves; or nobody can be told any more. */
  get hasSaidGoodbye(): boolean {
    return this.#lastServed !== frame.WINDOW_MAX || this.#isOver;
  }

  /** What came from the socket. */
  push(chunk: Uint8Array, nowMs: number): void {
    if (this.#isOver) return;
    this.#nowMs = nowMs;
    try {
      this.#frames.push(chunk);
    } catch (error) {
      if (!(error instanceof ConnectionFault)) throw error;
      this.end(error);
    }
  }

  /** Opens a stream (client); `mayOpen` must hold. */
  open(fields: Fields, extra: readonly string[], listener: StreamListener): H2Stream {
    const stream = this.#newStream(this.#streams.next);
    this.#streams.next += 2;
    stream.listener = listener;
    this.sender.headers(stream, fields, { isEnd: false, extra });
    return stream;
  }

  /** Ends a stream that is not over: the peer gets RST_STREAM, the listener hears nothing. */
  reset(stream: H2Stream, code: H2Code): void {
    if (stream.sending === "closed") return;
    this.sender.numberFrame(frame.RST_STREAM, stream.id, H2[code]);
    this.#streams.noteReset(stream.id);
    this.#close(stream);
  }

  /** The listener holds on to `bytes` more (or, negative, less) of what it was given. */
  hold(stream: H2Stream, bytes: number): void {
    if (stream.receiving !== "closed") this.#windows.hold(stream, bytes);
  }

  ping(): void {
    writePing(this.sender, undefined);
  }

  /** Asks the peer to open no further streams; when it must have heard it, those that it opens are not served. */
  goAway(message: string): void {
    if (this.#isOver || this.#goingAway !== undefined) return;
    this.#goingAway = message;
    writeGoAway(this.sender, { lastStream: frame.WINDOW_MAX, code: "NO_ERROR", message });
    this.ping();
  }

  /** C1 */
  end(fault: ConnectionFault): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#frames.stop();
    writeGoAway(this.sender, {
      lastStream: this.#streams.lastOfPeer,
      code: fault.code,
      message: fault.message,
    });
    this.#resetAll(fault.code, fault.message);
    this.#owner.onOver(fault);
  }

  /** The socket is gone: every stream is over. */
  onLost(message: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#frames.stop();
    this.#resetAll("CONNECT_ERROR", message);
    this.#owner.onOver(new ConnectionFault("CONNECT_ERROR", message));
  }

  onFrame(type: number, flags: number, streamId: number, length: number): void {
    const open = this.#blocks.openStream;
    if (open !== 0 ? type !== frame.CONTINUATION || streamId !== open : type === frame.CONTINUATION) {
      throw broken(open === 0 ? "CONTINUATION without HEADERS" : "a header block is interrupted");
    }
    if (!this.#hasSettings && (type !== frame.SETTINGS || (flags & frame.ACK) !== 0)) {
      throw broken("the first frame is not SETTINGS");
    }
    if (type === frame.DATA) this.#onDataHead(flags, streamId, length);
    else if (type === frame.HEADERS && length > blockBytesMax(this.#limits) + 512) {
      throw new ConnectionFault("ENHANCE_YOUR_CALM", `HEADERS of ${length} bytes`);
    }
  }

  onDataBytes(bytes: Uint8Array, begin: number, end: number): void {
    const stream = this.#dataStream;
    if (stream === undefined) return;
    if (stream.contentLeft >= 0) {
      stream.contentLeft -= end - begin;
      if (stream.contentLeft < 0) {
        this.#fail(stream, "PROTOCOL_ERROR", "more content than content-length says");
        this.#dataStream = undefined;
        return;
      }
    }
    stream.listener?.onData(bytes, begin, end);
  }

  onDataEnd(): void {
    const stream = this.#dataStream;
    this.#dataStream = undefined;
    this.#windows.returnConnection(this.#dataLength);
    if (stream === undefined || stream.receiving !== "open") return;
    if (this.#dataIsEnd) this.#onEnd(stream);
    else this.#windows.returnStream(stream, this.#dataLength);
  }

  onPayload(type: number, flags: number, streamId: number, payload: Uint8Array): void {
    switch (type) {
      case frame.HEADERS: {
        checkStream(streamId, "HEADERS", true);
        const block = this.#blocks.onHeaders(flags, streamId, payload);
        if (block !== undefined) this.#onBlock(block);
        return;
      }
      case frame.CONTINUATION: {
        this.#calm.spend("continuation", this.#nowMs);
        const block = this.#blocks.onContinuation(flags, payload);
        if (block !== undefined) this.#onBlock(block);
        return;
      }
      case frame.WINDOW_UPDATE:
        this.#calm.spend("windowUpdate", this.#nowMs);
        this.#onWindowUpdate(streamId, payload);
        return;
      case frame.RST_STREAM:
        this.#onReset(streamId, payload);
        return;
      case frame.SETTINGS:
        this.#onSettings(flags, streamId, payload);
        return;
      case frame.PING:
        this.#onPing(flags, streamId, payload);
        return;
      case frame.GOAWAY:
        this.#onGoAway(streamId, payload);
        return;
      case frame.PRIORITY:
        this.#calm.spend("priority", this.#nowMs);
        this.#onPriority(streamId, payload);
        return;
      case frame.PUSH_PROMISE:
        throw broken("PUSH_PROMISE is not allowed here");
      default:
        this.#calm.spend("unknown", this.#nowMs); // Extensions are ignored.
    }
  }

  #onDataHead(flags: number, streamId: number, length: number): void {
    checkStream(streamId, "DATA", true);
    this.#dataLength = length;
    this.#dataIsEnd = (flags & frame.END_STREAM) !== 0;
    this.#dataStream = undefined;
    this.#windows.takeConnection(length);
    if (length > 0) this.#calm.earn();
    else if (!this.#dataIsEnd) this.#calm.spend("emptyData", this.#nowMs);
    const stream = this.#streams.get(streamId);
    if (stream === undefined) {
      this.#refuseUnknown(streamId, "DATA");
      return;
    }
    if (stream.receiving !== "open") {
      this.#fail(stream, "STREAM_CLOSED", "DATA after END_STREAM");
      return;
    }
    if (this.#windows.takeStream(stream, length)) this.#dataStream = stream;
    else this.#fail(stream, "FLOW_CONTROL_ERROR", "more DATA than the stream's window");
  }

  /** C4. @throws {ConnectionFault} unless the frame may have been on its way when this side reset the stream */
  #refuseUnknown(streamId: number, what: string): void {
    if (this.#streams.isIdle(streamId)) throw broken(`${what} on stream ${streamId}, which was never opened`);
    if (this.#streams.wasReset(streamId)) return;
    if (this.#streams.isPeers(streamId) && streamId > this.#lastServed) return;
    throw new ConnectionFault("STREAM_CLOSED", `${what} on stream ${streamId}, which is over`);
  }

  #onBlock(block: HeaderBlock): void {
    const list = this.#decoder.decode(block.bytes); // C2
    if (list.isCut) this.#calm.spend("cutList", this.#nowMs);
    const { streamId } = block;
    const stream = this.#streams.get(streamId);
    const isNew = this.#streams.isPeers(streamId) && streamId > this.#streams.lastOfPeer;
    if (stream !== undefined) this.#onMoreHeaders(stream, block, list);
    else if (this.#role === "server" && isNew) this.#onRequest(block, list);
    else this.#refuseUnknown(streamId, "HEADERS");
  }

  #onRequest({ streamId, isEnd, isSelfDependent }: HeaderBlock, list: HeaderList): void {
    this.#streams.lastOfPeer = streamId;
    if (streamId > this.#lastServed) return;
    if (this.#streams.size >= this.#limits.maxConcurrentStreams) {
      this.#refuse(streamId, "REFUSED_STREAM"); // C3
      return;
    }
    const request = (list.derived ??= this.#heads.read(list)) as RequestHead | string;
    if (typeof request === "string" || isSelfDependent) {
      this.#refuse(streamId, "PROTOCOL_ERROR");
      return;
    }
    if (isEnd && request.contentLength > 0) {
      this.#refuse(streamId, "PROTOCOL_ERROR");
      return;
    }
    this.#calm.earn();
    const stream = this.#newStream(streamId);
    stream.contentLeft = request.contentLength;
    stream.listener = this.#owner.onRequest(stream, request);
    if (isEnd && stream.receiving === "open") this.#onEnd(stream);
  }

  /** A stream that is not begun. */
  #refuse(streamId: number, code: H2Code): void {
    this.#calm.spend("reset", this.#nowMs);
    this.sender.numberFrame(frame.RST_STREAM, streamId, H2[code]);
    this.#streams.noteReset(streamId);
  }

  #onMoreHeaders(stream: H2Stream, { isEnd, isSelfDependent }: HeaderBlock, list: HeaderList): void {
    if (stream.receiving !== "open") return this.#fail(stream, "STREAM_CLOSED", "HEADERS after END_STREAM");
    if (isSelfDependent) return this.#fail(stream, "PROTOCOL_ERROR", "a stream depends on itself");
    if (this.#role === "server") {
      const fault = isEnd ? faultOfTrailers(list) : "HEADERS again, without END_STREAM";
      if (fault !== undefined) return this.#fail(stream, "PROTOCOL_ERROR", fault);
    }
    this.#calm.earn();
    stream.listener?.onHeaders(list, isEnd);
    if (isEnd && stream.receiving === "open") this.#onEnd(stream);
  }

  #onEnd(stream: H2Stream): void {
    if (stream.contentLeft > 0) {
      this.#fail(stream, "PROTOCOL_ERROR", "less content than content-length says");
      return;
    }
    stream.receiving = "ended";
    const { listener } = stream;
    this.#closeIfEnded(stream);
    listener?.onEnd();
  }

  #onWindowUpdate(streamId: number, payload: Uint8Array): void {
    checkLength(payload, "WINDOW_UPDATE", 4);
    const more = frame.readU31(payload, 0);
    if (streamId === 0) {
      if (more === 0) throw broken("WINDOW_UPDATE of 0");
      if (this.sender.window + more > frame.WINDOW_MAX)
        throw new ConnectionFault("FLOW_CONTROL_ERROR", "window too large");
      this.sender.window += more;
    } else {
      const stream = this.#streams.get(streamId);
      if (stream === undefined) {
        if (this.#streams.isIdle(streamId))
          throw broken(`WINDOW_UPDATE on stream ${streamId}, which was never opened`);
        return;
      }
      if (more === 0) this.#fail(stream, "PROTOCOL_ERROR", "WINDOW_UPDATE of 0");
      else if (stream.sendWindow + more > frame.WINDOW_MAX)
        this.#fail(stream, "FLOW_CONTROL_ERROR", "window too large");
      else stream.sendWindow += more;
    }
    this.sender.pump();
  }

  #onReset(streamId: number, payload: Uint8Array): void {
    checkLength(payload, "RST_STREAM", 4);
    if (streamId === 0 || this.#streams.isIdle(streamId))
      throw broken(`RST_STREAM on stream ${streamId}, which was never opened`);
    const stream = this.#streams.get(streamId);
    if (stream === undefined) return;
    if (this.#role === "server") this.#calm.spend("reset", this.#nowMs);
    const { listener } = stream;
    this.#close(stream);
    listener?.onReset(codeName(frame.readU32(payload, 0)), true, "");
  }

  #onSettings(flags: number, streamId: number, payload: Uint8Array): void {
    checkStream(streamId, "SETTINGS", false);
    if ((flags & frame.ACK) !== 0) {
      checkLength(payload, "SETTINGS ACK", 0);
      return;
    }
    this.#calm.spend("settings", this.#nowMs);
    const changes = applySettings(this.sender, payload, this.#role === "server" ? "client" : "server");
    if (changes.streamsMax !== undefined) this.#peerStreamsMax = changes.streamsMax;
    if (changes.windowDelta !== 0) {
      for (const stream of this.#streams.values()) {
        stream.sendWindow += changes.windowDelta;
        if (stream.sendWindow > frame.WINDOW_MAX)
          throw new ConnectionFault("FLOW_CONTROL_ERROR", "window too large");
      }
    }
    this.sender.frame({ length: 0, type: frame.SETTINGS, flags: frame.ACK, streamId: 0 }, 0);
    this.sender.pump();
    if (!this.#hasSettings) {
      this.#hasSettings = true;
      this.#owner.onReady();
    }
  }

  #onPing(flags: number, streamId: number, payload: Uint8Array): void {
    checkStream(streamId, "PING", false);
    checkLength(payload, "PING", 8);
    if ((flags & frame.ACK) !== 0) {
      if (this.#goingAway === undefined || this.#lastServed !== frame.WINDOW_MAX) return;
      this.#lastServed = this.#streams.lastOfPeer;
      writeGoAway(this.sender, { lastStream: this.#lastServed, code: "NO_ERROR", message: this.#goingAway });
      this.#owner.onStreamClosed();
      return;
    }
    this.#calm.spend("ping", this.#nowMs);
    writePing(this.sender, payload);
  }

  #onGoAway(streamId: number, payload: Uint8Array): void {
    checkStream(streamId, "GOAWAY", false);
    const { lastStream, code, message } = readGoAway(payload);
    this.#peerGoesAway = true;
    if (this.#role === "client") {
      for (const stream of this.#streams.values()) {
        if (stream.id <= lastStream) continue;
        const { listener } = stream;
        this.#close(stream);
        listener?.onReset("REFUSED_STREAM", true, message);
      }
    }
    this.#owner.onGoAway(code, message);
  }

  #onPriority(streamId: number, payload: Uint8Array): void {
    checkStream(streamId, "PRIORITY", true);
    const stream = this.#streams.get(streamId);
    const isSelfDependent = payload.length === 5 && frame.readU31(payload, 0) === streamId;
    if (payload.length === 5 && !isSelfDependent) return;
    const code = isSelfDependent ? "PROTOCOL_ERROR" : "FRAME_SIZE_ERROR";
    if (stream === undefined) throw new ConnectionFault(code, "PRIORITY is malformed");
    this.#fail(stream, code, "PRIORITY is malformed");
  }

  #newStream(id: number): H2Stream {
    const stream = new H2Stream(id, {
      sendWindow: this.sender.initialWindow,
      receiveWindow: this.#limits.streamWindowBytes,
    });
    this.#streams.set(stream);
    return stream;
  }

  /** The peer broke the stream's protocol. */
  #fail(stream: H2Stream, code: H2Code, message: string): void {
    this.#calm.spend("reset", this.#nowMs);
    const { listener } = stream;
    this.reset(stream, code);
    listener?.onReset(code, false, message);
  }

  #onSent(stream: H2Stream): void {
    if (stream.receiving === "open" && stream.resetsAfterEnd) this.reset(stream, "NO_ERROR");
    else this.#closeIfEnded(stream);
  }

  #closeIfEnded(stream: H2Stream): void {
    if (stream.sending === "ended" && stream.receiving === "ended") this.#close(stream);
  }

  #close(stream: H2Stream): void {
    if (!this.#streams.delete(stream)) return;
    stream.sending = "closed";
    stream.receiving = "closed";
    stream.listener = undefined;
    this.sender.forget(stream);
    this.#windows.forget(stream);
    this.#owner.onStreamClosed();
  }

  #resetAll(code: H2Code, message: string): void {
    for (const stream of this.#streams.values()) {
      const { listener } = stream;
      this.#close(stream);
      listener?.onReset(code, false, message);
    }
  }
}

/** Compressed: twice what a list may have is read and refused alone (K1), more ends the connection. */
function blockBytesMax({ headerListBytesMax }: ConnectionLimits): number {
  return 2 * headerListBytesMax;
}

function broken(message: string): ConnectionFault {
  return new ConnectionFault("PROTOCOL_ERROR", message);
}
