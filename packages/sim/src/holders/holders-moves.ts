// What may happen next in the model of the holders rules: changes of the route for whatever reason (an expired lease,
// early fail-over, fewer replicas, a drain), brokers that lag, crash and restart, activations step by step, appends,
// late requests; holders-upkeep.ts has what happens to the store and to the list besides.
import {
  afterLoad,
  retired,
  routeSeen,
  startActivation,
  stepActivation,
  voided,
  type ActivationEffect,
  type ActivationInput,
  type ActivationState,
  type HoldersList,
} from "@millrace/broker";
import { isHeadKnown } from "./holders-assumption.ts";
import { acknowledge } from "./holders-judge.ts";
import { broughtBytes, lateMoves, unsent } from "./holders-late.ts";
import { bringerOf, bringJudged, copyBrought, copyHalf } from "./holders-bring.ts";
import {
  applyWrite,
  bringEnds,
  request,
  STOPPED,
  levelTo,
  ownEntries,
  entersVoid,
  settleTo,
  takeEntries,
} from "./holders-requests.ts";
import type { Variant } from "./holders-rules.ts";
import {
  BROKERS,
  changesRegister,
  NOBODYS,
  ended,
  isMixed,
  presentedEnd,
  registersOf,
  entryOf,
  memberOf,
  patch,
  revisionOf,
  routeAt,
  sameRoute,
  toldEntries,
  UNBOUND,
  type Bounds,
  type Late,
  type ModelRoute,
  type ModelState,
  type Move,
} from "./holders-state.ts";
import { upkeepMoves } from "./holders-upkeep.ts";

const ALL = Array.from({ length: BROKERS }, (_, i) => i);

const SERVED: readonly ModelRoute[] = Array.from({ length: 2 ** BROKERS - 1 }, (_, i) => i + 1).flatMap(
  (mask) => {
    const members = ALL.filter((i) => (mask & (1 << i)) !== 0);
    return members.map((primary) => ({ members, primary }));
  },
);
const ROUTES: readonly ModelRoute[] = [...SERVED, NOBODYS];

export function moves(state: ModelState, bounds: Bounds, variant: Variant | undefined): Move[] {
  const out: Move[] = [];
  if (state.routes.length < bounds.routes) {
    for (const route of ROUTES) {
      if (sameRoute(route, state.routes.at(-1))) continue;
      // Without lists nobody knows the head of a journal that nobody has.
      if (route === NOBODYS && state.keepers < BROKERS) continue;
      if (!isHeadKnown({ ...state, routes: [...state.routes, route] })) continue;
      const { members, primary } = route;
      const name = route === NOBODYS ? "nobody's" : `${members.join("")} primary ${primary}`;
      out.push([`route ${name}`, { ...state, routes: [...state.routes, route] }]);
    }
  }
  for (const i of ALL) {
    lifeMoves(state, i, bounds, variant, out);
    if (!state.brokers[i]!.up) continue;
    activationMoves(state, i, bounds, variant, out);
    copyMoves(state, i, variant, out);
    appendMoves(state, i, bounds, variant, out);
    upkeepMoves(state, i, bounds, variant, out);
  }
  lateMoves(state, variant, out);
  return out;
}

function lifeMoves(
  state: ModelState,
  i: number,
  bounds: Bounds,
  variant: Variant | undefined,
  out: Move[],
): void {
  const broker = state.brokers[i]!;
  const revision = revisionOf(state);
  if (!broker.up) {
    const binding = variant === "fence-forgotten" ? UNBOUND : afterLoad(revision);
    const next = { ...state, late: lateAfterRestart(state, i) };
    out.push([`${i} restarts`, patch(next, i, { up: true, view: revision, binding })]);
    return;
  }
  if (broker.view < revision) routeMoves(state, i, out);
  if (state.crashes < bounds.crashes) {
    const { late } = state;
    const next = {
      ...state,
      crashes: state.crashes + 1,
      late: late !== undefined && "to" in late && late.to === i ? undefined : late,
    };
    const gone =
      i < state.keepers
        ? ended(broker)
        : ended({ ...broker, log: [], register: 0, inner: [], copiedFrom: undefined, released: 0 });
    const { brokers } = bringEnds(state, i);
    const crashed = { ...next, brokers: brokers.map((b, j) => (j === i ? gone : b)) };
    if (isHeadKnown(crashed)) out.push([`${i} crashes`, crashed]);
  }
}

