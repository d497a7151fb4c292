// Who holds a journal's newest bytes (durability.md D10): the list that every commit lives under, as a value. It names
// segments, oldest first, each from its begin to the begin of the next, with the data directories that hold it; the
// tail says what comes behind them. Pure; holders-codec.ts puts it into the coordination store.
//
//   none ──► held ◄──► closed          held: the newest segment goes on, its members hold whatever was acknowledged
//              ▲          │            closed: nothing was written beyond `end`; no holder is needed to go on
//              └── void ◄─┘            void: from `begin` on a broker that keeps no list may have written
//
//  L1  Begins ascend strictly, epochs do not fall, no member is named twice. Only what was written under a void list
//      may be a segment without members: nobody who keeps a list has it, the store does, or it went with who had it.
//  L2  A segment's bytes below its end are acknowledged; those of the newest of a held list are from its begin on
//      whatever its members hold, since each commit needed all of them.
//  L3  What is acknowledged and in no segment is in the store.
//  L4  A closed list has the registers at its end: there may be no broker left that knows them (D17).
import { assert, unreachable } from "@millrace/base";
import type { LabelSet } from "@millrace/protocol";

/** Id of a data directory: a broker that lost its disk is another member. */
export type HolderId = string;

export interface Segment {
  /** Revision of the keyspace under which the activation ran that wrote the segment. */
  readonly epoch: number;
  readonly begin: number;
  readonly members: readonly HolderId[];
  /**
   * Its commits were acknowledged when all members had them, synced or not: a member that has lost nothing since it was
   * brought has all of them, another one may not.
   */
  readonly loose?: true;
  /**
   * Written in place of a list that nobody could read: its members were not brought to its begin, and nobody knows what
   * of theirs is acknowledged, until they are brought.
   */
  readonly relisted?: true;
}

export type HoldersTail =
  | { readonly kind: "held" }
  | { readonly kind: "closed"; readonly end: number; readonly registers: LabelSet }
  /** With the registers at `begin`, if a closed list had them: whoever begins with nothing begins there, with them. */
  | { readonly kind: "void"; readonly begin: number; readonly registers?: LabelSet };

export interface HoldersList {
  readonly segments: readonly Segment[];
  readonly tail: HoldersTail;
}

export interface Range {
  readonly begin: number;
  readonly end: number;
}

/** @returns what is wrong with it, or undefined (L1) */
export function validateHolders({ segments, tail }: HoldersList): string | undefined {
  let before: Segment | undefined;
  for (const segment of segments) {
    if (new Set(segment.members).size !== segment.members.length) {
      return `the segment at ${segment.begin} names a member twice`;
    }
    if (before !== undefined && segment.begin <= before.begin) {
      return `segments begin at ${before.begin}, then at ${segment.begin}`;
    }
    if (before !== undefined && segment.epoch < before.epoch) {
      return `the segment at ${segment.begin} has epoch ${segment.epoch}, after ${before.epoch}`;
    }
    before = segment;
  }
  if (tail.kind === "held") {
    if (before === undefined) return "a held list has no segment";
    return before.members.length === 0 ? `the segment at ${before.begin} has no members` : undefined;
  }
  const at = tail.kind === "closed" ? tail.end : tail.begin;
  if (before !== undefined && at <= before.begin)
    return `the tail at ${at} begins before ${before.begin + 1}`;
  return undefined;
}

/** The segment that goes on, if one does. */
export function newestSegment(list: HoldersList): Segment | undefined {
  return list.tail.kind === "held" ? list.segments.at(-1) : undefined;
}

/** Where the segment at `index` ends; undefined for the one that goes on. */
export function segmentEnd({ segments, tail }: HoldersList, index: number): number | undefined {
  const next = segments[index + 1];
  if (next !== undefined) return next.begin;
  switch (tail.kind) {
    case "held":
      return undefined;
    case "closed":
      return tail.end;
    case "void":
      return tail.begin;
    default:
      return unreachable(tail);
  }
}

/** Whether a data directory may be given up without loss: a member leaves once it is named no more (D14). */
export function names(list: HoldersList | undefined, member: HolderId): boolean {
  return list?.segments.some(({ members }) => members.includes(member)) ?? false;
}

