// A frame is what one append puts into a partition's journal (D20): rows that were mapped by one sink version.
//
//   MF1 <producer> <sequence> <sinkVersion> <acceptedAtMs> <count> <bodyBytes> <crc32c>\n
//   <length of row 0>,<length of row 1>,…\n
//   <rows>
//
// A frame with keys (D24) begins with MF2, and has a line more between lengths and rows:
//
//   <key of row 0>,<key of row 1>,…\n
//
// A key is 22 characters of base64url, or `-` for a row without one; some row has one.
// producer: 16 lowercase hex digits, random per process. sequence: 1, 2, … per producer and partition. Numbers are
// decimal without leading zeros. A row's length counts its newline; bodyBytes is the sum of the lengths and does not
// count the second line. Rows are CSV: every value double-quoted, `"` doubled, `,` between values, `\n` at the end, no
// header line. crc32c: 8 lowercase hex digits over the first line up to, not including, the space before it, then the
// second line, and that of the keys, with their newlines, then the rows. All of it is text, so that `journals read`
// shows it.
//
// F1 A frame has at least one row, and no row is empty.
// F2 Limits are checked before anything is allocated by a number that a frame states.
import { assert, concatBytes, utf8 } from "@millrace/base";
import { crc32c } from "./frame-crc.ts";

/** All numbers are integers in [1, 2^53). */
export interface FrameHeader {
  /** 16 lowercase hex digits. */
  readonly producer: string;
  /** From 1 on; grows by one with each frame of the producer in the partition. */
  readonly sequence: number;
  readonly sinkVersion: number;
  /** Unix milliseconds at which the frame's first record was accepted. */
  readonly acceptedAtMs: number;
}

/** A decoded frame. `body` views the decoder's or the caller's memory: valid while the pushed chunk is unchanged. */
export interface Frame extends FrameHeader {
  /** Journal offsets of the frame, half-open. */
  readonly begin: number;
  readonly end: number;
  /** Journal offset of the first row's first byte. */
  readonly bodyBegin: number;
  readonly count: number;
  /** Bytes of each row with its newline. */
  readonly rowLengths: Uint32Array;
  /** Of each row, if it has one; undefined when none has. */
  readonly keys: readonly (string | undefined)[] | undefined;
  readonly body: Uint8Array;
}

export interface FrameLimits {
  readonly rowsMax: number;
  readonly bodyBytesMax: number;
}

/** A publisher seals frames far below this; a reader refuses what is beyond, before it allocates. */
export const FRAME_LIMITS: FrameLimits = { rowsMax: 65_536, bodyBytesMax: 16 * 1024 * 1024 };

/** First line, longest: magic, 16 digits, five numbers of 16 digits, 8 digits, blanks, newline. */
export const FRAME_LINE_BYTES_MAX = 128;

export const FRAME_MAGIC = "MF1";
/** Of a frame with keys. */
export const KEYED_FRAME_MAGIC = "MF2";

/**
 * The lines before the rows of the frame whose rows are `body`; the append's content is this followed by `body`.
 * @param rowLengths bytes of each row, the first `count` elements count; their sum is body.length
 * @param keys of the rows, as Frame has them
 */
export function encodeFrameHead(
  header: FrameHeader,
  rowLengths: ArrayLike<number>,
  count: number,
  body: Uint8Array,
  keys?: Frame["keys"],
): Uint8Array {
  assert(/^[0-9a-f]{16}$/.test(header.producer), "producer is 16 hex digits", { producer: header.producer });
  assert(count >= 1 && count <= FRAME_LIMITS.rowsMax, "1 <= rows <= limit", {
    count,
    limit: FRAME_LIMITS.rowsMax,
  });
  assert(body.length <= FRAME_LIMITS.bodyBytesMax, "body within limit", { bytes: body.length });
  for (const field of ["sequence", "sinkVersion", "acceptedAtMs"] as const) {
    assert(Number.isSafeInteger(header[field]) && header[field] >= 1, "header field >= 1", { field });
  }
  const magic = keys === undefined ? FRAME_MAGIC : KEYED_FRAME_MAGIC;
  const line =
    `${magic} ${header.producer} ${header.sequence} ${header.sinkVersion} ` +
    `${header.acceptedAtMs} ${count} ${body.length}`;
  const first = utf8(line);
  const rowLines = encodeLengths(rowLengths, count, body.length);
  const lengths = keys === undefined ? rowLines : concatBytes([rowLines, encodeKeys(keys, count)]);
  const crc = crc32c(body, crc32c(lengths, crc32c(first, 0)));
  const head = new Uint8Array(first.length + 10 + lengths.length);
  head.set(first, 0);
  head.set(utf8(` ${crc.toString(16).padStart(8, "0")}\n`), first.length);
  head.set(lengths, first.length + 10);
  return head;
}

function encodeKeys(keys: NonNullable<Frame["keys"]>, count: number): Uint8Array {
  assert(keys.length === count, "a key, or none, for each row", { keys: keys.length, count });
  assert(
    keys.some((key) => key !== undefined),
    "some row has a key",
    { count },
  );
  return utf8(`${keys.map((key) => key ?? "-").join(",")}\n`);
}

function encodeLengths(rowLengths: ArrayLike<number>, count: number, bodyBytes: number): Uint8Array {
  const out = new Uint8Array(count * (digitsOf(bodyBytes) + 1));
  let at = 0;
  let sum = 0;
  for (let i = 0; i < count; i++) {
    const length = rowLengths[i]!;
    assert(length >= 1, "a row is not empty", { row: i, length }); // F1
    sum += length;
    let end = at + digitsOf(length);
    const next = end;
    for (let rest = length; end > at; rest = Math.floor(rest / 10)) out[--end] = 48 + (rest % 10);
    out[next] = i + 1 === count ? 10 : 44;
    at = next + 1;
  }
  assert(sum === bodyBytes, "row lengths add up to the body", { sum, bodyBytes });
  return out.subarray(0, at);
}

/** @param n an integer in [0, 2^31) */
function digitsOf(n: number): number {
  let digits = 1;
  for (let bound = 10; n >= bound; bound *= 10) digits++;
  return digits;
}
