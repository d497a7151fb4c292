// Requests between the model's brokers: each reaches its receiver as a whole, or late, or never. Who takes what is
// decided by the broker's own `answerBound`.
import { answerBound, bind, type BoundRequest } from "@millrace/broker";
import type { Variant } from "./holders-rules.ts";
import {
  patch,
  routeAt,
  sameRoute,
  type BroughtBytes,
  type Late,
  type ModelBroker,
  type ModelState,
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
  return patch(state, to, { view, binding: bound, ...(isOwn || own === undefined ? {} : STOPPED) });
}

/** What a primary forgets when it stops. */
export const STOPPED: Partial<ModelBroker> = {
  activation: undefined,
  effects: [],
  snapshot: undefined,
  append: undefined,
  copied: undefined,
};

/** The member has what it was brought, and nothing beyond. */
export function bringTo(
  state: ModelState,
  to: number,
  { begin, entries, register }: BroughtBytes,
  variant: Variant | undefined,
): ModelState {
  const { log: before, known } = state.brokers[to]!;
  const log = Array.from({ length: begin }, (_, at) => before[at] ?? 0);
  log.push(...entries);
  if (variant === "no-replace") for (let at = begin; at < before.length; at++) log[at] = before[at]!;
  const goesOn = known !== undefined && known.end >= begin && known.begin <= begin;
  return patch(state, to, { log, register, known: goesOn ? known : { begin, end: begin } });
}

/** One entry of the primary's current append; replaces whatever is there. */
export function takeEntry(state: ModelState, to: number, at: number, entry: number): ModelState {
  const { log } = state.brokers[to]!;
  return patch(state, to, { log: [...log.slice(0, at), entry], register: entry % 16 });
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
  return { ...state, list: next, listRevision: state.listRevision + 1, listBefore: state.list };
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