/** Whether a segment names the member, and nobody of `live` beside it. */
export function isHeldOnlyBy(list: HoldersList, member: HolderId, live: ReadonlySet<HolderId>): boolean {
  return list.segments.some(
    ({ members }) => members.includes(member) && !members.some((one) => one !== member && live.has(one)),
  );
}

/** Whether content below `end` is with others, and need not be with `member`. */
export function isHeldWithout(list: HoldersList, member: HolderId, end: number): boolean {
  return list.segments.some(({ begin, members }, index) => {
    const isOthers = members.length > 0 && !members.includes(member);
    return isOthers && begin < Math.min(end, segmentEnd(list, index) ?? end);
  });
}

/** The greatest offset that a list names. */
export function promisedEnd(list: HoldersList | undefined): number {
  if (list === undefined) return 0;
  const { segments, tail } = list;
  const begin = segments.at(-1)?.begin ?? 0;
  if (tail.kind === "held") return begin;
  return Math.max(begin, tail.kind === "closed" ? tail.end : tail.begin);
}

/** Adds the segment of a new route. Its members were brought to everything that is acknowledged from its begin on. */
export function withSegment(list: HoldersList | undefined, segment: Segment): HoldersList {
  const before = cut(list?.segments ?? [], segment.begin);
  const last = before.at(-1);
  const goesOn = list?.tail.kind === "held" || segmentMeets(list, segment.begin);
  // The same members go on: they hold the earlier part too.
  if (last !== undefined && goesOn && sameMembers(last.members, segment.members)) {
    const { begin } = last;
    return { segments: [...before.slice(0, -1), { ...segment, begin }], tail: { kind: "held" } };
  }
  return { segments: [...before, segment], tail: { kind: "held" } };
}

/**
 * Drops, from the oldest on, what the store has: `persistedEnd` is where its gapless part ends. The segment that goes
 * on stays, since who holds what was acknowledged last is known from it alone.
 */
export function dropPersisted(list: HoldersList, persistedEnd: number): HoldersList {
  let count = 0;
  for (; count < list.segments.length; count++) {
    const end = segmentEnd(list, count);
    if (end === undefined || end > persistedEnd) break;
  }
  return count === 0 ? list : { ...list, segments: list.segments.slice(count) };
}

/** An older segment that the members of the one that goes on may take over, once all of them have it. */
export interface OlderSegment {
  readonly index: number;
  readonly range: Range;
  readonly members: readonly HolderId[];
}

/** Those that others hold than the members of the segment that goes on, the newest first. */
export function heldByOthers(list: HoldersList): readonly OlderSegment[] {
  const newest = newestSegment(list);
  if (newest === undefined) return [];
  const older: OlderSegment[] = [];
  for (let index = list.segments.length - 2; index >= 0; index--) {
    const { begin, members } = list.segments[index]!;
    if (members.length === 0 || sameMembers(members, newest.members)) continue;
    older.push({ index, range: { begin, end: segmentEnd(list, index)! }, members });
  }
  return older;
}

/**
 * An older segment is held by the members of the one that goes on, from `heldFrom` on: each has that synced, and
 * compared. What lies below stays with those who had it, until they know it to be in the store. It stays a segment of
 * its own, since what lies in one that is over is acknowledged whoever restarts.
 */
export function takenOver(list: HoldersList, index: number, heldFrom: number): HoldersList {
  const newest = newestSegment(list);
  const older = list.segments[index];
  const end = segmentEnd(list, index);
  assert(newest !== undefined && older !== undefined && end !== undefined, "an older segment is taken over");
  if (heldFrom >= end) return list;
  const begin = Math.max(older.begin, heldFrom);
  const taken = { epoch: older.epoch, begin, members: newest.members };
  const left = begin > older.begin ? [older] : [];
  const segments: Segment[] = [];
  for (const segment of [
    ...list.segments.slice(0, index),
    ...left,
    taken,
    ...list.segments.slice(index + 1),
  ]) {
    const before = segments.at(-1);
    const isOne = before !== undefined && segment !== newest && sameMembers(before.members, segment.members);
    if (isOne) segments[segments.length - 1] = { ...segment, begin: before.begin };
    else segments.push(segment);
  }
  return { ...list, segments };
}

