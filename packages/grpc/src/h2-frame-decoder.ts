// Frames out of whatever pieces the socket gives. The payload of DATA is passed on piece by piece as it comes, without
// copying; every other payload is given whole.
//
// F1 A length is checked against the limit before anything is kept of the frame.
// F2 Any split of the input gives the same calls, but for how DATA is cut into pieces.
import { ConnectionFault } from "./h2-error.ts";
import { DATA, FRAME_HEAD_BYTES, PADDED, PREFACE, readU31 } from "./h2-frame.ts";

export interface FrameListener {
  /** A frame begins; throws what stands against its head. */
  onFrame(type: number, flags: number, streamId: number, length: number): void;
  /** Content of a DATA frame, without padding; zero or more times. */
  onDataBytes(bytes: Uint8Array, begin: number, end: number): void;
  /** The DATA frame is whole. */
  onDataEnd(): void;
  /** The payload of any other frame; a view that is valid during the call. */
  onPayload(type: number, flags: number, streamId: number, payload: Uint8Array): void;
}

type Awaits = "preface" | "head" | "pad-length" | "data" | "padding" | "payload";

export class FrameDecoder {
  readonly #listener: FrameListener;
  readonly #frameBytesMax: number;
  readonly #head = new Uint8Array(FRAME_HEAD_BYTES);
  #awaits: Awaits;
  /** Bytes that were taken of what is awaited. */
  #have = 0;
  #type = 0;
  #flags = 0;
  #streamId = 0;
  /** Of the payload: what has not come yet. */
  #left = 0;
  #padding = 0;
  #payload: Uint8Array = new Uint8Array(0);
  #isStopped = false;

  /** @param frameBytesMax what this side's SETTINGS_MAX_FRAME_SIZE allows */
  constructor(
    listener: FrameListener,
    { frameBytesMax, hasPreface }: { frameBytesMax: number; hasPreface: boolean },
  ) {
    this.#listener = listener;
    this.#frameBytesMax = frameBytesMax;
    this.#awaits = hasPreface ? "preface" : "head";
  }

  /** Nothing more is read. */
  stop(): void {
    this.#isStopped = true;
  }

  /** @throws {ConnectionFault} and whatever the listener throws; nothing can be pushed after that */
  push(chunk: Uint8Array): void {
    let at = 0;
    while (!this.#isStopped) {
      switch (this.#awaits) {
        case "preface":
          at = this.#onPreface(chunk, at);
          break;
        case "head":
          at = this.#onHead(chunk, at);
          break;
        case "pad-length":
          if (at < chunk.length) this.#onPadLength(chunk[at++]!);
          break;
        case "data":
          at = this.#onData(chunk, at);
          break;
        case "padding":
          at = this.#onPadding(chunk, at);
          break;
        case "payload":
          at = this.#onPayload(chunk, at);
          break;
      }
      if (at >= chunk.length && !this.#isDue()) return;
    }
  }

  /** Whether something can be said without a further byte. */
  #isDue(): boolean {
    return (
      this.#left === 0 &&
      (this.#awaits === "data" || this.#awaits === "padding" || this.#awaits === "payload")
    );
  }

  #onPreface(chunk: Uint8Array, from: number): number {
    let at = from;
    while (at < chunk.length && this.#have < PREFACE.length) {
      if (chunk[at++] !== PREFACE[this.#have++])
        throw new ConnectionFault("PROTOCOL_ERROR", "no HTTP/2 preface");
    }
    if (this.#have === PREFACE.length) this.#await("head");
    return at;
  }

  #onHead(chunk: Uint8Array, from: number): number {
    if (this.#have === 0 && chunk.length - from >= FRAME_HEAD_BYTES) {
      this.#begin(chunk, from);
      return from + FRAME_HEAD_BYTES;
    }
    let at = from;
    while (at < chunk.length && this.#have < FRAME_HEAD_BYTES) this.#head[this.#have++] = chunk[at++]!;
    if (this.#have === FRAME_HEAD_BYTES) this.#begin(this.#head, 0);
    return at;
  }

  #begin(bytes: Uint8Array, at: number): void {
    const length = (bytes[at]! << 16) | (bytes[at + 1]! << 8) | bytes[at + 2]!;
    this.#type = bytes[at + 3]!;
    this.#flags = bytes[at + 4]!;
    this.#streamId = readU31(bytes, at + 5);
    if (length > this.#frameBytesMax) {
      throw new ConnectionFault(
        "FRAME_SIZE_ERROR",
        `frame of ${length} bytes (at most ${this.#frameBytesMax})`,
      ); // F1
    }
    this.#listener.onFrame(this.#type, this.#flags, this.#streamId, length);
    this.#left = length;
    this.#padding = 0;
    if (this.#type !== DATA) this.#await("payload");
    else if ((this.#flags & PADDED) === 0) this.#await("data");
    else if (length === 0)
      throw new ConnectionFault("FRAME_SIZE_ERROR", "DATA is padded and has no length of padding");
    else this.#await("pad-length");
  }

  #await(what: Awaits): void {
    this.#awaits = what;
    this.#have = 0;
  }

  #onPadLength(padding: number): void {
    this.#left--;
    if (padding > this.#left)
      throw new ConnectionFault("PROTOCOL_ERROR", "DATA has more padding than payload");
    this.#padding = padding;
    this.#left -= padding;
    this.#await("data");
  }

  #onData(chunk: Uint8Array, at: number): number {
    const end = Math.min(chunk.length, at + this.#left);
    if (end > at) {
      this.#left -= end - at;
      this.#listener.onDataBytes(chunk, at, end);
    }
    if (this.#left === 0) {
      this.#left = this.#padding;
      this.#await("padding");
    }
    return end;
  }

  #onPadding(chunk: Uint8Array, at: number): number {
    const end = Math.min(chunk.length, at + this.#left);
    this.#left -= end - at;
    if (this.#left === 0) {
      this.#await("head");
      this.#listener.onDataEnd();
    }
    return end;
  }

  #onPayload(chunk: Uint8Array, at: number): number {
    const end = Math.min(chunk.length, at + this.#left);
    if (this.#have === 0 && end - at === this.#left) {
      this.#left = 0;
      this.#await("head");
      this.#listener.onPayload(this.#type, this.#flags, this.#streamId, chunk.subarray(at, end));
      return end;
    }
    if (this.#have === 0 && this.#payload.length < this.#left) this.#payload = new Uint8Array(this.#left);
    this.#payload.set(chunk.subarray(at, end), this.#have);
    this.#have += end - at;
    this.#left -= end - at;
    if (this.#left > 0) return end;
    const whole = this.#payload.subarray(0, this.#have);
    this.#await("head");
    this.#listener.onPayload(this.#type, this.#flags, this.#streamId, whole);
    return end;
  }
}
