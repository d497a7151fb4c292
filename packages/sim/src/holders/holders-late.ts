// Requests of the model that come late: what a primary had sent when it gave up, and what becomes of it.
import type { ActivationEffect } from "@millrace/broker";
import { bringJudged } from "./holders-bring.ts";
import { applyWrite, request, takeEntries } from "./holders-requests.ts";
import type { Variant } from "./holders-rules.ts";
import {
  memberOf,
  registerOf,
  routeAt,
  type BroughtBytes,
  type Late,
  type ModelState,
  type Move,
} from "./holders-state.ts";

/** What a primary sends when it brings a member. */
export function broughtBytes(
  state: ModelState,
  i: number,
  { begin, end, registers }: Extract<ActivationEffect, { kind: "bring" }>,
): BroughtBytes {
  const { snapshot } = state.brokers[i]!;
  const entries = snapshot?.entries.slice(begin, end) ?? [];
  return {
    begin,
    entries,
    register: registers === undefined ? (snapshot?.register ?? 0) : registerOf(registers),
  };
}

/** What a primary that gives up may have sent. */
export function unsent(state: ModelState, i: number): Late[] {
  const { activation, effects, append, log } = state.brokers[i]!;
  const { epoch, stream } = activation!.attempt;
  // Going on at a larger end replaces nothing: whether it comes late makes no difference.
  const isVoid = activation?.kind === "bringing" && activation.list?.tail.kind === "void";
  const binding = { epoch, stream, isBrought: false };
  const lates: Late[] = [];
  for (const effect of effects) {
    if (effect.kind === "write-list") {
      const { next, listRevision } = effect;
      lates.push({ kind: "write", epoch, next, listRevision });
    } else if (effect.kind === "bring" && effect.member !== memberOf(i) && !isVoid) {
      lates.push({
        kind: "bring",
        to: Number(effect.member),
        binding,
        bring: broughtBytes(state, i, effect),
      });
    }
  }
  if (append === undefined) return lates;
  const route = routeAt(state, epoch)!;
  for (const to of route.members) {
    if (!append.got.includes(to))
      lates.push({ kind: "append", to, binding, at: append.at, entries: log.slice(append.at) });
  }
  return lates;
}

export function lateMoves(state: ModelState, variant: Variant | undefined, out: Move[]): void {
  const { late } = state;
  if (late === undefined) return;
  const gone: ModelState = { ...state, late: undefined };
  if (late.kind === "write") {
    const applied = applyWrite(gone, late, variant);
    if (applied !== undefined) out.push(["the late write is applied", applied]);
    return;
  }
  const { epoch, stream } = late.binding;
  const taken = request(gone, late.to, { epoch, stream, wants: late.kind }, variant);
  if (taken === undefined || taken === "refused") return;
  const next =
    late.kind === "bring"
      ? bringJudged(taken, late.to, late.bring, variant)
      : takeEntries(taken, late.to, late.at, late.entries);
  out.push([`the late ${late.kind} reaches ${late.to}`, next]);
}
