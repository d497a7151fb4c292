// Builders for tests of the append machine: every field has a default, so that what a test sets is what matters.
import { assert } from "@millrace/base";
import { EMPTY_LABELS, newFragment, type Header, type Route } from "@millrace/protocol";
import { stepAppend, startAppend } from "./append-fsm.ts";
import type {
  AppendEffect,
  AppendInput,
  AppendResolution,
  AppendState,
  Attempt,
  PreconditionFacts,
} from "./append-states.ts";
import { journalSpec, preamble } from "./broker-testkit.ts";

export const SELF = { zone: "a", suffix: "self" };
export const PEER = { zone: "b", suffix: "peer" };

export function route(members: Route["members"] = [SELF], primary = 0): Route {
  return { members, primary, endpoints: members.map(({ suffix }) => `http://${suffix}`) };
}

export function header(fields: Partial<Header> = {}): Header {
  const etcd = { clusterId: 7n, memberId: 8n, revision: 100, raftTerm: 9n };
  return { processId: SELF, route: route(), etcd, ...fields };
}

export function resolution(fields: Partial<AppendResolution> = {}): AppendResolution {
  return {
    status: "OK",
    header: header(),
    spec: journalSpec("a/journal"),
    primaryIsSelf: true,
    replica: 1,
    desiredReplicas: 1,
    minReplicas: fields.desiredReplicas ?? 1,
    level: "synced",
    isReduced: false,
    isEarly: false,
    assignmentsConsistent: true,
    ...fields,
  };
}

export function facts(fields: Partial<PreconditionFacts> = {}): PreconditionFacts {
  return {
    firstRefreshDone: true,
    storeFailure: undefined,
    indexBegin: 0,
    indexEnd: 0,
    lastModTime: 0,
    spoolBegin: 0,
    spoolEnd: 0,
    registers: EMPTY_LABELS,
    isHeldElsewhere: false,
    now: 1_000_000,
    ...fields,
  };
}

export function attempt(fields: Partial<Attempt> = {}): Attempt {
  return {
    request: preamble("a/journal"),
    resolution: resolution(),
    pipeline: { kind: "held", replica: 1, route: route() },
    rollTo: 0,
    ...fields,
  };
}

/** One state of each kind, as it is in the middle of an ordinary append. */
export const STATES: { readonly [K in AppendState["kind"]]: Extract<AppendState, { kind: K }> } = {
  resolving: {
    kind: "resolving",
    request: preamble("a/journal"),
    pipeline: { kind: "none" },
    rollTo: 0,
    minRevision: 0,
  },
  "acquiring-pipeline": { kind: "acquiring-pipeline", attempt: attempt({ pipeline: { kind: "none" } }) },
  "starting-pipeline": { kind: "starting-pipeline", attempt: attempt() },
  syncing: { kind: "syncing", attempt: attempt(), isStale: false },
  "updating-assignments": { kind: "updating-assignments", attempt: attempt() },
  validating: { kind: "validating", wakeups: 0, attempt: attempt() },
  "updating-suspend": { kind: "updating-suspend", attempt: attempt() },
  gathering: { kind: "gathering", attempt: attempt() },
  opening: { kind: "opening", opened: { registers: EMPTY_LABELS, barrierStatus: "OK" }, attempt: attempt() },
  streaming: {
    kind: "streaming",
    phase: "content",
    opened: { registers: EMPTY_LABELS, barrierStatus: "OK" },
    counts: { bytes: 0, totalChunks: 0, delayedChunks: 0 },
    attempt: attempt(),
  },
  "reading-acknowledgements": {
    kind: "reading-acknowledgements",
    ending: { kind: "commit", registers: EMPTY_LABELS },
    counts: { bytes: 5, totalChunks: 2, delayedChunks: 0 },
    attempt: attempt(),
  },
  proxying: { kind: "proxying", attempt: attempt({ pipeline: { kind: "none" } }) },
  finished: {
    kind: "finished",
    response: { status: "OK", header: header(), totalChunks: 0, delayedChunks: 0, storeHealthError: "" },
  },
  failed: { kind: "failed", error: new Error("failed before") },
};

/** One input of each kind. */
export const INPUTS: { readonly [K in AppendInput["kind"]]: Extract<AppendInput, { kind: K }> } = {
  resolved: { kind: "resolved", resolution: resolution() },
  "pipeline-acquired": { kind: "pipeline-acquired", route: undefined },
  "pipeline-opened": { kind: "pipeline-opened" },
  overtaken: { kind: "overtaken", revision: 102 },
  "sync-gathered": { kind: "sync-gathered", ownEnd: 0, answers: [] },
  "transaction-done": { kind: "transaction-done", revision: 101 },
  "facts-gathered": { kind: "facts-gathered", facts: facts(), content: "enough" },
  "content-gathered": { kind: "content-gathered" },
  wanted: { kind: "wanted" },
  "append-opened": { kind: "append-opened" },
  message: { kind: "message", message: { shape: "chunk", bytes: 5, delayed: false } },
  "end-of-stream": { kind: "end-of-stream" },
  acknowledged: {
    kind: "acknowledged",
    commit: newFragment({ journal: "a/journal", compressionCodec: "NONE", end: 5 }),
  },
  proxied: { kind: "proxied", response: STATES.finished.response },
  unseen: { kind: "unseen" },
  invalidated: { kind: "invalidated" },
  evicted: { kind: "evicted", error: new Error("evicted") },
  cancelled: { kind: "cancelled", error: new Error("cancelled") },
  "effect-failed": { kind: "effect-failed", error: new Error("the effect failed") },
};

/** @throws unless the append was answered */
export function finished(state: AppendState): Extract<AppendState, { kind: "finished" }> {
  assert(state.kind === "finished", "the append was answered", { state: state.kind });
  return state;
}

export interface Trace {
  readonly state: AppendState;
  /** Of the last step. */
  readonly effects: readonly AppendEffect[];
  /** Kinds of all effects, in order. */
  readonly kinds: readonly string[];
}

/** Runs the machine from `from`, or from its start, through `inputs`. */
export function run(
  from: AppendState | ReturnType<typeof preamble>,
  ...inputs: readonly AppendInput[]
): Trace {
  let [state, effects] = "kind" in from ? ([from, []] as const) : startAppend(from);
  const kinds = effects.map(({ kind }) => kind as string);
  for (const input of inputs) {
    [state, effects] = stepAppend(state, input);
    kinds.push(...effects.map(({ kind }) => kind));
  }
  return { state, effects, kinds };
}
