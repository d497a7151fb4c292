// Header of a log segment file, written twice and synced before the file gets its number for a name. So a numbered
// file without a readable header is corrupt, never torn (D2).
//
//   offset  size
//        0     4  magic "MRLS"
//        4     2  version, 1
//        6     2  zero
//        8     8  number of the segment
//       16     8  salt: random, new each time that the file is used (again)
//       24     4  CRC-32C of bytes 0..24; seeds the CRC of every group in the segment
//
// Little-endian. One copy stands at 0, one at 2048; groups begin at 4096. Because of salt and seed neither a record
// of the file's earlier life nor bytes that a client made up can pass for a group of this one.
import { assert } from "@millrace/base";
import { crc32c } from "./crc32c.ts";
import { getU64, setU64, viewOf } from "./little-endian.ts";

/** Where the first group stands. */
export const SEGMENT_HEADER_BYTES = 4096;
export const SALT_BYTES = 8;

const MAGIC = 0x534c524d;
const VERSION = 1;
const FIELDS_BYTES = 24;
const COPIES = [0, 2048] as const;

export interface SegmentHeader {
  readonly number: number;
  /** Seed of the CRC of every group in the segment. */
  readonly seed: number;
}

export type SegmentHeaderOutcome =
  | { readonly kind: "header"; readonly header: SegmentHeader }
  | { readonly kind: "newer"; readonly version: number }
  | { readonly kind: "invalid" };

/** The first SEGMENT_HEADER_BYTES of segment `number`, and the header that they hold. */
export function encodeSegmentHeader(
  number: number,
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
  }
  return { bytes, header: { number, seed: view.getUint32(FIELDS_BYTES, true) } };
}

/** Reads either copy. @param bytes the file's first SEGMENT_HEADER_BYTES, or fewer when it is shorter */
export function decodeSegmentHeader(bytes: Uint8Array): SegmentHeaderOutcome {
  const view = viewOf(bytes);
  for (const at of COPIES) {
    if (bytes.length < at + FIELDS_BYTES + 4 || view.getUint32(at, true) !== MAGIC) continue;
    const seed = view.getUint32(at + FIELDS_BYTES, true);
    if (crc32c(bytes.subarray(at, at + FIELDS_BYTES)) !== seed) continue;
    const version = view.getUint16(at + 4, true);
    if (version !== VERSION) return { kind: "newer", version };
    return { kind: "header", header: { number: getU64(view, at + 8), seed } };
  }
  return { kind: "invalid" };
}
