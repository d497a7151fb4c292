// Incremental decoder of frames (frame.ts): whole frames come out, the remainder is kept, whatever the split.
//
//   line ──header──> lengths ──row lengths──> (keys ──>) body ──CRC──> line …
//
// A frame that lies whole in the pushed chunk is decoded in place; one that spans chunks is gathered in memory of its
// own, which is as large as its header says, and no larger than the limits allow (F2).
import { assert, text, WireError } from "@millrace/base";
import { NO_POOL, type BytePool } from "./byte-pool.ts";
import { crc32c } from "./frame-crc.ts";
import {
  FRAME_LIMITS,
  FRAME_LINE_BYTES_MAX,
  FRAME_MAGIC,
  KEYED_FRAME_MAGIC,
  type Frame,
  type FrameLimits,
} from "./frame.ts";
import { KEY_HASH_CHARS } from "./idempotency-key.ts";

interface Head {
  readonly isKeyed: boolean;
  readonly producer: string;
  readonly sequence: number;
  readonly sinkVersion: number;
  readonly acceptedAtMs: number;
  readonly count: number;
  readonly bodyBytes: number;
  readonly crc: number;
  /** Bytes of the first line that the CRC covers, and of the whole line. */
  readonly coveredBytes: number;
  readonly lineBytes: number;
}

const NEWLINE = 10;
const KEY = /^[A-Za-z0-9_-]{22}$/;

export class FrameDecoder {
  readonly #limits: FrameLimits;
  readonly #pool: BytePool;
  /** Journal offset at which the frame being gathered begins. */
  #begin: number;
  #head: Head | undefined;
  #lengths: Uint32Array | undefined;
  #keys: Frame["keys"];
  /** Bytes of the lines that were read, once the second one has been. */
  #headBytes = 0;
  #gathered: Uint8Array = EMPTY;
  #gatheredBytes = 0;
  /** Memory of frames that were given out. */
  readonly #given: Uint8Array[] = [];

  /**
   * @param offset journal offset of the first byte that will be pushed; a frame begins there
   * @param pool for frames that span chunks; they stay valid until `recycle`
   */
  constructor(offset: number, limits: FrameLimits = FRAME_LIMITS, pool: BytePool = NO_POOL) {
    this.#begin = offset;
    this.#limits = limits;
    this.#pool = pool;
  }

  /** Journal offset of the first byte that belongs to no frame given out so far: where a slice may end. */
  get offset(): number {
    return this.#begin;
  }

  /** Bytes kept of a frame that is not whole yet. */
  get pendingBytes(): number {
    return this.#gatheredBytes;
  }

