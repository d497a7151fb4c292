// A header block out of HEADERS and CONTINUATION frames.
//
// B1 Between HEADERS without END_HEADERS and its last CONTINUATION no other frame may come.
// B2 Compressed bytes and the number of frames are bounded before anything is decoded.
import { ConnectionFault } from "./h2-error.ts";
import * as frame from "./h2-frame.ts";

/** Frames of one block: even at the smallest frame size that peers use, ten times what a list may have. */
const FRAMES_MAX = 64;

export interface HeaderBlock {
  readonly streamId: number;
  readonly isEnd: boolean;
  /** The stream depends on itself: a fault of the stream, found only after the block has been decoded. */
  readonly isSelfDependent: boolean;
  readonly bytes: Uint8Array;
}

export class HeaderBlocks {
  readonly #bytesMax: number;
  #streamId = 0;
  #flags = 0;
  #isSelfDependent = false;
  #frames = 0;
  #parts: Uint8Array[] = [];
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** The stream whose block is not whole, or 0. */
  get openStream(): number {
    return this.#frames === 0 ? 0 : this.#streamId;
  }

  /** @returns the block when it is whole; its bytes are valid as long as `payload` */
  onHeaders(flags: number, streamId: number, payload: Uint8Array): HeaderBlock | undefined {
    let begin = 0;
    let end = payload.length;
    if ((flags & frame.PADDED) !== 0) {
      if (end < 1)
        throw new ConnectionFault("FRAME_SIZE_ERROR", "HEADERS is padded and has no length of padding");
      end -= payload[0]!;
      begin = 1;
    }
    this.#isSelfDependent = false;
    if ((flags & frame.HAS_PRIORITY) !== 0) {
      if (payload.length < begin + 5)
        throw new ConnectionFault("FRAME_SIZE_ERROR", "HEADERS has no room for its priority");
      this.#isSelfDependent = frame.readU31(payload, begin) === streamId;
      begin += 5;
    }
    if (end < begin) throw new ConnectionFault("PROTOCOL_ERROR", "HEADERS has more padding than payload");
    this.#flags = flags;
    this.#streamId = streamId;
    return this.#add(payload.subarray(begin, end), (flags & frame.END_HEADERS) !== 0);
  }

  onContinuation(flags: number, payload: Uint8Array): HeaderBlock | undefined {
    return this.#add(payload, (flags & frame.END_HEADERS) !== 0);
  }

  #add(part: Uint8Array, isLast: boolean): HeaderBlock | undefined {
    this.#frames++;
    this.#bytes += part.length;
    if (this.#bytes > this.#bytesMax || this.#frames > FRAMES_MAX) {
      throw new ConnectionFault("ENHANCE_YOUR_CALM", `header block of more than ${this.#bytesMax} bytes`); // B2
    }
    if (isLast && this.#frames === 1) return this.#whole(part);
    this.#parts.push(part.slice());
    if (!isLast) return undefined;
    const bytes = new Uint8Array(this.#bytes);
    let at = 0;
    for (const one of this.#parts) {
      bytes.set(one, at);
      at += one.length;
    }
    return this.#whole(bytes);
  }

  #whole(bytes: Uint8Array): HeaderBlock {
    this.#frames = 0;
    this.#bytes = 0;
    this.#parts = [];
    return {
      streamId: this.#streamId,
      isEnd: (this.#flags & frame.END_STREAM) !== 0,
      isSelfDependent: this.#isSelfDependent,
      bytes,
    };
  }
}
