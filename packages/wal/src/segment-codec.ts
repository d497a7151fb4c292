// Header of a log segment file, written twice and synced before the file gets its number for a name. So a numbered
// file without a readable header is corrupt, never torn, and so is one that is shorter than its header says (D2).
//
//   offset  size
//        0     4  magic "MRLS"
//        4     2  version, 2
//        6     2  zero
//        8     8  number of the segment
//       16     8  salt: random, new each time that the file is used (again)
//       24     4  CRC-32C of bytes 0..24; seeds the CRC of every group in the segment
//       28     4  zero
//       32     8  length of the file
//       40     8  begin: when the segment was made, all groups below this sequence were synced
//       48     8  number of the newest segment when this one was made: the one in use; 0 when there was none
//       56     4  CRC-32C of bytes 0..56
//
// Little-endian. One copy stands at 0, one at 2048; groups begin at 4096. Because of salt and seed neither a record
// of the file's earlier life nor bytes that a client made up can pass for a group of this one. Version 1 ends after
// 28 bytes; such segments are read, but of them it cannot be told whether they are whole.
import { assert } from "@millrace/base";
import { crc32c } from "./crc32c.ts";
import { getU64, setU64, viewOf } from "./little-endian.ts";

/** Where the first group stands. */
export const SEGMENT_HEADER_BYTES = 4096;
export const SALT_BYTES = 8;

const MAGIC = 0x534c524d;
const VERSION = 2;
/** What every version has: a program tells by it that a segment is newer than itself. */
const FIELDS_BYTES = 24;
const FIRST_VERSION_BYTES = FIELDS_BYTES + 4;
const ALL_FIELDS_BYTES = 56;
const COPIES = [0, 2048] as const;

/** How a segment was made; it tells that something is missing. */
export interface SegmentOrigin {
  /** Length of the file, which it has since it got its name. */
  readonly bytes: number;
  /** All groups below this sequence were synced by then. */
  readonly begin: number;
  /** Number of the segment that was the newest by then; 0: there was none. */
  readonly previous: number;
}

export interface SegmentHeader {
  readonly number: number;
  /** Seed of the CRC of every group in the segment. */
  readonly seed: number;
  /** Undefined in version 1. */
  readonly origin: SegmentOrigin | undefined;
}

export type SegmentHeaderOutcome =
  | { readonly kind: "header"; readonly header: SegmentHeader }
  | { readonly kind: "newer"; readonly version: number }
  | { readonly kind: "invalid" };

/** The first SEGMENT_HEADER_BYTES of segment `number`, and the header that they hold. */
export function encodeSegmentHeader(
  number: number,
  origin: SegmentOrigin,
  salt: Uint8Array,
): { bytes: Uint8Array; header: SegmentHeader } {
  assert(salt.length === SALT_BYTES, "a salt has 8 bytes", { bytes: salt.length });
  const bytes = new Uint8Array(SEGMENT_HEADER_BYTES);
  const view = viewOf(bytes);
  for (const at of COPIES) {
    view.setUint32(at, MAGIC, true);
    view.setUint16(at + 4, VERSION, true);
    setU64(view, at + 8, number);
    bytes.set(salt, at + 16);
    view.setUint32(at + FIELDS_BYTES, crc32c(bytes.subarray(at, at + FIELDS_BYTES)), true);
    setU64(view, at + 32, origin.bytes);
    setU64(view, at + 40, origin.begin);
    setU64(view, at + 48, origin.previous);
    view.setUint32(at + ALL_FIELDS_BYTES, crc32c(bytes.subarray(at, at + ALL_FIELDS_BYTES)), true);
  }
  return { bytes, header: { number, seed: view.getUint32(FIELDS_BYTES, true), origin } };
}

/** Reads either copy. @param bytes the file's first SEGMENT_HEADER_BYTES, or fewer when it is shorter */
export function decodeSegmentHeader(bytes: Uint8Array): SegmentHeaderOutcome {
  const view = viewOf(bytes);
  for (const at of COPIES) {
    if (bytes.length < at + FIRST_VERSION_BYTES || view.getUint32(at, true) !== MAGIC) continue;
    const seed = view.getUint32(at + FIELDS_BYTES, true);
    if (crc32c(bytes.subarray(at, at + FIELDS_BYTES)) !== seed) continue;
    const version = view.getUint16(at + 4, true);
    if (version > VERSION) return { kind: "newer", version };
    const number = getU64(view, at + 8);
    if (version === 1) return { kind: "header", header: { number, seed, origin: undefined } };
    const origin = originAt(bytes, view, at);
    if (origin !== undefined) return { kind: "header", header: { number, seed, origin } };
  }
  return { kind: "invalid" };
}

function originAt(bytes: Uint8Array, view: DataView, at: number): SegmentOrigin | undefined {
  const end = at + ALL_FIELDS_BYTES;
  if (bytes.length < end + 4 || view.getUint32(end, true) !== crc32c(bytes.subarray(at, end)))
    return undefined;
  return { bytes: getU64(view, at + 32), begin: getU64(view, at + 40), previous: getU64(view, at + 48) };
}
