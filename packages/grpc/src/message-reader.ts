// gRPC messages out of the DATA of a stream: one byte that says whether it is compressed, four of length, the message.
// Whole messages are passed on where they stand; others are gathered. While paused, bytes are kept as they came, and
// the stream's window is not given back for them.
import type { HeldBytes } from "./held-bytes.ts";
import { RpcError } from "./status.ts";
import { readU32 } from "./h2-frame.ts";
import { PARTIAL_BYTES_MAX } from "./limits.ts";

const PREFIX_BYTES = 5;
/** What a message that is not whole gets at first: a length alone costs nobody memory, nor do its first bytes much. */
const FIRST_BYTES = 16 * 1024;
const GROWTH = 8;

/** What readers of one connection share: how much their parts of messages take, and a buffer for the next. */
export class PartialMessages {
  bytes = 0;
  readonly #held: HeldBytes;
  #spare: Uint8Array | undefined;

  constructor(held: HeldBytes) {
    this.#held = held;
  }

  /** @throws {RpcError} RESOURCE_EXHAUSTED */
  take(length: number): Uint8Array {
    const spare = this.#spare;
    const isEnough = spare !== undefined && spare.length >= length;
    const size = isEnough ? spare.length : length;
    if (this.bytes + size > PARTIAL_BYTES_MAX) {
      throw new RpcError("RESOURCE_EXHAUSTED", `messages under way exceed ${PARTIAL_BYTES_MAX} bytes`);
    }
    this.bytes += size;
    this.#held.add(size);
    // Nobody sees what is not written.
    if (!isEnough) return new Uint8Array(Buffer.allocUnsafeSlow(length).buffer);
    this.#spare = undefined;
    return spare;
  }

  /** A buffer that belongs to somebody else now. */
  forget(buffer: Uint8Array): void {
    this.bytes -= buffer.length;
    this.#held.add(-buffer.length);
  }

