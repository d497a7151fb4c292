// What the model does with the store and the list besides commits: replicas learn what is confirmed, brokers persist
// and give up what the store has, the list loses segments, is closed, and brokers leave.
import {
  closed,
  dropPersisted,
  heldByOthers,
  names,
  newestSegment,
  retired,
  segmentEnd,
  takenOver,
  tidied,
  voided,
  type HoldersList,
} from "@millrace/broker";
import { applyWrite, countedHere, STOPPED } from "./holders-requests.ts";
import type { Variant } from "./holders-rules.ts";
import {
  isMixed,
  memberOf,
  patch,
  persistedEnd,
  registersOf,
  revisionOf,
  routeAt,
  wiped,
  type Bounds,
  type Joining,
  type ModelState,
  type Move,
} from "./holders-state.ts";

export function upkeepMoves(
  state: ModelState,
  i: number,
  bounds: Bounds,
  variant: Variant | undefined,
  out: Move[],
): void {
  learnMoves(state, i, out);
  if (state.persists < bounds.persists) persistMoves(state, i, variant, out);
  leaveMoves(state, i, variant, out);
  joinMoves(state, i, bounds, variant, out);
  const { activation, append } = state.brokers[i]!;
  if (i < state.keepers && variant !== "void-ignored") markMoves(state, i, variant, out);
  if (i < state.keepers && state.closes < bounds.closes) restMoves(state, i, bounds, variant, out);
  if (activation?.kind !== "active" || append !== undefined || i >= state.keepers) return;
  const { list } = activation;
  const storeEnd = variant === "dropped-early" ? Number.MAX_SAFE_INTEGER : persistedEnd(state);
  const dropped = dropPersisted(list, storeEnd);
  changeList(state, i, "drops what the store has", dropped, variant, out);
  if (state.closes < bounds.closes) closeMoves(state, i, variant, out);
}

/** The primary tells a replica of its stream what is confirmed. */
function learnMoves(state: ModelState, i: number, out: Move[]): void {
  const { activation, known, append } = state.brokers[i]!;
  if (activation?.kind !== "active" || append !== undefined) return;
  const { epoch, stream } = activation.attempt;
  for (const [j, replica] of state.brokers.entries()) {
    const { binding, up } = replica;
    if (j === i || !up || !binding.isBrought || binding.epoch !== epoch || binding.stream !== stream)
      continue;
    if (replica.known !== undefined && replica.known.end < known!.end) {
      out.push([`${j} learns`, patch(state, j, { known: { ...replica.known, end: known!.end } })]);
    }
  }
}

/** A broker persists what counts as acknowledged here, or gives up what the store has. */
function persistMoves(state: ModelState, i: number, variant: Variant | undefined, out: Move[]): void {
  const { log, known, released } = state.brokers[i]!;
  const everything = log.flatMap((entry, at) => (entry === 0 ? [] : [{ begin: at, end: at + 1 }]));
  const ranges = variant === "served-unjudged" ? everything : countedHere(state, i).acknowledged;
  const store = [...state.store];
  for (const { begin, end } of ranges) {
    for (let at = begin; at < end; at++)
      store[at] = store[at] === undefined || store[at] === 0 ? log[at]! : store[at]!;
  }
  for (let at = 0; at < store.length; at++) store[at] ??= 0;
  const persists = state.persists + 1;
  if (store.join() !== state.store.join()) out.push([`${i} persists`, { ...state, persists, store }]);
  const end = Math.min(persistedEnd(state), known?.end ?? 0);
  if (released < end) {
    const kept = log.map((entry, at) => (at < end ? 0 : entry));
    out.push([`${i} releases to ${end}`, patch({ ...state, persists }, i, { log: kept, released: end })]);
  }
}

