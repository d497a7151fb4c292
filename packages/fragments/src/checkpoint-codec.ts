// Payload of the broker's checkpoint (D1): every journal of this disk, also those without local bytes.
//
//   mark of the coordination store (since version 2): 0, or 1 with cluster id (8), revision (8), token (8)
//   count of journals (4), then for each
//     length of the name (2), name in UTF-8, create revision (8), epoch (8),
//     open fragment: begin (8), end (8), SHA-1 (20), time of its first append (8), end of what the SHA-1 covers (8),
//     count of marks of registers (4), for each: from (8), whether they are known (1), length (4), registers as in
//     label-set-codec.ts; up to version 2 those at the end only: length (4), registers,
//     count of closed fragments (4), for each: begin (8), end (8), SHA-1 (20), time of its first append (8)
//
// Little-endian; a SHA-1 of zeros is one that is not known. The version is the payload version of the checkpoint file,
// which also has the sum and the length.
import { hex, strictText, unhex, utf8, WireError } from "@millrace/base";
import type { LabelSet } from "@millrace/protocol";
import { decodeLabelSet, encodeLabelSet } from "./label-set-codec.ts";
import { REGISTER_MARKS_MAX } from "./spool-limits.ts";
import type { RegisterMark } from "./spool-registers.ts";
import type { FragmentImage, JournalImage, StoreMark } from "./spool-image.ts";

export const CHECKPOINT_VERSION = 3;

const SUM_BYTES = 20;
const FRAGMENT_BYTES = 44;
const TWO_32 = 2 ** 32;

export interface CheckpointContent {
  readonly mark: StoreMark | undefined;
  readonly journals: readonly JournalImage[];
}

export function encodeCheckpoint({ mark, journals }: CheckpointContent): Uint8Array {
  const out = new ImageWriter();
  out.bytes(Uint8Array.of(mark === undefined ? 0 : 1));
  if (mark !== undefined) {
    out.u64(mark.clusterId);
    out.u64(mark.revision);
    out.u64(mark.token);
  }
  out.u32(journals.length);
  for (const image of journals) {
    const name = utf8(image.journal);
    out.u16(name.length);
    out.bytes(name);
    out.u64(image.createRevision);
    out.u64(image.epoch);
    out.fragment(image);
    out.u64(image.sumEnd);
    out.u32(image.marks.length);
    for (const mark of image.marks) out.mark(mark);
    out.u32(image.fragments.length);
    for (const fragment of image.fragments) out.fragment(fragment);
  }
  return out.finish();
}

/** @throws {WireError} CORRUPT, naming the field */
export function decodeCheckpoint(version: number, bytes: Uint8Array): CheckpointContent {
  if (version < 1 || version > CHECKPOINT_VERSION) throw corrupt(`version ${version} is not known`);
  const input = new ImageReader(bytes);
  const mark = version >= 2 ? decodeMark(input) : undefined;
  const journals = decodeImages(input, version);
  input.end();
  return { mark, journals };
}

function decodeMark(input: ImageReader): StoreMark | undefined {
  const flag = input.bytes(1, "mark")[0]!;
  if (flag > 1) throw corrupt(`mark ${flag} is neither 0 nor 1`);
  if (flag === 0) return undefined;
  const clusterId = input.bigU64("cluster id");
  return { clusterId, revision: input.u64("revision of the mark"), token: input.bigU64("token") };
}

function decodeImages(input: ImageReader, version: number): JournalImage[] {
  const count = input.u32("count");
  const images: JournalImage[] = [];
  for (let i = 0; i < count; i++) {
    const journal = strictText(input.bytes(input.u16("name length"), "name"));
    if (journal === undefined) throw corrupt("name is not UTF-8");
    const createRevision = input.u64("create revision");
    const epoch = input.u64("epoch");
    const open = input.fragment();
    const sumEnd = input.u64("end of the sum");
    const marks =
      version >= 3 ? input.marks() : [{ from: open.end, registers: input.registers(), isKnown: true }];
    const closed = input.u32("fragment count");
    const fragments: FragmentImage[] = [];
    for (let k = 0; k < closed; k++) fragments.push(input.fragment());
    images.push({ journal, createRevision, epoch, ...open, sumEnd, marks, fragments });
  }
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

  u64(value: number | bigint): void {
    const at = this.#take(8);
    if (typeof value === "bigint") return this.#view.setBigUint64(at, value, true);
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

  mark({ from, registers, isKnown }: RegisterMark): void {
    this.u64(from);
    this.bytes(Uint8Array.of(isKnown ? 1 : 0));
    const labels = encodeLabelSet(registers);
    this.u32(labels.length);
    this.bytes(labels);
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

  bigU64(field: string): bigint {
    return this.#view.getBigUint64(this.#take(8, field), true);
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

  registers(): LabelSet {
    return decodeLabelSet(this.bytes(this.u32("registers length"), "registers"));
  }

  marks(): RegisterMark[] {
    const count = this.u32("count of marks");
    if (count < 1 || count > REGISTER_MARKS_MAX)
      throw corrupt(`${count} marks of registers, 1 to ${REGISTER_MARKS_MAX} expected`);
    const marks: RegisterMark[] = [];
    for (let i = 0; i < count; i++) {
      const from = this.u64("from of a mark");
      const flag = this.bytes(1, "whether registers are known")[0]!;
      if (flag > 1) throw corrupt(`whether registers are known: ${flag} is neither 0 nor 1`);
      if (i > 0 && from <= marks[i - 1]!.from)
        throw corrupt(`mark from ${from} does not follow the one before`);
      marks.push({ from, registers: this.registers(), isKnown: flag === 1 });
    }
    return marks;
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
