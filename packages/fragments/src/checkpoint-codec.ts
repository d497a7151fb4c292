// Payload of the broker's checkpoint (D1): every journal of this disk, also those without local bytes.
//
//   count of journals (4), then for each
//     length of the name (2), name in UTF-8, create revision (8), epoch (8),
//     open fragment: begin (8), end (8), SHA-1 (20), time of its first append (8), end of what the SHA-1 covers (8),
//     length of the registers (4), registers as in label-set-codec.ts,
//     count of closed fragments (4), for each: begin (8), end (8), SHA-1 (20), time of its first append (8)
//
// Little-endian; a SHA-1 of zeros is one that is not known. The version is the payload version of the checkpoint file,
// which also has the sum and the length.
import { hex, strictText, unhex, utf8, WireError } from "@millrace/base";
import { decodeLabelSet, encodeLabelSet } from "./label-set-codec.ts";
import type { FragmentImage, JournalImage } from "./spool-image.ts";

export const CHECKPOINT_VERSION = 1;

const SUM_BYTES = 20;
const FRAGMENT_BYTES = 44;
const TWO_32 = 2 ** 32;

export function encodeJournalImages(images: readonly JournalImage[]): Uint8Array {
  const out = new ImageWriter();
  out.u32(images.length);
  for (const image of images) {
    const name = utf8(image.journal);
    out.u16(name.length);
    out.bytes(name);
    out.u64(image.createRevision);
    out.u64(image.epoch);
    out.fragment(image);
    out.u64(image.sumEnd);
    const registers = encodeLabelSet(image.registers);
    out.u32(registers.length);
    out.bytes(registers);
    out.u32(image.fragments.length);
    for (const fragment of image.fragments) out.fragment(fragment);
  }
  return out.finish();
}

/** @throws {WireError} CORRUPT, naming the field */
export function decodeJournalImages(bytes: Uint8Array): JournalImage[] {
  const input = new ImageReader(bytes);
  const count = input.u32("count");
  const images: JournalImage[] = [];
  for (let i = 0; i < count; i++) {
    const journal = strictText(input.bytes(input.u16("name length"), "name"));
    if (journal === undefined) throw corrupt("name is not UTF-8");
    const createRevision = input.u64("create revision");
    const epoch = input.u64("epoch");
    const open = input.fragment();
    const sumEnd = input.u64("end of the sum");
    const registers = decodeLabelSet(input.bytes(input.u32("registers length"), "registers"));
    const closed = input.u32("fragment count");
    const fragments: FragmentImage[] = [];
    for (let k = 0; k < closed; k++) fragments.push(input.fragment());
    images.push({ journal, createRevision, epoch, ...open, sumEnd, registers, fragments });
  }
  input.end();
  return images;
}

class ImageWriter {
  #bytes = new Uint8Array(4096);
  #view = new DataView(this.#bytes.buffer);
  #used = 0;

  u16(value: number): void {
    this.#view.setUint16(this.#take(2), value, true);
  }

  u32(value: number): void {
    this.#view.setUint32(this.#take(4), value, true);
  }

  u64(value: number): void {
    const at = this.#take(8);
    this.#view.setUint32(at, value % TWO_32, true);
    this.#view.setUint32(at + 4, Math.floor(value / TWO_32), true);
  }

  bytes(value: Uint8Array): void {
    const at = this.#take(value.length);
    this.#bytes.set(value, at);
  }

  fragment({ begin, end, sum, firstAppendMs }: FragmentImage): void {
    this.u64(begin);
    this.u64(end);
    this.bytes(unhex(sum.padStart(2 * SUM_BYTES, "0"))!);
    this.u64(firstAppendMs);
  }

  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.#used);
  }

  #take(bytes: number): number {
    const at = this.#used;
    this.#used += bytes;
    if (this.#used > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(2 * this.#bytes.length, this.#used));
      larger.set(this.#bytes);
      this.#bytes = larger;
      this.#view = new DataView(larger.buffer);
    }
    return at;
  }
}

class ImageReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  u16(field: string): number {
    return this.#view.getUint16(this.#take(2, field), true);
  }

  u32(field: string): number {
    return this.#view.getUint32(this.#take(4, field), true);
  }

  u64(field: string): number {
    const at = this.#take(8, field);
    const value = this.#view.getUint32(at + 4, true) * TWO_32 + this.#view.getUint32(at, true);
    if (!Number.isSafeInteger(value)) throw corrupt(`${field} ${value} out of range (0 <= ${field} < 2^53)`);
    return value;
  }

  bytes(length: number, field: string): Uint8Array {
    const at = this.#take(length, field);
    return this.#bytes.subarray(at, at + length);
  }

  fragment(): FragmentImage {
    if (this.#at + FRAGMENT_BYTES > this.#bytes.length) throw corrupt("fragment is cut");
    const begin = this.u64("fragment begin");
    const end = this.u64("fragment end");
    const sum = hex(this.bytes(SUM_BYTES, "sum"));
    const firstAppendMs = this.u64("time of the first append");
    if (begin > end) throw corrupt(`fragment begin ${begin} exceeds its end ${end}`);
    return { begin, end, sum: /^0+$/.test(sum) ? "" : sum, firstAppendMs };
  }

  end(): void {
    if (this.#at !== this.#bytes.length)
      throw corrupt(`${this.#bytes.length - this.#at} bytes follow the last journal`);
  }

  #take(bytes: number, field: string): number {
    const at = this.#at;
    if (at + bytes > this.#bytes.length) throw corrupt(`${field} is cut`);
    this.#at += bytes;
    return at;
  }
}

function corrupt(what: string): WireError {
  return new WireError("CORRUPT", `checkpoint: ${what}`);
}
