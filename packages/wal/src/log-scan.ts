// Reads a log from a position on (D2). It only reads: whoever finds corruption has changed nothing.
//
//   S1  Groups are taken in order of sequence, without gaps, while they are valid.
//   S2  At the first place that is not valid the log goes on in the next segment that has a valid first group. It must
//       have the sequence that is expected; a larger one means that groups are missing that had been synced.
//   S3  A later segment's first sequence voids that and larger ones in earlier segments: after a write that failed
//       halfway the log went on there.
//   S4  Where no segment goes on, the log ends: its tail was torn. But if any later valid group says that the place, or
//       the place in front of itself, had been synced, it is corruption, and the error names file and offset.
//
// What must be there at all, log-whole.ts says.
import { WireError } from "@millrace/base";
import type { Disk } from "./disk.ts";
import {
  decodeGroup,
  GROUP_HEADER_BYTES,
  GROUP_MAGIC_BYTES,
  groupBytes,
  visitRecords,
} from "./group-codec.ts";
import type { Group } from "./group-codec.ts";
import { parseLogFile } from "./log-files.ts";
import { NO_GROUP_OFFSET, refuseMissingGroups, refuseShortSegment } from "./log-whole.ts";
import { decodeSegmentHeader, SEGMENT_HEADER_BYTES, type SegmentHeader } from "./segment-codec.ts";

/** Enough for header and first group of most segments in one read. */
const PROBE_BYTES = 64 * 1024;
const READ_BYTES = 4 * 1024 * 1024;

export interface ScannedSegment {
  readonly path: string;
  readonly bytes: number;
  readonly header: SegmentHeader;
  /** Sequence of its first group; undefined when it has none. */
  readonly first: number | undefined;
  /** Sequence of its last group that counts, when the scan went through it. */
  last: number | undefined;
}

export interface LogScan {
  readonly dir: string;
  /** Ascending by number. */
  readonly segments: readonly ScannedSegment[];
  /** Recycled segments: path and length. */
  readonly spares: readonly { readonly path: string; readonly bytes: number }[];
  /** What the next group gets. */
  readonly nextSequence: number;
  /**
   * The last group, when it is wanted. Whoever wrote it may have died before its sync, or because of it: what is read
   * now may be in the kernel's memory only.
   */
  readonly tail: { readonly sequence: number; readonly bytes: Uint8Array } | undefined;
}

/** @param sequence of the record's group @param offset of the record in the file `path` */
export type RecordVisitor = (
  record: Uint8Array,
  place: { readonly sequence: number; readonly path: string; readonly offset: number },
) => void;

/**
 * Reads the groups from `from` on. Records of earlier groups are visited too, as far as they share a segment with a
 * later one: every segment explains itself.
 * @param from first sequence that is wanted: 1, or one more than what a checkpoint covers
 * @param visit must not change `record`
 * @param afterSegment awaited after the records of each segment: the place for slow work on what was visited
 * @throws {WireError} CORRUPT, naming file and offset
 */
export async function scanLog(
  disk: Disk,
  dir: string,
  from: number,
  visit: RecordVisitor,
  signal: AbortSignal,
  afterSegment?: () => Promise<void>,
): Promise<LogScan> {
  const { segments, spares } = await listSegments(disk, dir);
  const begin = firstWanted(segments, from);
  let expected: number | undefined;
  /** Where the log stopped being valid, with the sequence that was expected there. */
  let stop: { segment: ScannedSegment; bytes: Uint8Array; offset: number } | undefined;
  let tail: LogScan["tail"];
  for (let i = begin; i < segments.length; i++) {
    signal.throwIfAborted();
    const segment = segments[i]!;
    const limit = voidFrom(segments, i);
    if (segment.first === undefined || segment.first >= limit) continue; // S3
    if (expected === undefined) {
      // What should be there begins in a segment that has no valid group, if there is one.
      const before = segments.slice(0, i).findLast(({ first }) => first === undefined);
      if (segment.first > from) throw missing((before ?? segment).path, SEGMENT_HEADER_BYTES, from, segment);
    } else if (segment.first > Math.max(expected, from) && stop !== undefined) {
      // S2; what is missing below `from` is covered
      const between = segments.slice(segments.indexOf(stop.segment) + 1, i);
      const broken = await beginningBroken(disk, between);
      throw broken === undefined
        ? missing(stop.segment.path, stop.offset, expected, segment)
        : missing(broken.path, SEGMENT_HEADER_BYTES, expected, segment);
    }
    const bytes = await readSegment(disk, segment);
    const { last, end } = visitSegment(segment, bytes, limit, visit);
    expected = (segment.last ?? segment.first - 1) + 1;
    stop = { segment, bytes, offset: end };
    if (last !== undefined)
      tail = { sequence: last.sequence, bytes: bytes.subarray(last.begin - GROUP_HEADER_BYTES, end) };
    await afterSegment?.();
  }
  await refuseLaterClaims(disk, segments, stop, { expected: expected ?? 0, from });
  const { path, offset } = { path: stop?.segment.path, offset: stop?.offset ?? NO_GROUP_OFFSET };
  refuseMissingGroups(dir, segments, { expected, from, path, offset });
  const wanted = tail !== undefined && tail.sequence >= from;
  return {
    dir,
    segments,
    spares,
    nextSequence: Math.max(from, expected ?? 1),
    tail: wanted ? tail : undefined,
  };
}

