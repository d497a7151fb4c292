// No state of the model may be a dead end: with every broker up, every keyspace current and no more faults, the primary
// comes to commit an append.
import { judge } from "./holders-judge.ts";
import { moves } from "./holders-moves.ts";
import { patch, revisionOf, type Bounds, type ModelRoute, type ModelState } from "./holders-state.ts";
import { STOPPED } from "./holders-requests.ts";

const STEPS_MAX = 60;
const RESUMED: ModelRoute = { members: [0, 1], primary: 0 };
/** What moves a journal on, the most urgent first. */
const FORWARD = [
  /restarts$/,
  /sees the route$/,
  /acknowledges$/,
  /takes it from/,
  /appends/,
  /writes the list$/,
  /marks the list void$/,
  /synchronises$/,
  /asks/,
  /brings/,
  /was brought$/,
  /fences/,
  /begins/,
];

/** @returns why the journal is stuck, or undefined */
export function heal(broken: ModelState): string | undefined {
  const { acknowledged, streams, tokens, crashes, routes } = broken;
  const isNobodys = routes.at(-1)!.members.length === 0;
  let state: ModelState = { ...broken, late: undefined, routes: isNobodys ? [...routes, RESUMED] : routes };
  for (const i of state.brokers.keys()) state = patch(state, i, STOPPED);
  const bounds: Bounds = {
    tokens: tokens + 1,
    routes: revisionOf(state),
    crashes,
    attempts: streams + 3,
    closes: 0,
    persists: 0,
    late: false,
    keepers: broken.keepers,
  };
  for (let step = 0; step < STEPS_MAX; step++) {
    const possible = moves(state, bounds, undefined);
    const next = FORWARD.map((pattern) => possible.find(([what]) => pattern.test(what))).find(
      (m) => m !== undefined,
    );
    if (next === undefined) break;
    state = next[1];
    const why = judge(state);
    if (why !== undefined) return `when healed: ${why}`;
    if (state.tokens > tokens && next[0].endsWith("acknowledges")) return undefined;
  }
  return `with all brokers up nothing can be committed after ${acknowledged.length} appends`;
}