/** Nothing is under way and nothing will be written beyond `end` before a new segment is: no holder is needed. */
export function closed(list: HoldersList, end: number, registers: LabelSet): HoldersList {
  assert(list.tail.kind === "held", "what is closed was held", { tail: list.tail.kind });
  return { segments: cut(list.segments, end), tail: { kind: "closed", end, registers } };
}

/**
 * A route has a member that keeps no list. What is known to be acknowledged stays listed.
 * @param confirmed as far as the one who marks it knows
 */
export function voided(list: HoldersList | undefined, confirmed: number): HoldersList {
  if (list === undefined) return { segments: [], tail: { kind: "void", begin: 0 } };
  if (list.tail.kind === "void") return list;
  const least = list.tail.kind === "closed" ? list.tail.end : list.segments.at(-1)!.begin;
  const begin = Math.max(least, list.tail.kind === "closed" ? 0 : confirmed);
  const registers = list.tail.kind === "closed" ? { registers: list.tail.registers } : {};
  return { segments: cut(list.segments, begin), tail: { kind: "void", begin, ...registers } };
}

/**
 * In place of a list that is not there, or that nobody can read: all of them have to answer, and the largest end wins.
 * @param isMixed one of the route's members keeps no list
 */
export function relisted(epoch: number, members: readonly HolderId[], isMixed: boolean): HoldersList {
  if (isMixed) return voided(undefined, 0);
  return { segments: [{ epoch, begin: 0, members, loose: true, relisted: true }], tail: { kind: "held" } };
}

/** What a member has of a journal whose list is void, as far as its present life as a member knows. */
export interface PresentedBytes {
  readonly member: HolderId;
  /** 0 for one that restarted, or came anew: what it has from before is sealed. */
  readonly end: number;
  /** Known to be acknowledged; ascending and apart. */
  readonly sure: readonly Range[];
}

/**
 * The list of the first route whose members all keep lists, after a void one. Everybody goes on at the largest end;
 * what was written under the void list is named as its members hold it, so that a restart does not seal it.
 */
export function listedAnew(
  list: HoldersList,
  presented: readonly PresentedBytes[],
  newest: Segment,
): HoldersList {
  assert(list.tail.kind === "void", "only a void list is begun anew", { tail: list.tail.kind });
  const { begin: from } = list.tail;
  const { epoch, begin: to } = newest;
  const ranges = presented.flatMap(({ member, end, sure }) => {
    const last = sure.at(-1);
    // Who has the largest end has settled its last bytes by it.
    const all = last !== undefined && end === to ? [...sure.slice(0, -1), { begin: last.begin, end }] : sure;
    return all.map((range) => ({ member, begin: Math.max(range.begin, from), end: Math.min(range.end, to) }));
  });
  const cuts = new Set([from, ...ranges.flatMap(({ begin, end }) => (begin < end ? [begin, end] : []))]);
  const segments = [...list.segments];
  for (const begin of [...cuts].toSorted((a, b) => a - b)) {
    if (begin >= to) break;
    const members = ranges
      .filter((range) => range.begin <= begin && begin < range.end)
      .map(({ member }) => member);
    const before = segments.at(-1);
    if (before !== undefined && before.begin >= from && sameMembers(before.members, members)) continue;
    segments.push({ epoch, begin, members });
  }
  return { segments: [...segments, newest], tail: { kind: "held" } };
}

export function sameMembers(a: readonly HolderId[], b: readonly HolderId[]): boolean {
  return a.length === b.length && a.every((id) => b.includes(id));
}

/** Segments that have anything below `end`. */
function cut(segments: readonly Segment[], end: number): readonly Segment[] {
  return segments.filter(({ begin }) => begin < end);
}

/** Whether the last segment of a closed or void list ends where the new one begins. */
function segmentMeets(list: HoldersList | undefined, begin: number): boolean {
  return (
    list !== undefined && list.segments.length > 0 && segmentEnd(list, list.segments.length - 1) === begin
  );
}
