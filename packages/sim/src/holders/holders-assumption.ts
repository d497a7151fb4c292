// What the model takes for granted where a broker keeps no list (D15): Gazette's own assumption.
import { isMixed, isTenured, registerBehind, revisionOf, routeAt, type ModelState } from "./holders-state.ts";

/**
 * Where a broker keeps no list, an end survives only with a member that has been one without a break; changes of route
 * overlap. Faults that break it are not played.
 */
export function isHeadKnown(state: ModelState): boolean {
  const { acknowledged, list, brokers, keepers } = state;
  const route = state.routes.at(-1)!;
  const wasMixed = isMixed(state, state.routes.at(-2)) || isMixed(state, route);
  if (!wasMixed && list?.tail.kind !== "void") return true;
  const before = state.routes.at(-2)?.members ?? route.members;
  if (!route.members.some((i) => before.includes(i))) return false;
  const isIdleAll = brokers.every((_, i) => isIdle(state, i));
  if (state.tokens === 0 && isIdleAll) return true;
  const last = acknowledged.at(-1);
  const { tail } = list ?? {};
  const end =
    tail?.kind === "closed"
      ? tail.end
      : tail?.kind === "void" && tail.registers !== undefined
        ? tail.begin
        : -1;
  const isListed = end === acknowledged.length && isIdleAll;
  return route.members.some((i) => {
    const { up, log, register } = brokers[i]!;
    if (!up) return false;
    if (i < keepers && isListed) return true;
    const entry = log[acknowledged.length - 1] ?? 0;
    const knows = entry === last || (entry === 0 && register === registerBehind(last));
    const goesOn = isTenured(state, i, revisionOf(state)) && log.length >= acknowledged.length;
    return goesOn && (knows || last === undefined || last < 0);
  });
}

/** Nor will it begin to write without lists on a route that is over, which it has not seen. */
function isIdle(state: ModelState, i: number): boolean {
  const { activation, view } = state.brokers[i]!;
  const route = routeAt(state, view);
  return activation === undefined && !(route?.primary === i && isMixed(state, route));
}
