// What a member that joined a journal has to copy (durability.md D14): bytes of older segments of the list of holders,
// none of whose members it is, and which no store shows. Pure.
//
//  J1  Only what lies below the end of an older segment is copied: that is acknowledged, and never changes (L2).
//  J2  What a store shows is not copied: who holds it drops its segment once that is confirmed (D18).
//  J3  The newest of the older segments comes first.
import { newestSegment, segmentEnd, type HolderId, type HoldersList, type Range } from "./holders-list.ts";
import { subtract } from "./sealed-bytes.ts";

export interface WantedCopy extends Range {
  /** Who has it. */
  readonly holders: readonly HolderId[];
}

/** @param here what is on this disk @param stored what stores show; both ascending */
export function wantedCopies(
  list: HoldersList,
  self: HolderId,
  here: readonly Range[],
  stored: readonly Range[],
): readonly WantedCopy[] {
  if (newestSegment(list)?.members.includes(self) !== true) return [];
  const wanted: WantedCopy[] = [];
  for (let index = list.segments.length - 2; index >= 0; index--) {
    const { begin, members: holders } = list.segments[index]!;
    if (holders.includes(self)) continue;
    const whole = [{ begin, end: segmentEnd(list, index)! }];
    for (const range of subtract(subtract(whole, here), stored)) wanted.push({ ...range, holders });
  }
  return wanted;
}

/** Where the gapless part of `stored` ends that begins at `begin`; `begin` when there is none. */
export function storedTo(begin: number, stored: readonly Range[]): number {
  let end = begin;
  for (const range of stored) if (range.begin <= end) end = Math.max(end, range.end);
  return end;
}

/** `range` in pieces of at most `bytes`. */
export function piecesOf({ begin, end }: Range, bytes: number): readonly Range[] {
  const pieces: Range[] = [];
  for (let at = begin; at < end; at += bytes) pieces.push({ begin: at, end: Math.min(at + bytes, end) });
  return pieces;
}
