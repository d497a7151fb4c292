// The sending half of an HTTP/2 connection: frames into the outbox, within the peer's windows and frame size, in turns
// among the streams that wait.
//
// S1 DATA is written only within both windows, and only while the outbox has room; the rest waits in its stream's
//    queue, in order, with the end of the stream behind it.
// S2 A stream that waits gets at most one frame before the others that wait have had their turn.
import type { Outbox } from "./outbox.ts";
import { HpackEncoder, KeptList } from "./hpack-encoder.ts";
import * as frame from "./h2-frame.ts";
import type { Fields, H2Stream } from "./h2-stream.ts";
import type { HeldBytes } from "./held-bytes.ts";

/** Pending bytes from which DATA waits: a few round trips of a fast local peer. */
const OUTBOX_FULL_BYTES = 256 * 1024;
/** What waits is gathered in pieces of at least so many bytes, so that many small messages are few pieces. */
const PIECE_BYTES = 4096;
const PREFIX_BYTES = 5;
const NO_FIELDS: readonly string[] = [];

export class H2Sender {
  readonly outbox: Outbox;
  readonly encoder = new HpackEncoder();
  /** The peer's settings. */
  initialWindow = frame.DEFAULT_WINDOW_BYTES;
  frameBytesMax = frame.DEFAULT_FRAME_BYTES_MAX;
  window = frame.DEFAULT_WINDOW_BYTES;
  readonly #held: HeldBytes;
  readonly #round: H2Stream[] = [];
  /** Called when both sides of a stream may have ended. */
  readonly #onEnded: (stream: H2Stream) => void;

  constructor(outbox: Outbox, held: HeldBytes, onEnded: (stream: H2Stream) => void) {
    this.outbox = outbox;
    this.#held = held;
    this.#onEnded = onEnded;
  }

  get hasRoom(): boolean {
    return this.outbox.pendingBytes < OUTBOX_FULL_BYTES;
  }

