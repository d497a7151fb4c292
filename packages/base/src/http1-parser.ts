// HTTP/1.1 request parser: strict, bounded, incremental, without copies. node:http is the
// oracle of its tests: whatever it refuses is refused here, and what is accepted by both is read the same way.
//
//   head ──> body by length ──> head …        P1 A request that could be read in two ways is refused with 400 and the
//        └─> chunks ──────────> head …           connection ends: no bytes of it are looked at any more.
//        └─> stopped                          P2 Limits are checked before anything is allocated.
//                                             P3 A request that arrives in one piece is read where it lies.
//
// Beyond what http1-head-parser.ts says of heads, it is stricter than node:http with chunks: sizes of at most 8 digits
// without whitespace around, extensions of tokens, trailers of visible ASCII, both bounded.
import { sizeText } from "./size-text.ts";
import { BodyBytes } from "./body-bytes.ts";
import { ChunkedBody } from "./http1-chunked.ts";
import type { RequestHead } from "./http1-head.ts";
import { badRequest, HeadParser, type Refusal } from "./http1-head-parser.ts";

/** What onHead decides about the body. */
export type BodyPlan =
  /** Keep it, up to so many bytes; a longer one is refused with 413. */
  | number
  /** The answer does not depend on it: read over it. */
  | "discard";

export interface Http1Listener {
  onHead(head: RequestHead): BodyPlan;
  /** The client waits for `100 Continue` before it sends the body. */
  onContinue(): void;
  /** The request is whole; its body is body[begin, end). Both are valid until this returns. */
  onRequest(head: RequestHead, body: BodyBytes, begin: number, end: number): void;
  /** The parser has stopped. */
  onRefused(refusal: Refusal): void;
}

/** Of a body that nobody wants, so much is read over to keep the connection; beyond it the connection ends. */
export const DISCARD_BYTES_MAX = 256 * 1024;

type Phase = "head" | "length" | "chunked" | "stopped";

const LF = 0x0a;
/** Memory that is taken for a body on the word of its Content-Length; pages are real only once they are written. */
const GATHER_BYTES_FIRST = 1024 * 1024;
const NONE = new BodyBytes(new Uint8Array(0));

export class Http1Parser {
  readonly #listener: Http1Listener;
  readonly #headBytesMax: number;
  readonly #heads: HeadParser;
  #phase: Phase = "head";
  /** The part of a head that has arrived. */
  #held: Uint8Array | undefined;
  /** Body by length: what is gathered of it, and how much is missing. */
  #gathered: Uint8Array = NONE.bytes;
  #gatheredBytes = 0;
  #missingBytes = 0;
  #chunks: ChunkedBody | undefined;
  #keep = true;

  constructor(listener: Http1Listener, headBytesMax: number) {
    this.#listener = listener;
    this.#headBytesMax = headBytesMax;
    this.#heads = new HeadParser(headBytesMax);
  }