/** Outside the route, and named by no segment: the data directory goes. */
function leaveMoves(state: ModelState, i: number, variant: Variant | undefined, out: Move[]): void {
  const { log, view } = state.brokers[i]!;
  if (log.length === 0 || view !== revisionOf(state)) return;
  if (routeAt(state, view)!.members.includes(i)) return;
  if (state.list?.tail.kind === "void" || i >= state.keepers) return;
  if (names(state.list, memberOf(i)) && variant !== "left-while-named") return;
  out.push([`${i} leaves`, patch(state, i, wiped(state.brokers[i]!))]);
}

/** Before it answers on a route with a member that keeps no list. */
function markMoves(state: ModelState, i: number, variant: Variant | undefined, out: Move[]): void {
  const { view, known, activation } = state.brokers[i]!;
  const { list, listRevision } = state;
  const route = routeAt(state, view)!;
  if (activation !== undefined || list?.tail.kind === "void") return;
  if (!route.members.includes(i) || !isMixed(state, route)) return;
  const next = voided(list, known?.end ?? 0);
  const applied = applyWrite(state, { kind: "write", epoch: view, next, listRevision }, variant);
  if (applied === undefined) return;
  out.push([`${i} marks the list void`, applied]);
}

/** A member of the newest segment copies what others hold of older ones; once all have it they take it over. */
function joinMoves(
  state: ModelState,
  i: number,
  bounds: Bounds,
  variant: Variant | undefined,
  out: Move[],
): void {
  const { list, listRevision } = state;
  const { joining } = state.brokers[i]!;
  if (list !== undefined && heldByOthers(list).length > 0 && joining?.listRevision !== listRevision) {
    const read = { list, listRevision, found: undefined };
    if (newestSegment(list)!.members.includes(memberOf(i)))
      out.push([`${i} reads what to copy`, patch(state, i, { joining: read })]);
  }
  if (joining === undefined) return;
  copyMoves(state, i, joining, variant, out);
  takeOverMoves(state, i, joining, bounds, variant, out);
}

/** The list may have changed since it was read. */
function copyMoves(
  state: ModelState,
  i: number,
  { list }: Joining,
  variant: Variant | undefined,
  out: Move[],
): void {
  for (const [index, segment] of list.segments.slice(0, -1).entries()) {
    const listed = variant === "copied-unlisted" ? [...state.brokers.keys()] : segment.members.map(Number);
    const { begin } = segment;
    for (const h of listed) {
      const source = state.brokers[h]!;
      const end = segmentEnd(list, index)!;
      const { log, released, knownBefore } = state.brokers[i]!;
      if (h === i || !source.up || log.length < end) continue;
      const has = (at: number): boolean => at >= begin && at < end && source.log[at] !== 0;
      const next = log.map((entry, at) =>
        entry === 0 && at >= released && has(at) ? source.log[at]! : entry,
      );
      if (next.join() === log.join()) continue;
      const copied = next.flatMap((entry, at) => (entry === log[at] ? [] : [{ begin: at, end: at + 1 }]));
      const change = { log: next, knownBefore: [...knownBefore, ...copied] };
      out.push([`${i} copies [${begin}, ${end}) from ${h}`, patch(state, i, change)]);
    }
  }
}

function takeOverMoves(
  state: ModelState,
  i: number,
  joining: Joining,
  bounds: Bounds,
  variant: Variant | undefined,
  out: Move[],
): void {
  const { list, listRevision, found } = joining;
  if (found === undefined) {
    for (const { index, range } of heldByOthers(list)) {
      const from = heldByAll(state, newestSegment(list)!.members, range, variant);
      if (from === range.end) continue;
      const next = { ...joining, found: { index, from } };
      out.push([`${i} compares [${from}, ${range.end})`, patch(state, i, { joining: next })]);
    }
    return;
  }
  const next = takenOver(list, found.index, found.from);
  const write = { kind: "write", epoch: state.brokers[i]!.view, next, listRevision } as const;
  const stopped = patch(state, i, { joining: undefined });
  out.push([`${i} writes who took over`, applyWrite(stopped, write, variant) ?? stopped]);
  if (bounds.late && state.late === undefined)
    out.push([`${i} writes who took over, the write may come late`, { ...stopped, late: write }]);
}