/**
 * A broker revokes the lease of its earlier life before it announces itself (D16): its assignments are made anew, and
 * whoever had written a list under the earlier ones is refused.
 */
function lateAfterRestart(state: ModelState, i: number): Late | undefined {
  const { late } = state;
  const isRefused = late?.kind === "write" && routeAt(state, late.epoch)!.members.includes(i);
  return isRefused ? undefined : late;
}

/** The broker's keyspace catches up. An append that is in its log may come to its end after that, as one last thing. */
function routeMoves(state: ModelState, i: number, out: Move[]): void {
  const { activation, append, binding } = state.brokers[i]!;
  const view = revisionOf(state);
  const route = routeAt(state, view);
  const isSame = sameRoute(routeAt(state, binding.epoch), route);
  const seen = patch(state, i, { view, ...(isSame ? {} : { binding: routeSeen(binding, view) }) });
  const goesOn = activation === undefined || sameRoute(routeAt(state, activation.attempt.epoch), route);
  out.push([`${i} sees the route`, goesOn ? seen : patch(seen, i, STOPPED)]);
  if (!goesOn && append !== undefined) out.push([`${i} sees the route, its append goes on`, seen]);
}

function activationMoves(
  state: ModelState,
  i: number,
  bounds: Bounds,
  variant: Variant | undefined,
  out: Move[],
): void {
  const { activation, effects, view, append } = state.brokers[i]!;
  if (activation === undefined) {
    if (routeAt(state, view)?.primary !== i || state.streams >= bounds.attempts) return;
    if (i >= state.keepers) {
      const active = synchronises(state, i, variant);
      if (active !== undefined) out.push([`${i} synchronises`, active]);
      return;
    }
    const { list, listRevision, listBefore } = state;
    out.push([`${i} begins an activation`, begins(state, i, { list, listRevision }, variant)]);
    if (variant === "stale-list" && listRevision > 0) {
      const old = { list: listBefore, listRevision: listRevision - 1 };
      out.push([`${i} begins an activation with an old list`, begins(state, i, old, variant)]);
    }
    return;
  }
  for (const effect of effects) performMoves(state, i, activation, effect, variant, out);
  if (bounds.late && state.late === undefined) {
    for (const late of unsent(state, i)) {
      out.push([`${i} gives up, ${late.kind} may come late`, { ...patch(state, i, STOPPED), late }]);
      if (late.kind !== "write" || variant !== "unknown-is-done" || activation.kind !== "recording") continue;
      out.push([
        `${i} takes its write for done`,
        { ...written(state, i, late.next, "done", late.listRevision + 1), late },
      ]);
    }
  }
  // A replica that restarted, or was bound anew, takes nothing more on this stream.
  if (activation.kind === "active" && append === undefined)
    out.push([`${i} gives up`, patch(state, i, STOPPED)]);
}

function begins(
  state: ModelState,
  i: number,
  read: { readonly list: HoldersList | undefined; readonly listRevision: number },
  variant: Variant | undefined,
): ModelState {
  const { view } = state.brokers[i]!;
  const members = routeAt(state, view)!.members.map(memberOf);
  const stream = state.streams + 1;
  const mixed = isMixed(state, routeAt(state, view));
  const [reading] = startActivation({ epoch: view, stream, self: memberOf(i), members, isMixed: mixed });
  const list = readAs(read.list, mixed, variant);
  const readAt = revisionOf(state);
  const started = patch({ ...state, streams: stream }, i, {
    activation: reading,
    effects: [],
    append: undefined,
  });
  return feed(started, i, { kind: "list-read", list, listRevision: read.listRevision, readAt });
}

/** What a variant makes of the list that was read. */
function readAs(
  list: HoldersList | undefined,
  mixed: boolean,
  variant: Variant | undefined,
): HoldersList | undefined {
  if (variant === "void-ignored" && mixed) return voided(list, 0);
  if (variant === "void-for-closed" && !mixed && list?.tail.kind === "void") {
    return { ...list, tail: { kind: "closed", end: list.tail.begin, registers: registersOf(0) } };
  }
  if (variant !== "any-member" || list?.tail.kind !== "held") return list;
  return {
    ...list,
    segments: [...list.segments.slice(0, -1), { ...list.segments.at(-1)!, members: ALL.map(memberOf) }],
  };
}