  /** What the connection waits for; "idle" between requests. */
  get waitsFor(): "idle" | "head" | "body" | "nothing" {
    if (this.#phase === "stopped") return "nothing";
    if (this.#phase !== "head") return "body";
    return this.#held === undefined ? "idle" : "head";
  }

  /** Bytes that are held of a body which is not whole. */
  get receivingBytes(): number {
    if (this.#phase === "length") return this.#gatheredBytes;
    return this.#phase === "chunked" ? this.#chunks!.heldBytes : 0;
  }

  /** Looks at no further byte. */
  stop(): void {
    this.#phase = "stopped";
    this.#held = undefined;
    this.#gathered = NONE.bytes;
    this.#chunks = undefined;
  }

  /** Takes what arrived; calls the listener for whatever is whole. The chunk must not be changed afterwards. */
  push(bytes: Uint8Array): void {
    const chunk = new BodyBytes(bytes);
    let at = 0;
    while (at < bytes.length && this.#phase !== "stopped") {
      if (this.#phase === "head") at = this.#readHead(chunk, at);
      else if (this.#phase === "length") at = this.#readLength(bytes, at);
      else at = this.#readChunks(bytes, at);
    }
  }

  #readHead(chunk: BodyBytes, at: number): number {
    const bytes = chunk.bytes;
    if (this.#held === undefined) {
      const after = this.#parseHead(bytes, at, bytes.length);
      if (after > 0) return this.#startBody(chunk, after);
      if (after === 0) this.#held = bytes.slice(at);
      return bytes.length;
    }
    const before = this.#held.length;
    const taken = Math.min(bytes.length - at, this.#headBytesMax + 4 - before);
    const joined = new Uint8Array(before + taken);
    joined.set(this.#held);
    joined.set(bytes.subarray(at, at + taken), before);
    // Without a new line end nothing can be decided, except that the head has become too long.
    if (taken > 0 && joined.length <= this.#headBytesMax && joined.indexOf(LF, before) < 0) {
      this.#held = joined;
      return at + taken;
    }
    const after = this.#parseHead(joined, 0, joined.length);
    this.#held = after === 0 ? joined : undefined;
    return after > 0 ? this.#startBody(chunk, at + after - before) : at + taken;
  }

  /** @returns the position behind the head, 0 while it is not whole, -1 when it was refused */
  #parseHead(bytes: Uint8Array, begin: number, end: number): number {
    const after = this.#heads.parse(bytes, begin, end);
    if (after < 0) this.#refuseWith(this.#heads.refusal!);
    return after;
  }

  /** The head is whole and ends at `at`. */
  #startBody(chunk: BodyBytes, at: number): number {
    const { head } = this.#heads;
    this.#held = undefined;
    const plan = this.#listener.onHead(head);
    if (this.waitsFor === "nothing") return at;
    if (head.contentLength <= 0 && !head.isChunked) {
      this.#finish(chunk, at, at);
      return at;
    }
    this.#keep = plan !== "discard";
    if (plan === "discard" && (head.expectsContinue || head.contentLength > DISCARD_BYTES_MAX)) {
      head.keepAlive = false;
      this.#finish(NONE, 0, 0);
      return at;
    }
    const limit = plan === "discard" ? DISCARD_BYTES_MAX : plan;
    if (head.contentLength > limit) return this.#refuseBody(limit);
    const available = chunk.bytes.length - at;
    if (head.isChunked) {
      this.#phase = "chunked";
      this.#chunks = new ChunkedBody(limit, this.#headBytesMax, this.#keep);
    } else if (available >= head.contentLength) {
      this.#finish(chunk, at, at + head.contentLength); // P3
      return at + head.contentLength;
    } else {
      this.#phase = "length";
      this.#missingBytes = head.contentLength;
      this.#gatheredBytes = 0;
      const first = Math.min(head.contentLength, Math.max(GATHER_BYTES_FIRST, 2 * available));
      this.#gathered = this.#keep ? new Uint8Array(first) : NONE.bytes;
    }
    if (head.expectsContinue && available === 0) this.#listener.onContinue();
    return at;
  }

  #readLength(bytes: Uint8Array, at: number): number {
    const end = Math.min(bytes.length, at + this.#missingBytes);
    if (this.#keep) {
      const total = this.#gatheredBytes + end - at;
      if (total > this.#gathered.length) {
        const capacity = Math.min(this.#heads.head.contentLength, Math.max(total, 2 * this.#gathered.length));
        const grown = new Uint8Array(capacity);
        grown.set(this.#gathered.subarray(0, this.#gatheredBytes));
        this.#gathered = grown;
      }
      this.#gathered.set(bytes.subarray(at, end), this.#gatheredBytes);
      this.#gatheredBytes = total;
    }
    this.#missingBytes -= end - at;
    if (this.#missingBytes === 0) this.#finish(new BodyBytes(this.#gathered), 0, this.#gatheredBytes);
    return end;
  }

  #readChunks(bytes: Uint8Array, at: number): number {
    const chunks = this.#chunks!;
    const after = chunks.push(bytes, at);
    if (chunks.problem === "tooLarge") return this.#refuseBody(chunks.limit);
    if (chunks.problem !== undefined) return this.#refuse(chunks.problem);
    if (chunks.isWhole) this.#finish(new BodyBytes(chunks.bytes), 0, chunks.length);
    return after;
  }

  #finish(body: BodyBytes, begin: number, end: number): void {
    this.#phase = this.#heads.head.keepAlive ? "head" : "stopped";
    this.#gathered = NONE.bytes;
    this.#chunks = undefined;
    this.#listener.onRequest(this.#heads.head, body, begin, end);
  }

  #refuseBody(limit: number): -1 {
    const message = `Request body size is over the maximum "${sizeText(limit)}".`;
    return this.#refuseWith({ status: 413, name: "bodyTooLarge", message });
  }

  #refuse(problem: string): -1 {
    return this.#refuseWith(badRequest(problem));
  }

  #refuseWith(refusal: Refusal): -1 {
    this.stop(); // P1
    this.#listener.onRefused(refusal);
    return -1;
  }
}