/** @returns from where on all members have the same; the range's end: from nowhere */
function heldByAll(
  { brokers }: ModelState,
  members: readonly string[],
  { begin, end }: { begin: number; end: number },
  variant: Variant | undefined,
): number {
  const asked = members.map((member) => brokers[Number(member)]!);
  if (!asked.every(({ up }) => up)) return end;
  const isEqual = (at: number): boolean =>
    new Set(asked.map(({ log }) => log[at] ?? 0)).size === 1 && (asked[0]!.log[at] ?? 0) !== 0;
  let from = end;
  while (from > begin && isEqual(from - 1)) from--;
  return variant === "taken-unsynced" || (variant === "taken-whole" && from < end) ? begin : from;
}

function closeMoves(state: ModelState, i: number, variant: Variant | undefined, out: Move[]): void {
  const { activation, log, register } = state.brokers[i]!;
  if (activation?.kind !== "active" || newestSegment(activation.list) === undefined) return;
  const end = variant === "closed-without-end" ? 0 : log.length;
  const registers = registersOf(variant === "closed-without-registers" ? 0 : register);
  const next = { ...state, closes: state.closes + 1 };
  const list = closed(activation.list, end, registers);
  const { epoch } = activation.attempt;
  const write = { kind: "write", epoch, next: list, listRevision: activation.listRevision } as const;
  const applied = applyWrite(patch(next, i, STOPPED), write, variant);
  out.push([`${i} closes the list`, applied ?? patch(next, i, STOPPED)]);
  if (state.late === undefined) {
    out.push([`${i} closes the list, the write may come late`, { ...patch(next, i, STOPPED), late: write }]);
  }
}

/**
 * A suspended journal, which the store has all of: a member of its newest segment closes the list, when the journal is
 * nobody's (K2 of holders-upkeep.ts), or its only broker does (K5): who has just activated the route goes on.
 */
function restMoves(
  state: ModelState,
  i: number,
  bounds: Bounds,
  variant: Variant | undefined,
  out: Move[],
): void {
  const { view, log, known, register, released, binding, bringing, append } = state.brokers[i]!;
  const { list, listRevision } = state;
  const isAtRest = ["", String(i)].includes(routeAt(state, view)!.members.join());
  // K7: the spool's token is free, and nothing is under way.
  if ((append !== undefined && variant !== "closed-under-append") || bringing !== undefined) return;
  if (list === undefined || newestSegment(list) === undefined || !isAtRest) return;
  const next = tidied(list, {
    self: memberOf(i),
    isGone: (_, end) => end <= Math.min(released, persistedEnd(state)),
    end: known?.end ?? 0,
    // The append is in the log, which may take long to sync it.
    syncedEnd: append?.at ?? log.length,
    registers: registersOf(append?.before ?? register),
    whole: 0,
    isAtRest,
  });
  if (next.tail.kind !== "closed") return;
  const bound = variant === "closed-unretired" ? {} : { binding: retired(binding) };
  const resting = patch({ ...state, closes: state.closes + 1 }, i, bound);
  const write = { kind: "write", epoch: view, next, listRevision } as const;
  out.push([`${i} rests, and closes the list`, applyWrite(resting, write, variant) ?? resting]);
  if (bounds.late && state.late === undefined)
    out.push([`${i} rests, closing the list may come late`, { ...resting, late: write }]);
}

function changeList(
  state: ModelState,
  i: number,
  what: string,
  next: HoldersList,
  variant: Variant | undefined,
  out: Move[],
): void {
  const { activation } = state.brokers[i]!;
  if (activation?.kind !== "active") return;
  const { listRevision, attempt } = activation;
  if (next === activation.list) return;
  const applied = applyWrite(state, { kind: "write", epoch: attempt.epoch, next, listRevision }, variant);
  if (applied === undefined) {
    out.push([`${i} learns that the list has changed`, patch(state, i, STOPPED)]);
    return;
  }
  const changed = { ...activation, list: next, listRevision: applied.listRevision };
  out.push([`${i} ${what}`, patch(applied, i, { activation: changed })]);
}
