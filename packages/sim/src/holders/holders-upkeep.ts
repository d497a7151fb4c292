// What the model does with the store and the list besides commits: replicas learn what is confirmed, brokers persist
// and give up what the store has, the list loses segments, is closed, and brokers leave.
import {
  absorbable,
  absorbed,
  closed,
  dropPersisted,
  judgeBytes,
  names,
  newestSegment,
  voided,
  type HoldersList,
} from "@millrace/broker";
import { applyWrite, STOPPED } from "./holders-requests.ts";
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
  const { activation, append } = state.brokers[i]!;
  if (i < state.keepers && variant !== "void-ignored") markMoves(state, i, variant, out);
  if (activation?.kind !== "active" || append !== undefined || i >= state.keepers) return;
  const { list } = activation;
  const storeEnd = variant === "dropped-early" ? Number.MAX_SAFE_INTEGER : persistedEnd(state);
  const dropped = dropPersisted(list, storeEnd);
  changeList(state, i, "drops what the store has", dropped, variant, out);
  absorbMoves(state, i, variant, out);
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
  const { log, known, knownBefore, released } = state.brokers[i]!;
  const local = log.flatMap((entry, at) => (entry === 0 ? [] : [{ begin: at, end: at + 1 }]));
  const judged = judgeBytes(
    state.list,
    memberOf(i),
    local,
    known === undefined ? knownBefore : [...knownBefore, known],
  );
  const ranges = variant === "served-unjudged" ? local : judged.acknowledged;
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

/** All members of the newest segment copy its neighbour from a holder, as far as that has it; then the begin moves. */
function absorbMoves(state: ModelState, i: number, variant: Variant | undefined, out: Move[]): void {
  const { activation, copied } = state.brokers[i]!;
  if (activation?.kind !== "active") return;
  const { list, listRevision } = activation;
  const found = absorbable(list);
  if (found === undefined) return;
  const { range, holders } = found;
  const storeEnd = persistedEnd(state);
  if (variant === "absorbed-unsynced") {
    changeList(state, i, "absorbs a segment", absorbed(list, range.begin, storeEnd), variant, out);
  } else if (copied?.listRevision === listRevision) {
    const from = variant === "absorbed-whole" ? range.begin : copied.from;
    changeList(state, i, "absorbs a segment", absorbed(list, from, storeEnd), variant, out);
  } else {
    const members = newestSegment(list)!.members.map(Number);
    if (!members.every((j) => state.brokers[j]!.up)) return;
    for (const h of holders.members.map(Number)) {
      if (!state.brokers[h]!.up) continue;
      const [next, from] = copiedFrom(state, h, members, range);
      const what = `all copy [${from}, ${range.end}) from ${h}`;
      if (from < range.end) out.push([what, patch(next, i, { copied: { listRevision, from } })]);
    }
  }
}

function copiedFrom(
  state: ModelState,
  holder: number,
  members: readonly number[],
  { begin, end }: { begin: number; end: number },
): readonly [ModelState, number] {
  const { log: source } = state.brokers[holder]!;
  const from = Math.max(
    begin,
    state.brokers[holder]!.released,
    ...members.map((j) => state.brokers[j]!.released),
  );
  let next = state;
  for (const j of members) {
    const log = state.brokers[j]!.log.map((entry, at) => (at >= from && at < end ? source[at]! : entry));
    next = patch(next, j, { log });
  }
  return [next, from];
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
  out.push([`${i} ${what}`, patch(applied, i, { activation: changed, copied: undefined })]);
}