function feed(state: ModelState, i: number, input: ActivationInput): ModelState {
  const { activation, effects } = state.brokers[i]!;
  const [next, added] = stepActivation(activation!, input);
  if (next.kind === "abandoned" || next.kind === "blocked") return patch(state, i, STOPPED);
  // Holders that were not asked yet need not be.
  const left = next.kind === "fencing" ? effects : effects.filter(({ kind }) => kind !== "fence");
  return patch(state, i, { activation: next, effects: [...left, ...added] });
}

function performMoves(
  state: ModelState,
  i: number,
  activation: ActivationState,
  effect: ActivationEffect,
  variant: Variant | undefined,
  out: Move[],
): void {
  const { epoch, stream } = activation.attempt;
  const done = patch(state, i, { effects: state.brokers[i]!.effects.filter((other) => other !== effect) });
  switch (effect.kind) {
    case "fence": {
      const to = Number(effect.member);
      const taken = request(done, to, { epoch, stream, wants: "fence" }, variant);
      if (taken === undefined) return;
      out.push([
        `${i} fences ${to}`,
        taken === "refused" ? patch(state, i, STOPPED) : fenced(taken, i, to, variant),
      ]);
      return;
    }
    case "ask": {
      const to = Number(effect.member);
      const taken = request(done, to, { epoch, stream, wants: "fence" }, variant);
      if (taken === undefined) return;
      out.push([
        `${i} asks ${to}`,
        taken === "refused" ? patch(state, i, STOPPED) : asked(taken, i, to, variant),
      ]);
      return;
    }
    case "bring": {
      const to = Number(effect.member);
      const isVoid = activation.kind === "bringing" && activation.list?.tail.kind === "void";
      const taken = request(done, to, { epoch, stream, wants: isVoid ? "level" : "bring" }, variant);
      if (taken === undefined) return;
      const name = `${i} brings ${to} to [${effect.begin}, ${effect.end})`;
      const next = taken === "refused" ? patch(state, i, STOPPED) : brought(taken, i, effect, variant);
      const { bringing, log } = next.brokers[to]!;
      out.push([bringing === undefined ? name : `${name}, which stands at ${log.length}`, next]);
      return;
    }
    case "write-list":
      out.push([`${i} writes the list`, writes(done, i, effect, variant)]);
      return;
    case "read-list":
      throw new Error("the list is read when the attempt begins");
  }
}

function fenced(state: ModelState, i: number, from: number, variant: Variant | undefined): ModelState {
  const { log: all, register, known, released } = state.brokers[from]!;
  const log = variant === "copied-told" ? all : toldEntries(state.brokers[from]!);
  const snapshot = { entries: log, register };
  const confirmed = variant === "begin-at-end" ? log.length : (known?.end ?? 0);
  const held = { base: variant === "released-forgotten" ? 0 : released, confirmed, end: log.length };
  const newest = state.brokers[i]!.activation!;
  if (newest.kind === "fencing" && held.end < Math.max(newest.list!.segments.at(-1)!.begin, confirmed)) {
    return { ...state, wrong: `member ${from} of the newest segment does not reach to its begin` };
  }
  return feed(patch(state, i, { snapshot }), i, { kind: "fenced", member: memberOf(from), held, whole: 0 });
}

function brought(
  state: ModelState,
  i: number,
  effect: Extract<ActivationEffect, { kind: "bring" }>,
  variant: Variant | undefined,
): ModelState {
  const to = Number(effect.member);
  const { activation, snapshot } = state.brokers[i]!;
  const isVoid = activation?.kind === "bringing" && activation.list?.tail.kind === "void";
  const next = isVoid
    ? levelTo(state, to, effect.end, snapshot, variant)
    : bringJudged(state, to, broughtBytes(state, i, effect), variant);
  if (next === undefined) return patch(state, i, STOPPED);
  return next.brokers[to]!.bringing === undefined ? answers(next, i, to) : next;
}

function answers(state: ModelState, i: number, to: number): ModelState {
  const base = state.brokers[to]!.released;
  return settled(feed(state, i, { kind: "brought", member: memberOf(to), base }), i);
}

