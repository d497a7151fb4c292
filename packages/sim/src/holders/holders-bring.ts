// How a member of the model is brought: first it lets go of what is other than what it is brought, then it copies. Its
// process may die in between, or another primary may take its place: what is left has to be all that it promised.
import { bind } from "@millrace/broker";
import { bringTo, countedHere, primaryOf } from "./holders-requests.ts";
import type { Variant } from "./holders-rules.ts";
import { patch, registerAt, type BroughtBytes, type ModelBroker, type ModelState } from "./holders-state.ts";

/**
 * The request was taken. Before the member is brought, the list judges what it has (K2 of journal-holder.ts).
 * Where nothing is cut, nor copied behind what it has, both are one step.
 */
export function bringJudged(
  before: ModelState,
  to: number,
  bring: BroughtBytes,
  variant: Variant | undefined,
): ModelState {
  const state = judged(before, to, variant === "judged-brought" ? undefined : bring);
  const broker = state.brokers[to]!;
  const cutAt = cutFor(broker, bring, variant);
  const { binding, log, register, copiedFrom } = broker;
  const isCopied = log.length >= bring.begin && log.length < bring.begin + bring.entries.length;
  if (cutAt === undefined && !isCopied) return bringTo(state, to, bring, variant);
  const end = cutAt ?? log.length;
  const isUnknown = copiedFrom !== undefined && copiedFrom < end;
  const isKept = cutAt === undefined || isUnknown || variant === "cut-registers";
  return patch(state, to, {
    log: log.slice(0, end),
    register: isKept ? register : registerAt(state, broker, end),
    inner: broker.inner.filter((one) => one.end <= end),
    copiedFrom: isUnknown ? copiedFrom : undefined,
    binding: { ...binding, isBrought: false },
    bringing: { binding, bring },
  });
}

/** The second part, as far as others see it before the end: the bytes, and nothing of the register behind them. */
export function copyHalf(state: ModelState, to: number): ModelState | undefined {
  const { bringing, log, copiedFrom } = state.brokers[to]!;
  if (bringing === undefined) return undefined;
  const { begin, entries } = bringing.bring;
  if (log.length < begin || log.length >= begin + entries.length) return undefined;
  const copied = [...log, ...entries.slice(log.length - begin)];
  return patch(state, to, { log: copied, copiedFrom: copiedFrom ?? log.length });
}

/** The second part, and the answer. @returns undefined: nobody is bringing it */
export function copyBrought(
  state: ModelState,
  to: number,
  variant: Variant | undefined,
): ModelState | undefined {
  const { bringing, binding } = state.brokers[to]!;
  if (bringing === undefined) return undefined;
  const { epoch, stream } = bringing.binding;
  const bound = bind(binding, { epoch, stream, wants: "bring" });
  return bringTo(patch(state, to, { binding: bound, bringing: undefined }), to, bringing.bring, variant);
}

/** Who waits for an answer of the member that is being brought. */
export function bringerOf(state: ModelState, to: number): number | undefined {
  const { bringing } = state.brokers[to]!;
  return bringing === undefined ? undefined : primaryOf(state, bringing.binding);
}

/** K6 of journal-holder.ts. @returns undefined: it has nothing other below the end of what it is brought */
function cutFor(
  { log, released }: ModelBroker,
  { begin, entries }: BroughtBytes,
  variant: Variant | undefined,
): number | undefined {
  if (variant === "no-replace") return undefined;
  const end = Math.min(log.length, begin + entries.length);
  let at = Math.max(begin, released);
  if (variant !== "cut-whole") while (at < end && log[at] === entries[at - begin]) at++;
  return at < end ? at : undefined;
}

/** What can be compared with its source's needs no judge: the list may come to name it for that. */
function judged(state: ModelState, i: number, bring: BroughtBytes | undefined): ModelState {
  const { acknowledged, held } = countedHere(state, i);
  const kept = [...acknowledged, ...held];
  if (bring !== undefined) kept.push({ begin: bring.begin, end: bring.begin + bring.entries.length });
  const log = state.brokers[i]!.log.map((entry, at) =>
    kept.some(({ begin, end }) => begin <= at && at < end) ? entry : 0,
  );
  return patch(state, i, { log });
}