  /** Whether `bytes` can leave as one frame now, without waiting for anything. */
  #fits({ queuedBytes, sendWindow }: H2Stream, bytes: number): boolean {
    const isNext = queuedBytes === 0 && this.hasRoom;
    return isNext && bytes <= this.frameBytesMax && bytes <= sendWindow && bytes <= this.window;
  }

  /** Writes a frame's head and room for `room` bytes behind it. @returns where the room begins in `outbox.chunk` */
  frame(head: { length: number; type: number; flags: number; streamId: number }, room: number): number {
    const at = this.outbox.reserve(frame.FRAME_HEAD_BYTES + room);
    frame.writeFrameHead(this.outbox.chunk, at, head);
    return at + frame.FRAME_HEAD_BYTES;
  }

  /** A frame whose payload is one number of 32 bits. */
  numberFrame(type: number, streamId: number, value: number): void {
    const at = this.frame({ length: 4, type, flags: 0, streamId }, 4);
    frame.writeU32(this.outbox.chunk, at, value);
  }

  /** @param extra fields behind `fields` that differ each time */
  headers(
    stream: H2Stream,
    fields: Fields,
    { isEnd, extra = NO_FIELDS }: { isEnd: boolean; extra?: readonly string[] },
  ): void {
    const { outbox, encoder } = this;
    const block = fields instanceof KeptList ? encoder.encodeKept(fields, extra) : encoder.encode(fields);
    let type: number = frame.HEADERS;
    let begin = 0;
    do {
      const end = Math.min(block.length, begin + this.frameBytesMax);
      let flags = end === block.length ? frame.END_HEADERS : 0;
      if (isEnd && type === frame.HEADERS) flags |= frame.END_STREAM;
      this.frame({ length: end - begin, type, flags, streamId: stream.id }, 0);
      outbox.copy(block, begin, end);
      begin = end;
      type = frame.CONTINUATION;
    } while (begin < block.length);
    if (isEnd) this.#end(stream);
  }

  /**
   * Sends a gRPC message: its prefix, `bytes` and `more`.
   * @returns false when some of it waits (a copy of it does)
   */
  message(stream: H2Stream, bytes: Uint8Array, more: Uint8Array | undefined): boolean {
    const length = bytes.length + (more?.length ?? 0);
    const total = PREFIX_BYTES + length;
    if (!this.#fits(stream, total)) return this.#messageInPieces(stream, length, bytes, more);
    const at = this.#dataHead(stream, total, PREFIX_BYTES);
    const { chunk } = this.outbox;
    chunk[at] = 0;
    frame.writeU32(chunk, at + 1, length);
    this.outbox.copy(bytes, 0, bytes.length);
    if (more !== undefined) this.outbox.copy(more, 0, more.length);
    return true;
  }

  /** Sends plain content, all there is of it. */
  bytes(stream: H2Stream, bytes: Uint8Array): void {
    const written = this.#writeParts(stream, [bytes], bytes.length);
    this.#enqueue(stream, bytes, written, bytes.length - written);
  }

  /** Ends the sending side behind what waits, with `trailers` if there are any. */
  end(stream: H2Stream, trailers: Fields | undefined): void {
    if (stream.queuedBytes > 0) {
      stream.endsAfterQueue = true;
      stream.trailers = trailers;
    } else this.#writeEnd(stream, trailers);
  }

  /** Writes what windows and the outbox allow, after either has changed. */
  pump(): void {
    let idle = 0;
    while (this.#round.length > 0 && idle < this.#round.length && this.window > 0 && this.hasRoom) {
      const stream = this.#round.shift()!;
      if (stream.sending !== "open") {
        stream.isWaiting = false;
        continue;
      }
      if (stream.sendWindow <= 0) {
        this.#round.push(stream);
        idle++;
        continue;
      }
      idle = 0;
      this.#writeQueued(stream); // S2
      if (stream.queuedBytes > 0) {
        this.#round.push(stream);
        continue;
      }
      stream.isWaiting = false;
      if (stream.endsAfterQueue) this.#writeEnd(stream, stream.trailers);
      else if (stream.wasRefused) {
        stream.wasRefused = false;
        stream.listener?.onWritable();
      }
    }
  }

  /** Drops what waits of a stream that is over. */
  forget(stream: H2Stream): void {
    if (stream.queuedBytes > 0) this.#held.add(-stream.queuedBytes);
    stream.queue = [];
    stream.queuedBytes = 0;
    stream.endsAfterQueue = false;
    stream.trailers = undefined;
    stream.flagsChunk = undefined;
  }

  #messageInPieces(
    stream: H2Stream,
    length: number,
    bytes: Uint8Array,
    more: Uint8Array | undefined,
  ): boolean {
    const prefix = new Uint8Array(PREFIX_BYTES);
    frame.writeU32(prefix, 1, length);
    const parts = more === undefined ? [prefix, bytes] : [prefix, bytes, more];
    const written = stream.queuedBytes > 0 ? 0 : this.#writeParts(stream, parts, PREFIX_BYTES + length);
    let skip = written;
    for (const part of parts) {
      this.#enqueue(stream, part, Math.min(skip, part.length));
      skip = Math.max(0, skip - part.length);
    }
    if (stream.queuedBytes === 0) return true;
    stream.wasRefused = true;
    return false;
  }

  /** @returns bytes of `parts` that were written as DATA */
  #writeParts(stream: H2Stream, parts: readonly Uint8Array[], total: number): number {
    if (stream.queuedBytes > 0) return 0;
    let written = 0;
    let part = 0;
    let at = 0;
    while (written < total && this.hasRoom) {
      const length = Math.min(total - written, this.frameBytesMax, stream.sendWindow, this.window);
      if (length <= 0) break;
      this.#dataHead(stream, length, 0);
      for (let left = length; left > 0;) {
        const bytes = parts[part]!;
        const end = Math.min(bytes.length, at + left);
        this.outbox.copy(bytes, at, end);
        left -= end - at;
        at = end;
        if (at === bytes.length) {
          part++;
          at = 0;
        }
      }
      written += length;
    }
    return written;
  }

  /** Keeps a copy of `bytes[begin, …)`. @param pieceBytes room for what comes behind it, too */
  #enqueue(stream: H2Stream, bytes: Uint8Array, begin: number, pieceBytes = PIECE_BYTES): void {
    const length = bytes.length - begin;
    if (length === 0) return;
    const { queue } = stream;
    const last = queue.at(-1);
    if (last !== undefined && last.byteLength + length <= last.buffer.byteLength) {
      const joined = new Uint8Array(last.buffer, 0, last.length + length);
      joined.set(bytes.subarray(begin), last.length);
      queue[queue.length - 1] = joined;
    } else {
      const piece = new Uint8Array(new ArrayBuffer(Math.max(length, pieceBytes)), 0, length);
      piece.set(bytes.subarray(begin));
      queue.push(piece);
    }
    stream.queuedBytes += length;
    this.#held.add(length);
    if (stream.isWaiting) return;
    stream.isWaiting = true;
    this.#round.push(stream);
  }

  /** One frame of what waits. */
  #writeQueued(stream: H2Stream): void {
    const length = Math.min(stream.queuedBytes, this.frameBytesMax, stream.sendWindow, this.window);
    this.#dataHead(stream, length, 0);
    for (let left = length; left > 0;) {
      const bytes = stream.queue[0]!;
      const end = Math.min(bytes.length, stream.queueAt + left);
      this.outbox.copy(bytes, stream.queueAt, end);
      left -= end - stream.queueAt;
      stream.queueAt = end;
      if (end === bytes.length) {
        stream.queue.shift();
        stream.queueAt = 0;
      }
    }
    stream.queuedBytes -= length;
    this.#held.add(-length);
  }

  /** The head of a DATA frame, whose flags may still become END_STREAM. */
  #dataHead(stream: H2Stream, length: number, room: number): number {
    const at = this.frame({ length, type: frame.DATA, flags: 0, streamId: stream.id }, room);
    stream.sendWindow -= length;
    this.window -= length;
    stream.flagsChunk = this.outbox.chunk;
    stream.flagsAt = at - frame.FRAME_HEAD_BYTES + 4;
    stream.flagsTakes = this.outbox.takes;
    return at;
  }

  #writeEnd(stream: H2Stream, trailers: Fields | undefined): void {
    if (trailers !== undefined) {
      this.headers(stream, trailers, { isEnd: true });
      return;
    }
    if (stream.flagsChunk !== undefined && stream.flagsTakes === this.outbox.takes) {
      stream.flagsChunk[stream.flagsAt]! |= frame.END_STREAM;
    } else this.frame({ length: 0, type: frame.DATA, flags: frame.END_STREAM, streamId: stream.id }, 0);
    this.#end(stream);
  }

  #end(stream: H2Stream): void {
    if (stream.sending !== "open") return;
    stream.sending = "ended";
    this.forget(stream);
    this.#onEnded(stream);
  }
}