async function listSegments(
  disk: Disk,
  dir: string,
): Promise<Pick<LogScan, "spares"> & { segments: ScannedSegment[] }> {
  const segments: ScannedSegment[] = [];
  const spares: { path: string; bytes: number }[] = [];
  for (const entry of await disk.list(dir)) {
    const file = parseLogFile(entry.name);
    const path = `${dir}/${entry.name}`;
    if (entry.kind !== "file") continue;
    if (file.kind === "spare") spares.push({ path, bytes: entry.bytes });
    if (file.kind === "segment") segments.push(await probe(disk, path, entry.bytes, file.number));
  }
  segments.sort((a, b) => a.header.number - b.header.number);
  return { segments, spares };
}

async function probe(disk: Disk, path: string, bytes: number, number: number): Promise<ScannedSegment> {
  let head = await disk.read(path, 0, Math.min(bytes, PROBE_BYTES));
  const outcome = decodeSegmentHeader(head);
  if (outcome.kind === "newer") throw newer(path, 0, outcome.version);
  if (outcome.kind === "invalid" || outcome.header.number !== number) {
    throw new WireError("CORRUPT", `${path}, offset 0: the header of this log segment is not readable`, {
      facts: { path, offset: 0 },
    });
  }
  const { header } = outcome;
  refuseShortSegment(path, bytes, header);
  const length = groupBytes(head, SEGMENT_HEADER_BYTES, header);
  if (
    length !== undefined &&
    SEGMENT_HEADER_BYTES + length > head.length &&
    SEGMENT_HEADER_BYTES + length <= bytes
  ) {
    head = await disk.read(path, 0, SEGMENT_HEADER_BYTES + length);
  }
  const group = groupAt(path, head, SEGMENT_HEADER_BYTES, header);
  return { path, bytes, header, first: group?.sequence, last: undefined };
}

/**
 * Index of the last segment that begins before `from`, or else of the first. A segment that begins with `from` itself
 * may begin with a copy (W6 of write-ahead-log.ts), which relies on what stands in the segment before it.
 */
function firstWanted(segments: readonly ScannedSegment[], from: number): number {
  let wanted = 0;
  for (const [i, segment] of segments.entries()) {
    if (segment.first !== undefined && segment.first < from) wanted = i;
  }
  return wanted;
}

