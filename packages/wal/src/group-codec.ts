// A group: what one write and one sync commit (D2). All of its records exist, or none.
//
//   offset  size
//        0     4  magic "MRLG"
//        4     4  CRC-32C of bytes 8..40+length, seeded by the segment's header
//        8     2  version, 1
//       10     2  zero
//       12     4  length of the records
//       16     8  number of the segment
//       24     8  sequence: 1, 2, 3, … over all segments
//       32     8  synced: when this group was written, all groups up to this sequence were known to be synced
//       40        records: each a length (4) and that many bytes
//
// Little-endian. An empty group (length 0) says only how far the log is synced.
import { assert } from "@millrace/base";
import { crc32c } from "./crc32c.ts";
import { getU64, setU64, viewOf } from "./little-endian.ts";
import type { SegmentHeader } from "./segment-codec.ts";

export const GROUP_HEADER_BYTES = 40;
/** What a record takes beyond its own bytes. */
export const RECORD_HEADER_BYTES = 4;
export const GROUP_MAGIC_BYTES: Uint8Array = new Uint8Array([0x4d, 0x52, 0x4c, 0x47]);

const MAGIC = 0x474c524d;
const VERSION = 1;

export interface Group {
  readonly sequence: number;
  readonly synced: number;
  /** Where its records stand. */
  readonly begin: number;
  /** Where the next group begins. */
  readonly end: number;
}

export type GroupOutcome =
  | { readonly kind: "group"; readonly group: Group }
  | { readonly kind: "newer"; readonly version: number }
  | { readonly kind: "invalid" };

/** Fills the header in front of the records in `bytes`, which is the whole group. */
export function sealGroup(
  bytes: Uint8Array,
  segment: SegmentHeader,
  { sequence, synced }: { sequence: number; synced: number },
): void {
  assert(synced < sequence, "a group follows what is synced", { synced, sequence });
  const view = viewOf(bytes);
  view.setUint32(0, MAGIC, true);
  view.setUint16(8, VERSION, true);
  view.setUint16(10, 0, true);
  view.setUint32(12, bytes.length - GROUP_HEADER_BYTES, true);
  setU64(view, 16, segment.number);
  setU64(view, 24, sequence);
  setU64(view, 32, synced);
  view.setUint32(4, crc32c(bytes.subarray(8), segment.seed), true);
}

/** How long the group at `at` says it is, if there is a group of this segment, before its sum is checked. */
export function groupBytes(bytes: Uint8Array, at: number, segment: SegmentHeader): number | undefined {
  if (at + GROUP_HEADER_BYTES > bytes.length) return undefined;
  const view = viewOf(bytes);
  if (view.getUint32(at, true) !== MAGIC || getU64(view, at + 16) !== segment.number) return undefined;
  return GROUP_HEADER_BYTES + view.getUint32(at + 12, true);
}

/** The group at offset `at` of the segment's bytes. */
export function decodeGroup(bytes: Uint8Array, at: number, segment: SegmentHeader): GroupOutcome {
  const length = groupBytes(bytes, at, segment);
  if (length === undefined || at + length > bytes.length) return { kind: "invalid" };
  const view = viewOf(bytes);
  const end = at + length;
  if (crc32c(bytes.subarray(at + 8, end), segment.seed) !== view.getUint32(at + 4, true))
    return { kind: "invalid" };
  const version = view.getUint16(at + 8, true);
  if (version !== VERSION || view.getUint16(at + 10, true) !== 0) return { kind: "newer", version };
  const sequence = getU64(view, at + 24);
  const synced = getU64(view, at + 32);
  return { kind: "group", group: { sequence, synced, begin: at + GROUP_HEADER_BYTES, end } };
}

/**
 * Calls `visit` with each record of a decoded group.
 * @returns false when the records do not fill the group exactly: a writer's mistake, since the sum was right
 */
export function visitRecords(
  bytes: Uint8Array,
  group: Group,
  visit: (record: Uint8Array, offset: number) => void,
): boolean {
  const view = viewOf(bytes);
  let at = group.begin;
  while (at < group.end) {
    if (at + RECORD_HEADER_BYTES > group.end) return false;
    const begin = at + RECORD_HEADER_BYTES;
    const end = begin + view.getUint32(at, true);
    if (end > group.end) return false;
    visit(bytes.subarray(begin, end), begin);
    at = end;
  }
  return true;
}
