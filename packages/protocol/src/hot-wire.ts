// Messages of the hot paths, written and read by hand: appends are many and small, reads are large. What the tables of
// the messages say stays the truth; the tests compare byte for byte, and what is not plain falls back to them.
import { encode } from "@millrace/protobuf";
import type { AppendResponse } from "./append-message.ts";
import { encodeAppendResponse } from "./append-message.ts";
import { COMPRESSION_CODEC } from "./enums.ts";
import { encodeLabelSet, type LabelSet } from "./label-set.ts";
import { bytesField, intField, varint } from "./plain-fields.ts";
import { headerMessage, type Header } from "./route.ts";

/** What an AppendRequest is, when it is no more than that. `other`: decode it. */
export type PlainAppendRequest =
  | { readonly kind: "chunk"; readonly begin: number }
  | { readonly kind: "preamble"; readonly begin: number }
  | { readonly kind: "intent" | "other" };

const INTENT: PlainAppendRequest = { kind: "intent" };
const OTHER: PlainAppendRequest = { kind: "other" };
/** Tags: field 2 (journal) and field 4 (content), length-delimited. */
const JOURNAL = 0x12;
const CONTENT = 0x22;

/** Whether `bytes` are nothing but one journal's name, or nothing but content, and where that begins. */
export function plainAppendRequest(bytes: Uint8Array): PlainAppendRequest {
  const { length } = bytes;
  if (length === 0) return INTENT;
  const tag = bytes[0];
  if ((tag !== JOURNAL && tag !== CONTENT) || length < 2) return OTHER;
  let size = 0;
  let at = 1;
  for (let shift = 0; ; shift += 7) {
    if (shift > 28 || at === length) return OTHER;
    const digit = bytes[at++]!;
    size += (digit & 0x7f) * 2 ** shift;
    if (digit < 0x80) break;
  }
  if (size !== length - at || size === 0) return OTHER;
  return { kind: tag === JOURNAL ? "preamble" : "chunk", begin: at };
}

/** Fields in front of a ReadResponse's content: its offset, and tag and length of the content. */
const READ_HEAD_BYTES_MAX = 1 + 8 + 1 + 5;
const readHead = new Uint8Array(READ_HEAD_BYTES_MAX);

/**
 * What stands before `contentBytes` > 0 bytes of content in a ReadResponse that is only a chunk.
 * @returns a view that is good until the next call
 */
export function readChunkHead(offset: number, contentBytes: number): Uint8Array {
  let at = 0;
  if (offset !== 0) {
    readHead[at++] = 0x18;
    at = varint(readHead, at, offset);
  }
  readHead[at++] = 0x3a;
  at = varint(readHead, at, contentBytes);
  return readHead.subarray(0, at);
}

const encoder = new TextEncoder();
const SUM_BYTES = 9 + 9 + 5;

/** Encodes answers of appends; keeps what it encoded of headers and names, which many of them share. */
export class AppendAnswers {
  readonly #headers = new WeakMap<Header, Uint8Array>();
  readonly #registers = new WeakMap<LabelSet, Uint8Array>();
  #name = { journal: "", bytes: new Uint8Array(0) };
  #out = new Uint8Array(1024);

  /** @returns a view that is good until the next call */
  encode(answer: AppendResponse): Uint8Array {
    const { status, header, commit, registers, totalChunks, delayedChunks } = answer;
    // A word of the sum that is zero would be left out; seven zeros in a row are rare enough.
    const isPlain =
      status === "OK" &&
      commit !== undefined &&
      registers !== undefined &&
      answer.storeHealthError === "" &&
      commit.backingStore === "" &&
      commit.modTime === 0 &&
      commit.pathPostfix === "" &&
      commit.sum.length === 40 &&
      !commit.sum.includes("0000000");
    if (!isPlain) return encodeAppendResponse(answer);
    const head = kept(this.#headers, header, (value) => encode(headerMessage, value));
    const labels = kept(this.#registers, registers, encodeLabelSet);
    const name = this.#nameOf(commit.journal);
    const most = head.length + labels.length + name.length + 128;
    if (this.#out.length < most) this.#out = new Uint8Array(2 * most);
    const out = this.#out;
    let at = bytesField(out, 0, 0x12, head);
    const codec = COMPRESSION_CODEC[commit.compressionCodec];
    out[at++] = 0x1a;
    at = varint(out, at, fragmentLength(name.length, commit.begin, commit.end, codec));
    if (name.length > 0) at = bytesField(out, at, 0x0a, name);
    at = intField(out, at, 0x10, commit.begin);
    at = intField(out, at, 0x18, commit.end);
    out[at++] = 0x22;
    out[at++] = SUM_BYTES;
    at = sha1(out, at, commit.sum);
    at = intField(out, at, 0x28, codec);
    at = bytesField(out, at, 0x22, labels);
    at = intField(out, at, 0x28, totalChunks);
    at = intField(out, at, 0x30, delayedChunks);
    return out.subarray(0, at);
  }

  #nameOf(journal: string): Uint8Array {
    if (this.#name.journal !== journal) this.#name = { journal, bytes: encoder.encode(journal) };
    return this.#name.bytes;
  }
}

function kept<K extends object>(
  known: WeakMap<K, Uint8Array>,
  value: K,
  make: (value: K) => Uint8Array,
): Uint8Array {
  let bytes = known.get(value);
  if (bytes === undefined) known.set(value, (bytes = make(value)));
  return bytes;
}

function fragmentLength(nameBytes: number, begin: number, end: number, codec: number): number {
  const name = nameBytes === 0 ? 0 : 1 + varintBytes(nameBytes) + nameBytes;
  return name + intBytes(begin) + intBytes(end) + 2 + SUM_BYTES + intBytes(codec);
}

function intBytes(value: number): number {
  return value === 0 ? 0 : 1 + varintBytes(value);
}

function varintBytes(value: number): number {
  let bytes = 1;
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes++;
  return bytes;
}

/** The three words of the digest, each little-endian as protobuf's fixed integers are. */
function sha1(out: Uint8Array, at: number, sum: string): number {
  const second = sha1Word(out, sha1Word(out, at, 0x09, sum, 0, 8), 0x11, sum, 8, 16);
  return sha1Word(out, second, 0x1d, sum, 16, 20);
}

function sha1Word(
  out: Uint8Array,
  from: number,
  tag: number,
  sum: string,
  begin: number,
  end: number,
): number {
  let at = from;
  out[at++] = tag;
  for (let byte = end - 1; byte >= begin; byte--) {
    out[at++] = (digit(sum, 2 * byte) << 4) | digit(sum, 2 * byte + 1);
  }
  return at;
}

/** Of a lowercase hex digit. */
function digit(sum: string, at: number): number {
  const code = sum.charCodeAt(at);
  return code < 0x3a ? code - 0x30 : code - 0x57;
}