  give(buffer: Uint8Array): void {
    this.forget(buffer);
    if (buffer.length > (this.#spare?.length ?? 0) && buffer.length <= SPARE_BYTES_MAX) this.#spare = buffer;
  }
}
const SPARE_BYTES_MAX = 1024 * 1024;

export interface MessageSink {
  /** A view that is valid during the call. */
  onWhole(message: Uint8Array): void;
}

export interface ReaderOptions {
  readonly shared: PartialMessages;
  readonly bytesMax: number;
  readonly side: "server" | "client";
  /** Messages that are compressed so are passed on as they are. */
  readonly passEncodings?: readonly string[] | undefined;
}

export class MessageReader {
  readonly #sink: MessageSink;
  readonly #shared: PartialMessages;
  readonly #bytesMax: number;
  readonly #side: "server" | "client";
  readonly #passEncodings: readonly string[];
  /** `grpc-encoding` of the peer. */
  encoding = "";
  /** Of the message that began last. */
  isCompressed = false;
  isPaused = false;
  #isStopped = false;
  /** The prefix of the next message, and how much of it is there; then the message. */
  #prefix: Uint8Array | undefined;
  #have = 0;
  #length = -1;
  #buffer: Uint8Array | undefined;
  /** Of the message that the sink has just now, if it was gathered. */
  #passed: Uint8Array | undefined;
  #passedBytes = 0;
  #held: Uint8Array[] = [];

  constructor(sink: MessageSink, { shared, bytesMax, side, passEncodings }: ReaderOptions) {
    this.#sink = sink;
    this.#shared = shared;
    this.#bytesMax = bytesMax;
    this.#side = side;
    this.#passEncodings = passEncodings ?? [];
  }

  /** Whether a message has begun that is not whole. */
  get isInside(): boolean {
    return this.#have > 0 || this.#length >= 0;
  }

  get hasHeld(): boolean {
    return this.#held.length > 0;
  }

  /**
   * For the sink, during `onWhole`: whether it may keep the message instead of copying it. Its memory may be longer by
   * half.
   */
  keep(): boolean {
    const passed = this.#passed;
    if (passed === undefined || 2 * passed.length > 3 * this.#passedBytes) return false;
    this.#shared.forget(passed);
    this.#passed = undefined;
    return true;
  }

  /** Nothing more is passed on. */
  stop(): void {
    this.#isStopped = true;
    this.#held = [];
    if (this.#buffer !== undefined) this.#shared.give(this.#buffer);
    this.#buffer = undefined;
  }

  /** @returns how many bytes are kept for later @throws {RpcError} what stands against a message */
  push(bytes: Uint8Array, begin: number, end: number): number {
    if (this.#held.length === 0) {
      const at = this.#read(bytes, begin, end);
      if (at === end) return 0;
      this.#held.push(bytes.slice(at, end));
      return end - at;
    }
    this.#held.push(bytes.slice(begin, end));
    return end - begin;
  }

  /** Reads what was kept, until paused again. @returns how many bytes are not kept any more @throws {RpcError} */
  readHeld(): number {
    let released = 0;
    while (this.#held.length > 0 && !this.isPaused && !this.#isStopped) {
      const bytes = this.#held[0]!;
      const at = this.#read(bytes, 0, bytes.length);
      released += at;
      if (this.#isStopped) return released;
      if (at === bytes.length) this.#held.shift();
      else this.#held[0] = bytes.subarray(at);
    }
    return released;
  }

  /** @returns where it stopped: before `end` only when paused */
  #read(bytes: Uint8Array, begin: number, end: number): number {
    let at = begin;
    while (at < end) {
      if (this.#isStopped) return end;
      if (this.isPaused) return at;
      if (this.#length < 0) {
        at = this.#readPrefix(bytes, at, end);
        // A buffer that is taken before there is anything for it stays behind when all of the message comes at once.
        if (this.#length < 0 || at === end) return at;
      }
      const need = this.#length - this.#have;
      if (this.#have === 0 && end - at >= need) {
        this.#length = -1;
        this.#sink.onWhole(bytes.subarray(at, at + need));
        at += need;
      } else at = this.#gather(bytes, at, Math.min(end, at + need));
    }
    return at;
  }

  #readPrefix(bytes: Uint8Array, begin: number, end: number): number {
    if (this.#have === 0 && end - begin >= PREFIX_BYTES) {
      this.#begin(bytes, begin);
      return this.#afterPrefix(bytes, begin + PREFIX_BYTES, end);
    }
    this.#prefix ??= new Uint8Array(PREFIX_BYTES);
    let at = begin;
    while (at < end && this.#have < PREFIX_BYTES) this.#prefix[this.#have++] = bytes[at++]!;
    if (this.#have < PREFIX_BYTES) return at;
    this.#have = 0;
    this.#begin(this.#prefix, 0);
    return this.#afterPrefix(bytes, at, end);
  }

  /** An empty message is whole with its prefix, though no further byte may come. */
  #afterPrefix(bytes: Uint8Array, at: number, end: number): number {
    if (this.#length === 0 && at === end) {
      this.#length = -1;
      this.#sink.onWhole(bytes.subarray(at, at));
    }
    return at;
  }

  #begin(bytes: Uint8Array, at: number): void {
    const flag = bytes[at]!;
    const length = readU32(bytes, at + 1);
    this.isCompressed = flag === 1 && this.#passEncodings.includes(this.encoding);
    if (flag !== 0 && !this.isCompressed) throw this.#refuseFlag(flag);
    if (length > this.#bytesMax) {
      const message = `grpc: received message larger than max (${length} vs. ${this.#bytesMax})`;
      throw new RpcError("RESOURCE_EXHAUSTED", message);
    }
    this.#length = length;
  }

  #refuseFlag(flag: number): RpcError {
    if (flag !== 1) return new RpcError("INTERNAL", `grpc: received unexpected payload format ${flag}`);
    if (this.encoding === "" || this.encoding === "identity") {
      return new RpcError("INTERNAL", "grpc: compressed flag set with identity or empty encoding");
    }
    const code = this.#side === "server" ? "UNIMPLEMENTED" : "INTERNAL";
    return new RpcError(code, noDecompressor(this.encoding));
  }

  #gather(bytes: Uint8Array, begin: number, end: number): number {
    const have = this.#have + end - begin;
    let buffer = this.#buffer;
    if (buffer === undefined || buffer.length < have) {
      const grown = this.#shared.take(Math.min(this.#length, Math.max(GROWTH * have, FIRST_BYTES)));
      if (buffer !== undefined) {
        grown.set(buffer.subarray(0, this.#have));
        this.#shared.give(buffer);
      }
      buffer = this.#buffer = grown;
    }
    buffer.set(bytes.subarray(begin, end), this.#have);
    this.#have = have;
    if (have < this.#length) return end;
    this.#buffer = undefined;
    this.#have = 0;
    this.#length = -1;
    this.#passed = buffer;
    this.#passedBytes = have;
    try {
      this.#sink.onWhole(buffer.subarray(0, have));
    } finally {
      if (this.#passed !== undefined) this.#shared.give(buffer);
      this.#passed = undefined;
    }
    return end;
  }
}

export function noDecompressor(encoding: string): string {
  return `grpc: Decompressor is not installed for grpc-encoding ${JSON.stringify(encoding)}`;
}