/** The second part of a bring. */
function copyMoves(state: ModelState, to: number, variant: Variant | undefined, out: Move[]): void {
  const half = copyHalf(state, to);
  if (half !== undefined) out.push([`${to} has copied what it was brought`, half]);
  const copied = copyBrought(state, to, variant);
  if (copied === undefined) return;
  const i = bringerOf(state, to);
  out.push([`${to} has what it was brought`, i === undefined ? copied : answers(copied, i, to)]);
}

function asked(before: ModelState, i: number, from: number, variant: Variant | undefined): ModelState {
  const state = entersVoid(before, from, variant);
  const { register, known, knownBefore } = state.brokers[from]!;
  const end =
    variant === "restarted-presents" ? toldEntries(state.brokers[from]!).length : presentedEnd(state, from);
  const { snapshot } = state.brokers[i]!;
  const isMore = end > 0 && end > (snapshot?.entries.length ?? 0);
  const taken = isMore
    ? patch(state, i, { snapshot: { entries: ownEntries(state.brokers[from]!), register } })
    : state;
  const sure = known === undefined ? knownBefore : [...knownBefore, known];
  return feed(taken, i, { kind: "presented", member: memberOf(from), end, sure });
}

/** A primary that is active on a mixed route, or after a void list, takes what all go on from for acknowledged. */
function settled(state: ModelState, i: number): ModelState {
  const { activation, known } = state.brokers[i]!;
  if (activation?.kind !== "active") return state;
  const { confirmed, attempt } = activation;
  const out = settleTo(state, confirmed, attempt.members);
  const next = patch(out, i, { known: { begin: Math.min(known!.begin, confirmed), end: confirmed } });
  return attempt.isMixed ? onMixed(next, state.acknowledged.length) : next;
}

function onMixed(state: ModelState, from: number): ModelState {
  const { mixedFrom, acknowledged } = state;
  return from >= acknowledged.length ? state : { ...state, mixedFrom: Math.min(mixedFrom ?? from, from) };
}

/** What a primary that keeps no list does, as one step: all go on at the largest end that a member has. */
function synchronises(state: ModelState, i: number, variant: Variant | undefined): ModelState | undefined {
  const epoch = state.brokers[i]!.view;
  const stream = state.streams + 1;
  const { members } = routeAt(state, epoch)!;
  let next: ModelState = { ...state, streams: stream };
  for (const j of members) {
    const taken = request(next, j, { epoch, stream, wants: "bring" }, variant);
    if (taken === undefined || taken === "refused") return undefined;
    next = entersVoid(taken, j, variant);
  }
  const head = Math.max(...members.map((j) => presentedEnd(next, j)));
  const source = next.brokers[members.find((j) => presentedEnd(next, j) === head)!]!;
  const snapshot = head === 0 ? undefined : { entries: ownEntries(source), register: source.register };
  for (const j of members) {
    const level = levelTo(next, j, head, snapshot, variant);
    if (level === undefined) return undefined;
    next = level;
  }
  const attempt = { epoch, stream, self: memberOf(i), members: members.map(memberOf), isMixed: true };
  const list = voided(state.list, 0);
  const activation = {
    kind: "active",
    attempt,
    list,
    listRevision: state.listRevision,
    confirmed: head,
  } as const;
  const known = next.brokers[i]!.known ?? { begin: head, end: head };
  return settled(patch(next, i, { activation, snapshot, known }), i);
}

function writes(
  state: ModelState,
  i: number,
  { next, listRevision }: Extract<ActivationEffect, { kind: "write-list" }>,
  variant: Variant | undefined,
): ModelState {
  const { epoch } = state.brokers[i]!.activation!.attempt;
  const applied = applyWrite(state, { kind: "write", epoch, next, listRevision }, variant);
  const outcome = applied === undefined ? "conflict" : "done";
  return written(applied ?? state, i, next, outcome, state.listRevision + 1);
}

function written(
  state: ModelState,
  i: number,
  next: HoldersList,
  outcome: "done" | "conflict",
  listRevision: number,
): ModelState {
  const fed = feed(patch(state, i, { effects: [] }), i, { kind: "list-written", outcome, listRevision });
  const { activation, log, known } = fed.brokers[i]!;
  if (activation?.kind !== "active") return fed;
  if (state.list?.tail.kind === "void" || fed.listBefore?.tail.kind === "void") return settled(fed, i);
  let out = patch(fed, i, {
    known: { begin: known!.begin, end: Math.max(activation.confirmed, known!.end) },
  });
  const begin = next.segments.at(-1)!.begin;
  for (let at = Math.max(begin, known!.end); at < activation.confirmed; at++)
    out = acknowledge(out, at, log[at]!);
  return out;
}

