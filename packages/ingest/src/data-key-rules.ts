// Which data key seals, and when another one is made: pure.
//
// N1 A key seals once it has settled: every process follows the record, and has it before it meets what it seals. It
//    has when this process has known it for SETTLE_MS of its own time: clocks of machines are minutes apart. They are
//    not a day apart, so a process that starts takes a key that is as old as that for settled. One that is alone seals
//    at once: nobody has anything else.
// N2 What seals is the newest settled key under the first name; until one has settled, the newest that has; until any
//    has, the oldest.
// N3 A key is made when none is open under the first name, and when the newest of these is older than `rotateAfterMs`.
import type { DataKey } from "./data-key-record.ts";

/** Processes look at the record every half a minute: ten looks, of which some may fail. */
export const SETTLE_MS = 5 * 60_000;

/** By the wall clock. */
export const OLD_MS = 86_400_000;

/** What a process has of a data key that stands in the record. */
export type KeyState =
  /** `name`: that of the setting which unwraps it. */
  | { readonly kind: "open"; readonly name: string; readonly bytes: Uint8Array }
  | { readonly kind: "closed"; readonly why: string };

export interface KeysHere {
  /** Oldest first. */
  readonly keys: readonly DataKey[];
  /** By id; what was not tried, or could not be for now, is not there. */
  readonly states: ReadonlyMap<string, KeyState>;
  /** By id: the monotonic time since which it is known here. */
  readonly seenAtMs: ReadonlyMap<string, number>;
  /** The first of the setting. */
  readonly firstName: string;
}

export interface RotationPlan {
  /** 0: never. */
  readonly rotateAfterMs: number;
  readonly nowMs: number;
}

/** @returns undefined when no key is open */
export function sealingKey(
  here: KeysHere,
  now: { readonly wallMs: number; readonly monotonicMs: number },
): DataKey | undefined {
  const isSettled = ({ id, madeAtMs }: DataKey): boolean =>
    now.monotonicMs - (here.seenAtMs.get(id) ?? now.monotonicMs) >= SETTLE_MS ||
    now.wallMs - madeAtMs >= OLD_MS; // N1
  const open = here.keys.filter((key) => here.states.get(key.id)?.kind === "open");
  const settled = open.filter(isSettled);
  return settled.findLast((key) => isUnderFirst(here, key)) ?? settled.at(-1) ?? open[0]; // N2
}

/** `first`: nothing is open under the first name; `rotation`: what is has become old; undefined: none (N3). */
export function keyToMake(here: KeysHere, plan: RotationPlan): "first" | "rotation" | undefined {
  const newest = here.keys.findLast((key) => isUnderFirst(here, key));
  if (newest === undefined) return "first";
  const isOld = plan.rotateAfterMs > 0 && plan.nowMs - newest.madeAtMs >= plan.rotateAfterMs;
  return isOld ? "rotation" : undefined;
}

function isUnderFirst({ states, firstName }: KeysHere, key: DataKey): boolean {
  const state = states.get(key.id);
  return state?.kind === "open" && state.name === firstName;
}
