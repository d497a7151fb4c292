// Requests between the model's brokers: each reaches its receiver as a whole, or late, or never. Who takes what is
// decided by the broker's own `answerBound`.
import {
  answerBound,
  bind,
  judgeBytes,
  type Binding,
  type BoundRequest,
  type JudgedBytes,
} from "@millrace/broker";
import { acknowledge } from "./holders-judge.ts";
import type { Variant } from "./holders-rules.ts";
import {
  holeOf,
  isMixed,
  isTenured,
  memberOf,
  patch,
  presentedEnd,
  registerAt,
  registerOf,
  routeAt,
  sameRoute,
  toldEntries,
  type BroughtBytes,
  type Late,
  type ModelBroker,
  type ModelState,
  type Snapshot,
} from "./holders-state.ts";

/** @returns the state when the request was taken; "refused"; undefined while the receiver is down */
export function request(
  state: ModelState,
  to: number,
  asked: BoundRequest,
  variant: Variant | undefined,
): ModelState | "refused" | undefined {
  const broker = state.brokers[to]!;
  if (!broker.up) return undefined;
  // D15: who keeps lists answers on a mixed route only once the list is void.
  const isMarked = state.list?.tail.kind === "void" || variant === "void-ignored";
  if (to < state.keepers && isMixed(state, routeAt(state, asked.epoch)) && !isMarked) return undefined;
  // `wait`: its keyspace catches up with the request's epoch, and no further.
  const view = Math.max(broker.view, asked.epoch);
  const isSameRoute = sameRoute(routeAt(state, view), routeAt(state, asked.epoch));
  const { binding } = broker;
  const isEarlier = binding.epoch === asked.epoch && asked.stream < binding.stream;
  const lax = variant === "no-stream-order" && asked.wants === "bring" && isEarlier;
  const answer = answerBound(
    binding,
    { revision: view, isSameRoute },
    lax ? { ...asked, stream: 1e9 } : asked,
  );
  if (answer !== "take") return "refused";
  if (variant === "no-fence" && asked.wants === "fence") return state;
  const bound = bind(binding, lax ? { ...asked, stream: binding.stream } : asked);
  const own = broker.activation?.attempt;
  const isOwn = own?.epoch === bound.epoch && own.stream === bound.stream;
  const next = patch(state, to, { view, binding: bound, ...(isOwn || own === undefined ? {} : STOPPED) });
  return bringEnds(next, to);
}

/** Whoever was bringing it is evicted, or cut off, wherever he is (K6 of journal-holder.ts), and gives up. */
export function bringEnds(state: ModelState, to: number): ModelState {
  const { bringing } = state.brokers[to]!;
  if (bringing === undefined) return state;
  const primary = primaryOf(state, bringing.binding);
  const ended = patch(state, to, { bringing: undefined });
  return primary === undefined ? ended : patch(ended, primary, STOPPED);
}

/** Whose attempt it is, if he has not given up; streams of the model are never two brokers'. */
export function primaryOf({ brokers }: ModelState, { epoch, stream }: Binding): number | undefined {
  const at = brokers.findIndex(({ activation }) => {
    const attempt = activation?.attempt;
    return attempt?.epoch === epoch && attempt.stream === stream;
  });
  return at < 0 ? undefined : at;
}

/** What a primary forgets when it stops. */
export const STOPPED: Partial<ModelBroker> = {
  activation: undefined,
  effects: [],
  snapshot: undefined,
  append: undefined,
};

/** What this broker would serve: in segments that name it, below the begin of one, or known. V1 of judged-spool.ts. */
export function countedHere({ list, brokers }: ModelState, i: number): JudgedBytes {
  const { log, known, knownBefore } = brokers[i]!;
  const local = log.flatMap((entry, at) => (entry === 0 ? [] : [{ begin: at, end: at + 1 }]));
  const own = list?.segments.filter(({ members }) => members.includes(memberOf(i))).at(-1)?.begin ?? 0;
  const sure = [...knownBefore, ...(known === undefined ? [] : [known]), { begin: 0, end: own }];
  return judgeBytes(list, memberOf(i), local, sure);
}

/** The member has what it was brought, and nothing beyond. */
export function bringTo(
  state: ModelState,
  to: number,
  { begin, entries, register }: BroughtBytes,
  variant: Variant | undefined,
): ModelState {
  const broker = state.brokers[to]!;
  const { log: before, known, knownBefore, binding } = broker;
  const log = Array.from({ length: begin }, (_, at) => before[at] ?? 0);
  log.push(...entries);
  if (variant === "no-replace") for (let at = begin; at < before.length; at++) log[at] = before[at]!;
  const goesOn = known !== undefined && known.end >= begin && known.begin <= begin;
  const grown =
    goesOn || known === undefined || known.begin === known.end ? knownBefore : [...knownBefore, known];
  return patch(state, to, {
    log,
    register,
    inner: broker.inner.filter(({ end }) => end < log.length),
    copiedFrom: undefined,
    known: goesOn ? known : { begin, end: begin },
    knownBefore: grown,
    tenure: binding.epoch,
  });
}

/** Without leftovers below where it was brought, or went on. */
export function ownEntries(broker: ModelBroker): readonly number[] {
  const { known } = broker;
  return toldEntries(broker).map((entry, at) => (at < (known?.begin ?? Infinity) ? 0 : entry));
}

/**
 * Who keeps lists and has less than where a list became void that had been closed takes that for its end, with the
 * registers there. Without registers it may not: it would say an end that another one knows better.
 */
