// Two ways through the model of the holders rules: every state within bounds, breadth first, so that the run that
// breaks a promise is a shortest one; and walks drawn from a seed, which go further.
import { InvariantError, type Random } from "@millrace/base";
import { judge } from "./holders-judge.ts";
import { heal } from "./holders-heal.ts";
import { moves } from "./holders-moves.ts";
import type { Variant } from "./holders-rules.ts";
import { initialState, type Bounds, type ModelState, type Move } from "./holders-state.ts";

export interface Finding {
  readonly why: string;
  readonly run: readonly string[];
}

export function shownFinding({ why, run }: Finding): string {
  return `${why}\n${run.map((what, i) => `  ${String(i + 1).padStart(2)} ${what}\n`).join("")}`;
}

export interface SearchOutcome {
  readonly finding: Finding | undefined;
  readonly states: number;
  readonly depth: number;
  /** Whether every state within the bounds was seen. */
  readonly isWhole: boolean;
  /** The most appends that were acknowledged in one state. */
  readonly acknowledged: number;
}

interface Seen {
  readonly state: ModelState;
  readonly what: string;
  readonly from: Seen | undefined;
}

export function searchAll(bounds: Bounds, variant: Variant | undefined, statesMax: number): SearchOutcome {
  const start: Seen = { state: initialState(bounds), what: "", from: undefined };
  const known = new Set([JSON.stringify(start.state)]);
  let [layer, depth, acknowledged] = [[start], 0, 0];
  while (layer.length > 0) {
    const following: Seen[] = [];
    for (const from of layer) {
      for (const [what, state] of moves(from.state, bounds, variant)) {
        const key = JSON.stringify(state);
        if (known.has(key)) continue;
        known.add(key);
        const seen = { state, what, from };
        acknowledged = Math.max(acknowledged, state.acknowledged.length);
        const why = judge(state);
        if (why !== undefined) {
          return {
            finding: { why, run: runTo(seen) },
            states: known.size,
            depth,
            isWhole: false,
            acknowledged,
          };
        }
        following.push(seen);
      }
      if (known.size > statesMax) {
        return { finding: undefined, states: known.size, depth, isWhole: false, acknowledged };
      }
    }
    layer = following;
    depth++;
  }
  return { finding: undefined, states: known.size, depth, isWhole: true, acknowledged };
}

function runTo(last: Seen): string[] {
  const run: string[] = [];
  for (let seen = last; seen.from !== undefined; seen = seen.from) run.unshift(seen.what);
  return run;
}

export interface WalksOutcome {
  readonly finding: Finding | undefined;
  readonly walks: number;
  readonly steps: number;
  readonly acknowledged: number;
}

const WALK_STEPS_MAX = 120;
/** Of a hundred steps, those that may be a change of route, a crash or the end of an attempt. */
const FAULT_PERCENT = 15;
const FAULT = /^route|crashes|gives up|may come late|leaves$/;

export function searchWalks(
  bounds: Bounds,
  variant: Variant | undefined,
  random: Random,
  walks: number,
): WalksOutcome {
  let [steps, acknowledged] = [0, 0];
  for (let walk = 1; walk <= walks; walk++) {
    let state = initialState(bounds);
    const run: string[] = [];
    const broken = (why: string): WalksOutcome => ({
      finding: { why, run },
      walks: walk,
      steps,
      acknowledged,
    });
    for (let step = 0; step < WALK_STEPS_MAX; step++) {
      let all: Move[];
      try {
        all = moves(state, bounds, variant);
      } catch (error) {
        // The broker's own code finds it.
        if (variant === undefined || !(error instanceof InvariantError)) throw error;
        return broken(error.message);
      }
      const quiet = all.filter(([what]) => !FAULT.test(what));
      const among = quiet.length > 0 && random.below(100) >= FAULT_PERCENT ? quiet : all;
      if (among.length === 0) break;
      const [what, next] = among[random.below(among.length)]!;
      state = next;
      run.push(what);
      steps++;
      acknowledged = Math.max(acknowledged, state.acknowledged.length);
      const why = judge(state);
      if (why !== undefined) return broken(why);
    }
    const stuck = variant === undefined ? heal(state) : undefined;
    if (stuck !== undefined) return broken(stuck);
  }
  return { finding: undefined, walks, steps, acknowledged };
}

/** Plays a run by the names of its moves, up to the first that is not possible or breaks a promise. */
export function replay(
  run: readonly string[],
  bounds: Bounds,
  variant: Variant | undefined,
): { readonly why: string | undefined; readonly played: number } {
  let state = initialState(bounds);
  for (const [step, what] of run.entries()) {
    const next = moves(state, bounds, variant).find(([name]) => name === what);
    if (next === undefined) return { why: undefined, played: step };
    state = next[1];
    const why = judge(state);
    if (why !== undefined) return { why, played: step + 1 };
  }
  return { why: undefined, played: run.length };
}
