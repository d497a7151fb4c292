// What must hold in every state of the model of the holders rules.
import { segmentEnd, validateHolders, type HoldersList } from "@millrace/broker";
import { registerBehind, registerOf, type ModelState } from "./holders-state.ts";

/** @returns the promise that is broken, or undefined */
export function judge(state: ModelState): string | undefined {
  if (state.wrong !== undefined) return state.wrong;
  const { list } = state;
  const malformed = list === undefined ? undefined : validateHolders(list);
  if (malformed !== undefined) return `the list is malformed: ${malformed}`;
  return judgeStore(state) ?? judgeHolders(state) ?? judgeClosed(state);
}

/** Takes an entry as acknowledged at its offset. */
export function acknowledge(state: ModelState, at: number, entry: number): ModelState {
  const { acknowledged } = state;
  const before = acknowledged[at];
  if (before === entry) return state;
  const shown = (e: number): string => `append ${Math.floor(e / 16)}`;
  if (before !== undefined)
    return { ...state, wrong: `offset ${at} acknowledged as ${shown(before)} and as ${shown(entry)}` };
  if (at > acknowledged.length)
    return { ...state, wrong: `offset ${at} acknowledged behind a hole at ${acknowledged.length}` };
  if (entry < 0) return { ...state, acknowledged: [...acknowledged, entry] };
  const [token, register] = [Math.floor(entry / 16), entry % 16];
  const expected = token % 2 === 1 ? token : registerBehind(acknowledged[at - 1]);
  if (register !== expected)
    return { ...state, wrong: `the register behind offset ${at} is ${register}, not ${expected}` };
  return { ...state, acknowledged: [...acknowledged, entry] };
}

function judgeStore({ store, acknowledged }: ModelState): string | undefined {
  for (const [at, entry] of store.entries()) {
    // What stood at a hole may turn up again: nothing else was written there.
    const isHole = (acknowledged[at] ?? 0) < 0;
    if (entry !== 0 && entry !== acknowledged[at] && !isHole)
      return `offset ${at}: the store has what was not acknowledged there`;
  }
  return undefined;
}

/** Whatever is acknowledged is in the store, or on the disk of every member of its segment. */
function judgeHolders({ acknowledged, store, list, brokers, mixedFrom }: ModelState): string | undefined {
  // What is written under a void list is as safe as where nobody keeps one: not these rules' promise.
  const until = Math.min(list?.tail.kind === "void" ? list.tail.begin : Infinity, mixedFrom ?? Infinity);
  for (const [at, entry] of acknowledged.slice(0, Math.min(until, acknowledged.length)).entries()) {
    if (store[at] === entry || entry < 0) continue;
    const segment = list === undefined ? undefined : segmentOf(list, at);
    if (segment === undefined) return `offset ${at} is acknowledged, in no segment and not in the store`;
    for (const member of segment.members) {
      if (brokers[Number(member)]!.log[at] !== entry) {
        const where = `member ${member} of its segment (epoch ${segment.epoch})`;
        return `offset ${at} is acknowledged, but ${where} does not have it`;
      }
    }
  }
  return undefined;
}

function judgeClosed({ list, acknowledged, mixedFrom }: ModelState): string | undefined {
  if (list?.tail.kind !== "closed" || mixedFrom !== undefined) return undefined;
  const { end, registers } = list.tail;
  if (end !== acknowledged.length)
    return `the list is closed at ${end}, but ${acknowledged.length} were acknowledged`;
  const expected = registerBehind(acknowledged.at(-1));
  const register = registerOf(registers);
  return register === expected ? undefined : `the list is closed with register ${register}, not ${expected}`;
}

function segmentOf(list: HoldersList, at: number): { members: readonly string[]; epoch: number } | undefined {
  const { segments } = list;
  for (let i = segments.length - 1; i >= 0; i--) {
    if (at < segments[i]!.begin) continue;
    const end = segmentEnd(list, i);
    return end === undefined || at < end ? segments[i] : undefined;
  }
  return undefined;
}