function appendMoves(
  state: ModelState,
  i: number,
  bounds: Bounds,
  variant: Variant | undefined,
  out: Move[],
): void {
  const { activation, append, log, known } = state.brokers[i]!;
  if (activation?.kind !== "active") return;
  const { epoch, stream } = activation.attempt;
  const members = routeAt(state, epoch)!.members;
  if (append === undefined) {
    // Of one that keeps no list nobody else knows: it asks itself nothing.
    const asked = i < state.keepers ? request(state, i, { epoch, stream, wants: "append" }, variant) : state;
    if (asked === "refused") {
      out.push([`${i} finds itself retired`, patch(state, i, STOPPED)]);
      return;
    }
    const first = state.tokens + 1;
    if (first <= bounds.tokens) out.push([`${i} appends ${first} at ${log.length}`, appends(state, i)]);
    // C10: an append that changes registers is the last of its proposal.
    const mayShare = !changesRegister(first) || variant === "changed-within";
    if (first < bounds.tokens && i < state.keepers && mayShare) {
      const name = `${i} appends ${first} and ${first + 1} at ${log.length}`;
      out.push([name, appends(appends(state, i), i)]);
    }
    const isAdopted =
      variant === "adopted-roll-back" && log.length === activation.confirmed && state.tokens < bounds.tokens;
    const begin = activation.list.segments.at(-1)?.begin ?? 0;
    if (isAdopted && log.length > begin) {
      const cut = patch(state, i, { log: log.slice(0, begin), known: { begin: known!.begin, end: begin } });
      out.push([`${i} rolls back to ${begin}`, cut]);
    }
    return;
  }
  const { at, got, before } = append;
  for (const j of members) {
    if (got.includes(j)) continue;
    const taken = request(state, j, { epoch, stream, wants: "append" }, variant);
    if (taken === undefined) continue;
    const next =
      taken === "refused"
        ? patch(state, i, STOPPED)
        : patch(takeEntries(taken, j, at, log.slice(at)), i, {
            append: { ...append, got: [...got, j].toSorted((a, b) => a - b) },
          });
    out.push([taken === "refused" ? `${j} refuses ${i}` : `${j} takes it from ${i}`, next]);
  }
  if (members.every((j) => got.includes(j))) {
    const taken = log.slice(at).reduce((acked, entry, n) => acknowledge(acked, at + n, entry), state);
    const acked = activation.attempt.isMixed ? onMixed(taken, at) : taken;
    out.push([
      `${i} acknowledges`,
      patch(acked, i, { append: undefined, known: { ...known!, end: log.length } }),
    ]);
  }
  // Where a broker keeps no list, members of one end are taken to have the same: nothing that was proposed is undone.
  if (isMixed(state, routeAt(state, epoch))) return;
  // That breaks the pipeline: the route is activated again before anything is appended (N3 of replication.ts). What is
  // promised where all keep lists is so without that, too.
  const breaks = state.keepers < BROKERS ? { binding: retired(state.brokers[i]!.binding) } : {};
  if (log.length > at + 1) {
    // Its own log has them one by one, and may refuse the second alone.
    const cut = { log: log.slice(0, at + 1), register: log[at]! % 16 };
    out.push([`${i} rolls back the second`, patch(state, i, { ...cut, ...breaks })]);
  }
  if (!members.every((j) => got.includes(j))) {
    const cut = { log: log.slice(0, at), register: before, append: undefined };
    out.push([`${i} rolls back`, patch(state, i, { ...cut, ...breaks })]);
  }
}

/** One more append of a proposal, or the first. */
function appends(state: ModelState, i: number): ModelState {
  const { log, register, append: begun } = state.brokers[i]!;
  const entry = entryOf(state.tokens + 1, register);
  const append = begun ?? { at: log.length, got: [i], before: register };
  const next = { ...state, tokens: state.tokens + 1 };
  return patch(next, i, { log: [...log, entry], register: entry % 16, append });
}
