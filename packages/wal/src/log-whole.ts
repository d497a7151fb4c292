// What must be there of a log: a start that finds less is refused (D2).
//
//   G1  A segment is as long as its header says: it got its name when all of it had been synced.
//   G2  The log reaches to the owner's checkpoint: what that covers was synced, and recycling leaves the newest
//       segment that has a group.
//   G3  The log reaches to the begin of every segment: what stands below was synced when the segment was made.
//   G4  The segment that was in use when the newest one was made is there, unless the newest one has groups itself:
//       then their sequences tell.
//
// It cannot tell that the segment in use is missing when the next one was not made yet and no checkpoint covers any of
// its groups: a few tens of milliseconds after each start and each change of segment, longer on a full disk. Nor does
// it tell more of segments of version 1 than that sequences have gaps.
import { WireError } from "@millrace/base";
import { segmentName } from "./log-files.ts";
import type { ScannedSegment } from "./log-scan.ts";
import { SEGMENT_HEADER_BYTES, type SegmentHeader } from "./segment-codec.ts";

/** G1. @param bytes length of the file @throws {WireError} CORRUPT */
export function refuseShortSegment(path: string, bytes: number, { origin }: SegmentHeader): void {
  if (origin === undefined || bytes >= origin.bytes) return;
  throw corrupt(path, bytes, `this log segment ends here, but was made ${origin.bytes} bytes long`);
}

export interface LogEnd {
  /** Sequence behind the last group; undefined when there is no group at all. */
  readonly expected: number | undefined;
  /** First sequence that the owner's checkpoint does not cover. */
  readonly from: number;
  /** Where that last group ends. */
  readonly path: string | undefined;
  readonly offset: number;
}

/** G2 to G4. @param segments ascending by number @throws {WireError} CORRUPT */
export function refuseMissingGroups(dir: string, segments: readonly ScannedSegment[], end: LogEnd): void {
  const { expected, from } = end;
  const newest = segments.at(-1);
  if (newest === undefined) {
    if (from > 1)
      throw corrupt(dir, 0, `no log segment is here, but group ${from - 1} of the log was synced`);
    return;
  }
  const path = end.path ?? newest.path;
  if (expected !== undefined && expected < from) {
    throw corrupt(
      path,
      end.offset,
      `the log ends before group ${expected}, but the checkpoint covers ${from - 1}`,
    );
  }
  const origins = segments.map(({ header }) => header.origin);
  const begin = Math.max(...origins.map((origin) => origin?.begin ?? 1));
  const reached = Math.max(from, expected ?? 1);
  if (reached < begin) {
    throw corrupt(
      path,
      end.offset,
      `the log ends before group ${reached}, but group ${begin - 1} was synced`,
    );
  }
  // Without any group there was none since the newest segment was made; an older program may have recycled all others.
  if (expected === undefined && from > begin && origins.every((origin) => origin !== undefined)) {
    throw corrupt(path, end.offset, `no group is in the log, but the checkpoint covers group ${from - 1}`);
  }
  const previous = newest.first === undefined ? (newest.header.origin?.previous ?? 0) : 0;
  if (previous !== 0 && !segments.some(({ header }) => header.number === previous)) {
    throw corrupt(
      `${dir}/${segmentName(previous)}`,
      0,
      `this log segment is missing; ${newest.path} follows it`,
    );
  }
}

function corrupt(path: string, offset: number, what: string): WireError {
  return new WireError("CORRUPT", `${path}, offset ${offset}: ${what}`, { facts: { path, offset } });
}

/** Where a log without any group ends. */
export const NO_GROUP_OFFSET: number = SEGMENT_HEADER_BYTES;