  /**
   * Frames that are whole now, in order. @throws {WireError} CORRUPT with `field` and `offset`: frames of this chunk
   * before the corrupt one are not given out, and the decoder is of no more use.
   */
  push(chunk: Uint8Array): Frame[] {
    const frames: Frame[] = [];
    let at = 0;
    while (at < chunk.length) {
      if (this.#gatheredBytes === 0) {
        const frame = this.#decode(chunk, at, chunk.length);
        if (frame !== undefined) {
          frames.push(frame);
          at += frame.end - frame.begin;
          continue;
        }
      }
      at += this.#gather(chunk, at);
      const frame = this.#decode(this.#gathered, 0, this.#gatheredBytes);
      if (frame === undefined) continue;
      frames.push(frame);
      if (this.#pool !== NO_POOL) this.#given.push(this.#gathered);
      this.#gathered = EMPTY;
      this.#gatheredBytes = 0;
    }
    return frames;
  }

  /** Nobody looks at the frames given out so far any more. */
  recycle(): void {
    for (const memory of this.#given) this.#pool.give(memory);
    this.#given.length = 0;
  }

  /** Takes what the frame needs next, never a byte of its successor. @returns bytes taken */
  #gather(chunk: Uint8Array, at: number): number {
    const isWhole = this.#lengths !== undefined && this.#head!.isKeyed === (this.#keys !== undefined);
    const frameBytes = isWhole ? this.#headBytes + this.#head!.bodyBytes : undefined;
    let end: number;
    if (frameBytes === undefined) {
      // The line that is being read ends after those lines that have been read.
      const from = Math.max(at, at + this.#lineBegin() - this.#gatheredBytes);
      const newline = chunk.indexOf(NEWLINE, from);
      end = newline < 0 ? chunk.length : newline + 1;
    } else {
      end = Math.min(chunk.length, at + frameBytes - this.#gatheredBytes);
    }
    const total = this.#gatheredBytes + end - at;
    this.#reserve(total, frameBytes);
    this.#gathered.set(chunk.subarray(at, end), this.#gatheredBytes);
    this.#gatheredBytes = total;
    return end - at;
  }

  #lineBegin(): number {
    if (this.#head === undefined) return 0;
    return this.#lengths === undefined ? this.#head.lineBytes : this.#headBytes;
  }

  #reserve(total: number, frameBytes: number | undefined): void {
    if (this.#gathered.length >= total) return;
    const capacity = frameBytes ?? Math.max(total, this.#gathered.length * 2);
    const grown = this.#pool.take(capacity);
    grown.set(this.#gathered.subarray(0, this.#gatheredBytes));
    if (this.#gathered !== EMPTY) this.#pool.give(this.#gathered);
    this.#gathered = grown;
  }

  /** The frame that begins at `at`, or undefined while it is not whole. */
  #decode(bytes: Uint8Array, at: number, end: number): Frame | undefined {
    const head = (this.#head ??= this.#decodeLine(bytes, at, end));
    if (head === undefined) return undefined;
    const lengths = (this.#lengths ??= this.#decodeLengths(bytes, at, end, head));
    if (lengths === undefined) return undefined;
    if (head.isKeyed) {
      this.#keys ??= this.#decodeKeys(bytes, at, end, head);
      if (this.#keys === undefined) return undefined;
    }
    const bodyAt = at + this.#headBytes;
    const bodyEnd = bodyAt + head.bodyBytes;
    if (end < bodyEnd) return undefined;
    const covered = crc32c(bytes.subarray(at, at + head.coveredBytes), 0);
    const crc = crc32c(bytes.subarray(at + head.lineBytes, bodyEnd), covered);
    if (crc !== head.crc) this.#corrupt("crc32c", 0, `is ${head.crc}, the bytes have ${crc}`);
    const begin = this.#begin;
    const frame: Frame = {
      begin,
      end: begin + bodyEnd - at,
      bodyBegin: begin + this.#headBytes,
      producer: head.producer,
      sequence: head.sequence,
      sinkVersion: head.sinkVersion,
      acceptedAtMs: head.acceptedAtMs,
      count: head.count,
      rowLengths: lengths,
      keys: this.#keys,
      body: bytes.subarray(bodyAt, bodyEnd),
    };
    this.#begin = frame.end;
    this.#head = undefined;
    this.#lengths = undefined;
    this.#keys = undefined;
    return frame;
  }

  #decodeLine(bytes: Uint8Array, at: number, end: number): Head | undefined {
    const bound = Math.min(end, at + FRAME_LINE_BYTES_MAX);
    let newline = at;
    while (newline < bound && bytes[newline] !== NEWLINE) newline++;
    if (newline === bound) {
      if (bound === end && end < at + FRAME_LINE_BYTES_MAX) return undefined;
      this.#corrupt("magic", 0, `the first line is longer than ${FRAME_LINE_BYTES_MAX} bytes`);
    }
    let line = "";
    for (let i = at; i < newline; i++) line += String.fromCharCode(bytes[i]!);
    const fields = line.split(" ");
    const places = placesOf(fields);
    const isKeyed = fields[0] === KEYED_FRAME_MAGIC;
    if (!isKeyed && fields[0] !== FRAME_MAGIC)
      this.#corrupt("magic", 0, `expected ${FRAME_MAGIC} or ${KEYED_FRAME_MAGIC}`);
    if (fields.length !== 8) this.#corrupt("magic", 0, `expected 8 fields, got ${fields.length}`);
    const number = (name: string, index: number, max: number): number => {
      const text = fields[index]!;
      const value = /^[1-9][0-9]{0,15}$/.test(text) ? Number(text) : 0;
      if (value < 1 || value > max) this.#corrupt(name, places[index]!, `expected an integer in [1, ${max}]`);
      return value;
    };
    const producer = fields[1]!;
    if (!/^[0-9a-f]{16}$/.test(producer)) this.#corrupt("producer", places[1]!, "expected 16 hex digits");
    if (!/^[0-9a-f]{8}$/.test(fields[7]!)) this.#corrupt("crc32c", places[7]!, "expected 8 hex digits");
    return {
      isKeyed,
      producer,
      sequence: number("sequence", 2, Number.MAX_SAFE_INTEGER),
      sinkVersion: number("sinkVersion", 3, Number.MAX_SAFE_INTEGER),
      acceptedAtMs: number("acceptedAtMs", 4, Number.MAX_SAFE_INTEGER),
      count: number("count", 5, this.#limits.rowsMax),
      bodyBytes: number("bodyBytes", 6, this.#limits.bodyBytesMax),
      crc: Number.parseInt(fields[7]!, 16),
      coveredBytes: newline - at - 9,
      lineBytes: newline - at + 1,
    };
  }

  #decodeLengths(bytes: Uint8Array, at: number, end: number, head: Head): Uint32Array | undefined {
    const from = at + head.lineBytes;
    const widest = head.count * (String(head.bodyBytes).length + 1);
    const bound = Math.min(end, from + widest);
    const newline = bytes.subarray(from, bound).indexOf(NEWLINE);
    if (newline < 0) {
      if (end < from + widest) return undefined;
      this.#corrupt("rowLengths", head.lineBytes, `the line is longer than ${widest} bytes`);
    }
    const lengths = new Uint32Array(head.count);
    let row = 0;
    let value = 0;
    let sum = 0;
    for (let i = from; i <= from + newline; i++) {
      const byte = bytes[i]!;
      if (byte >= 48 && byte <= 57 && !(byte === 48 && value === 0)) {
        value = value * 10 + byte - 48;
        if (value <= head.bodyBytes) continue;
      }
      const last = i === from + newline;
      // F1; a digit gets here only as a leading zero or when the value is beyond the body.
      if (value === 0 || value > head.bodyBytes || byte !== (last ? NEWLINE : 44) || row === head.count) {
        this.#corrupt(
          "rowLengths",
          i - at,
          `row ${row} of ${head.count}: expected an integer in [1, ${head.bodyBytes}]`,
        );
      }
      lengths[row++] = value;
      sum += value;
      value = 0;
    }
    if (row !== head.count)
      this.#corrupt("rowLengths", head.lineBytes, `${row} lengths for ${head.count} rows`);
    if (sum !== head.bodyBytes) {
      this.#corrupt("rowLengths", head.lineBytes, `lengths add up to ${sum}, bodyBytes is ${head.bodyBytes}`);
    }
    this.#headBytes = head.lineBytes + newline + 1;
    return lengths;
  }

  /** Moves #headBytes behind the line. */
  #decodeKeys(bytes: Uint8Array, at: number, end: number, head: Head): Frame["keys"] {
    const from = at + this.#headBytes;
    const widest = head.count * (KEY_HASH_CHARS + 1);
    const newline = bytes.subarray(from, Math.min(end, from + widest)).indexOf(NEWLINE);
    if (newline < 0) {
      if (end < from + widest) return undefined;
      this.#corrupt("keys", this.#headBytes, `the line is longer than ${widest} bytes`);
    }
    const texts = text(bytes.subarray(from, from + newline)).split(",");
    if (texts.length !== head.count)
      this.#corrupt("keys", this.#headBytes, `${texts.length} keys for ${head.count} rows`);
    const keys = texts.map((key, row) => {
      if (key === "-") return undefined;
      if (KEY.test(key)) return key;
      this.#corrupt(
        "keys",
        this.#headBytes,
        `row ${row}: expected - or ${KEY_HASH_CHARS} characters of base64url`,
      );
    });
    if (keys.every((key) => key === undefined)) this.#corrupt("keys", this.#headBytes, "no row has one");
    this.#headBytes += newline + 1;
    return keys;
  }

  #corrupt(field: string, place: number, problem: string): never {
    const offset = this.#begin + place;
    assert(place >= 0, "place in the frame >= 0", { place });
    throw new WireError("CORRUPT", `frame at offset ${this.#begin}: ${field}: ${problem}`, {
      facts: { field, offset, begin: this.#begin },
    });
  }
}

const EMPTY = new Uint8Array(0);

/** Place of each field in its line. */
function placesOf(fields: readonly string[]): number[] {
  let at = 0;
  return fields.map((field) => {
    const place = at;
    at += field.length + 1;
    return place;
  });
}