export function entersVoid(state: ModelState, i: number, variant: Variant | undefined): ModelState {
  const { list, keepers } = state;
  if (i >= keepers || list?.tail.kind !== "void" || list.tail.registers === undefined) return state;
  const { begin, registers } = list.tail;
  // Never below what it knows to be acknowledged itself.
  if (presentedEnd(state, i) >= begin || (state.brokers[i]!.known?.end ?? 0) > begin) return state;
  const judged = isTenured(state, i) ? state : withoutLeftovers(state, i, variant);
  return bringTo(judged, i, { begin, entries: [], register: registerOf(registers) }, undefined);
}

/**
 * On a void list the member goes on at `head`, where somebody's bytes end. @returns undefined: it has other bytes there
 */
export function levelTo(
  state: ModelState,
  to: number,
  head: number,
  source: Snapshot | undefined,
  variant: Variant | undefined,
): ModelState | undefined {
  const { log, known, binding } = state.brokers[to]!;
  const last = source?.entries[head - 1] ?? 0;
  if (known === undefined || log.length !== head || presentedEnd(state, to) !== head) {
    const judged = isTenured(state, to) ? state : withoutLeftovers(state, to, variant);
    return bringTo(judged, to, { begin: head, entries: [], register: source?.register ?? 0 }, undefined);
  }
  const own = ownEntries(state.brokers[to]!)[head - 1] ?? 0;
  return own !== 0 && last !== 0 && own !== last ? undefined : patch(state, to, { tenure: binding.epoch });
}

/** K10 of journal-holder.ts: what the void list names it for stays, and what it knows to be acknowledged. */
function withoutLeftovers(state: ModelState, i: number, variant: Variant | undefined): ModelState {
  const { log, known, knownBefore } = state.brokers[i]!;
  if (variant === "level-leftovers") return state;
  const sure = known === undefined ? knownBefore : [...knownBefore, known];
  const kept = variant === "level-unjudged" ? sure : countedHere(state, i).acknowledged;
  const isKept = (at: number): boolean => kept.some(({ begin, end }) => begin <= at && at < end);
  return patch(state, i, { log: log.map((entry, at) => (isKept(at) ? entry : 0)) });
}

/** The primary's current proposal; replaces whatever is there. */
export function takeEntries(
  state: ModelState,
  to: number,
  at: number,
  entries: readonly number[],
): ModelState {
  const broker = state.brokers[to]!;
  const register = at === broker.log.length ? broker.register : registerAt(state, broker, at);
  const inner = broker.inner.filter(({ end }) => end <= at);
  if (entries.length > 1) inner.push({ end: at + 1, register });
  const log = [...broker.log.slice(0, at), ...entries];
  return patch(state, to, { log, register: entries.at(-1)! % 16, inner });
}

/** The transaction: compares the list and the assignments that the writer knows. @returns undefined: refused */
export function applyWrite(
  state: ModelState,
  { epoch, next, listRevision }: Extract<Late, { kind: "write" }>,
  variant: Variant | undefined,
): ModelState | undefined {
  const listHolds =
    listRevision === state.listRevision || variant === "no-txn" || variant === "no-list-compare";
  const routeHolds = assignmentsHold(state, epoch) || variant === "no-txn" || variant === "no-assignments";
  if (!listHolds || !routeHolds) return undefined;
  const written = { ...state, list: next, listRevision: state.listRevision + 1, listBefore: state.list };
  if (state.list?.tail.kind !== "void" || next.tail.kind !== "held") return written;
  // What the new list says that somebody has is what stands there from now on, whoever has restarted meanwhile.
  let out: ModelState = { ...written, mixedFrom: undefined };
  const { begin, members } = next.segments.at(-1)!;
  if (begin < state.acknowledged.length) return settleTo(out, begin, members);
  for (let at = out.acknowledged.length; at < begin; at++) {
    const segment = next.segments.findLast((one) => one.begin <= at);
    const holder = segment?.members[0];
    const register = state.brokers[Number(members[0])]!.register;
    out = acknowledge(
      out,
      at,
      holder === undefined ? holeOf(register) : state.brokers[Number(holder)]!.log[at]!,
    );
  }
  return out;
}

/** Everything below the end at which all go on after a void list is settled: no other bytes will stand there. */
export function settleTo(state: ModelState, head: number, members: readonly string[]): ModelState {
  if (head < state.acknowledged.length) {
    return { ...state, wrong: `goes on at ${head}, but ${state.acknowledged.length} were acknowledged` };
  }
  const going = members.map(Number).find((j) => state.brokers[j]!.log.length === head)!;
  let out = state;
  for (let at = out.acknowledged.length; at < head; at++) {
    // What lies below where a member went on is none of its.
    const has = members
      .map(Number)
      .find((j) => isTenured(state, j) && (state.brokers[j]!.known?.begin ?? Infinity) <= at);
    out = acknowledge(
      out,
      at,
      has === undefined ? holeOf(state.brokers[going]!.register) : state.brokers[has]!.log[at]!,
    );
  }
  return out;
}

/** Compared are the assignments that the writer knows: that one was added escapes it. */
function assignmentsHold(state: ModelState, epoch: number): boolean {
  const known = routeAt(state, epoch)!;
  return state.routes
    .slice(epoch)
    .every(
      ({ primary, members }) => primary === known.primary && known.members.every((m) => members.includes(m)),
    );
}