async function readSegment(disk: Disk, segment: ScannedSegment): Promise<Uint8Array> {
  const bytes = new Uint8Array(segment.bytes);
  let at = 0;
  while (at < bytes.length) {
    const chunk = await disk.read(segment.path, at, Math.min(READ_BYTES, bytes.length - at));
    if (chunk.length === 0) break;
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes.subarray(0, at);
}

/** Smallest first sequence of the segments after `index` (S3). */
function voidFrom(segments: readonly ScannedSegment[], index: number): number {
  let limit = Number.POSITIVE_INFINITY;
  for (const segment of segments.slice(index + 1)) limit = Math.min(limit, segment.first ?? limit);
  return limit;
}

/** The segment, if there is one, whose first group is broken and which has others. */
async function beginningBroken(
  disk: Disk,
  segments: readonly ScannedSegment[],
): Promise<ScannedSegment | undefined> {
  for (const segment of segments) {
    if (segment.first !== undefined) continue;
    const bytes = await readSegment(disk, segment);
    if (findGroup(segment, bytes, SEGMENT_HEADER_BYTES, () => true) !== undefined) return segment;
  }
  return undefined;
}

/** Visits the groups that count. @returns the offset at which the segment stops being valid */
function visitSegment(
  segment: ScannedSegment,
  bytes: Uint8Array,
  limit: number,
  visit: RecordVisitor,
): { last: Group | undefined; end: number } {
  const { path, header } = segment;
  let at = SEGMENT_HEADER_BYTES;
  let expected = segment.first!;
  let last: Group | undefined;
  for (;;) {
    const group = groupAt(path, bytes, at, header);
    if (group === undefined || group.sequence !== expected || expected >= limit) return { last, end: at };
    const { sequence } = group;
    const exact = visitRecords(bytes, group, (record, offset) => visit(record, { sequence, path, offset }));
    if (!exact) {
      throw new WireError(
        "CORRUPT",
        `${path}, offset ${at}: the records of group ${sequence} do not fill it`,
        {
          facts: { path, offset: at },
        },
      );
    }
    segment.last = sequence;
    last = group;
    expected++;
    at = group.end;
  }
}

function groupAt(path: string, bytes: Uint8Array, at: number, header: SegmentHeader): Group | undefined {
  const outcome = decodeGroup(bytes, at, header);
  if (outcome.kind === "newer") throw newer(path, at, outcome.version);
  return outcome.kind === "group" ? outcome.group : undefined;
}

/**
 * S4: looks for any wanted group behind the end of the log that says that this end had been synced.
 * @param expected at the end; 0 when nothing was valid: then whatever stands there is behind it
 */
async function refuseLaterClaims(
  disk: Disk,
  segments: readonly ScannedSegment[],
  stop: { segment: ScannedSegment; bytes: Uint8Array; offset: number } | undefined,
  { expected, from }: { expected: number; from: number },
): Promise<void> {
  for (const segment of segments) {
    if (stop !== undefined && segment.header.number < stop.segment.header.number) continue;
    const at = segment === stop?.segment ? stop : undefined;
    const bytes = at?.bytes ?? (await readSegment(disk, segment));
    const offset = at?.offset ?? SEGMENT_HEADER_BYTES;
    // Either it claims the end itself; or it claims the group in front of it, whose place is broken though an older
    // copy of that group was found (W6 of write-ahead-log.ts).
    const claims = ({ sequence, synced }: Group): boolean =>
      sequence >= from && (synced >= expected || (sequence >= expected && synced >= sequence - 1));
    const claim = findGroup(segment, bytes, offset, claims);
    if (claim === undefined) continue;
    const { path } = segment;
    throw new WireError(
      "CORRUPT",
      `${path}, offset ${offset}: the log is broken here, though group ${claim.sequence} at offset ` +
        `${claim.begin - GROUP_HEADER_BYTES} says that it had been synced up to group ${claim.synced}`,
      { facts: { path, offset } },
    );
  }
}

function findGroup(
  segment: ScannedSegment,
  bytes: Uint8Array,
  from: number,
  matches: (group: Group) => boolean,
): Group | undefined {
  const haystack = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = haystack.indexOf(GROUP_MAGIC_BYTES, from);
  while (at >= 0) {
    const outcome = decodeGroup(bytes, at, segment.header);
    if (outcome.kind === "group" && matches(outcome.group)) return outcome.group;
    at = haystack.indexOf(GROUP_MAGIC_BYTES, at + 1);
  }
  return undefined;
}

function missing(path: string, offset: number, expected: number, found: ScannedSegment): WireError {
  return new WireError(
    "CORRUPT",
    `${path}, offset ${offset}: group ${expected} of the log is missing or broken; ${found.path} begins with ` +
      `group ${found.first}`,
    { facts: { path, offset } },
  );
}

function newer(path: string, offset: number, version: number): WireError {
  return new WireError(
    "CORRUPT",
    `${path}, offset ${offset}: log format ${version} is newer than this program`,
    {
      facts: { path, offset, version },
    },
  );
}
