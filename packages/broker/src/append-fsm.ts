// The append machine: decides everything about one append; a shell (append-call.ts) performs its effects. Pure.
//
//   resolving ──► acquiring-pipeline ──► starting-pipeline ──► syncing ⟲ ──► updating-assignments
//    ▲  │  │             (token held with an equal route: straight on)              │ consistent
//    │  │  └─► proxying ──► finished                                                ▼ and enough replicas
//    │  │        └─► resolving, when nobody saw it                                  │
//    │  └─► updating-suspend ◄────────────────────────────────────────────── validating ⟲ ──► syncing
//    ├───────────┘ (also from any wait, when the resolution is invalidated)       ▲ │
//    └─── gathering (without the pipeline) ◄─── gathering (with it) ◄─────────────┘ │ content is here
//                                                                                   ▼
//                       finished | failed ◄── reading-acknowledgements ◄── streaming ⟲ ◄── opening
//
// Invariants
//  A1  Nothing is written before every precondition held, for the resolution in force, with the pipeline held.
//  A2  The pipeline is released exactly once on every path that acquired it: before acknowledgements are read (so
//      that the next append streams meanwhile), or together with the refusal, the failure or the change of primary.
//  A3  An append ends in exactly one of commit, barrier and rollback once it was opened.
//  A4  `finished` with status OK only after every replica acknowledged, and after all appends before it did.
//  A5  Registers change only together with bytes.
//  A6  A resolution is used only by the replica it names: a held pipeline of another replica is given back. So is one
//      that a newer primary takes, and what was not opened resolves again: it may have moved the primary itself.
//  A7  Nothing is opened before all of its content is here, or as much as is collected in memory: until then it gives
//      the pipeline to whoever else wants it, and is judged anew when its turn comes again.
//  A8  It waits for the allocator to take surplus members away only while the assignments are consistent. Until the
//      primary has made them so, the allocator keeps all: then an append elsewhere goes there, and has it done at once.
//      Gazette's primaries do it for an append or once a minute.
//
// Replication is in the machine: with no peers `sync-gathered` comes with no answers, at once.
import { assert, unreachable, WireError } from "@millrace/base";
import {
  equivalentRoutes,
  suspension,
  type AppendPreamble,
  type AppendResponse,
  type JournalSpec,
  type LabelSet,
  type Route,
  type Status,
} from "@millrace/protocol";
import { hasEnoughReplicas } from "./acknowledgement-rule.ts";
import { decidePreconditions } from "./append-preconditions.ts";
import type {
  AppendEffect,
  AppendInput,
  AppendResolution,
  AppendState,
  AppendStep,
  Attempt,
  ContentStanding,
  Pipeline,
  PreconditionFacts,
} from "./append-states.ts";
import { mayHaveContent, onStream } from "./append-stream.ts";
import { acknowledgeSync } from "./append-sync.ts";

type Resolving = Extract<AppendState, { kind: "resolving" }>;
type Gathering = Extract<AppendState, { kind: "gathering" }>;
type Validating = Extract<AppendState, { kind: "validating" }>;
type Unopened = Exclude<
  AppendState,
  { kind: "opening" | "streaming" | "reading-acknowledgements" | "finished" | "failed" }
>;

const NOT_HELD: Pipeline = { kind: "none" };
const GATHER_FACTS: readonly AppendEffect[] = [{ kind: "gather-facts", wanted: "now" }];

/** The first state and effects of an append. */
export function startAppend(request: AppendPreamble): AppendStep {
  const minRevision = request.minEtcdRevision;
  return [
    { kind: "resolving", request, pipeline: NOT_HELD, rollTo: 0, minRevision },
    [{ kind: "resolve", minRevision }],
  ];
}

export function stepAppend(state: AppendState, input: AppendInput): AppendStep {
  if (state.kind === "finished" || state.kind === "failed") return [state, []];
  if (state.kind === "opening" || state.kind === "streaming" || state.kind === "reading-acknowledgements") {
    return onStream(state, input);
  }
  if (input.kind === "cancelled" || input.kind === "effect-failed") {
    return [{ kind: "failed", error: input.error }, releaseOf(pipelineOf(state))];
  }
  if (input.kind === "evicted") return onEvicted(state);
  switch (state.kind) {
    case "resolving":
      // The resolution that comes is at least as new as what invalidated the old one.
      if (input.kind === "invalidated") return [state, []];
      assert(input.kind === "resolved", "resolving waits for a resolution");
      return onResolved(state, input.resolution);
    case "acquiring-pipeline":
      if (input.kind === "invalidated") return resolveAgain(state.attempt, 0);
      assert(input.kind === "pipeline-acquired", "waits for the pipeline");
      return startPipeline(state.attempt, input.route);
    case "starting-pipeline":
      if (input.kind === "invalidated") return resolveAgain(state.attempt, 0);
      if (input.kind === "overtaken") return readThrough(state.attempt, input.revision);
      assert(input.kind === "pipeline-opened", "waits for the spool");
      return sync(state.attempt, { rollTo: state.attempt.rollTo, first: true, isStale: false });
    case "syncing":
      // The peers answer for the route that was proposed to them, and then the journal is looked at again.
      if (input.kind === "invalidated") return [state.isStale ? state : { ...state, isStale: true }, []];
      assert(input.kind === "sync-gathered", "waits for the peers");
      return onSyncGathered(state, input);
    case "updating-assignments":
    case "updating-suspend":
      if (input.kind === "invalidated") return [state, []];
      assert(input.kind === "transaction-done", "waits for its transaction");
      return resolveAgain(state.attempt, input.revision);
    case "validating":
      if (input.kind === "invalidated") return resolveAgain(state.attempt, 0);
      assert(input.kind === "facts-gathered", "waits for facts");
      return validate(state, input.facts, input.content);
    case "gathering":
      return onGathering(state, input);
    case "proxying":
      if (input.kind === "invalidated") return [state, []];
      if (input.kind === "unseen") return resolveAgain(state.attempt, 0);
      assert(input.kind === "proxied", "waits for the primary's answer");
      return [{ kind: "finished", response: input.response }, []];
    default:
      return unreachable(state);
  }
}

function onResolved({ request, pipeline, rollTo }: Resolving, resolution: AppendResolution): AppendStep {
  const attempt: Attempt = { request, resolution, pipeline, rollTo };
  if (resolution.status === "SUSPENDED" && request.suspend === "SUSPEND_RESUME") {
    assert(resolution.spec !== undefined, "a suspended journal has a spec");
    const { offset } = suspension(resolution.spec);
    return [
      { kind: "updating-suspend", attempt },
      [{ kind: "update-suspend", suspend: { level: "NONE", offset } }],
    ];
  }
  if (resolution.status !== "OK") return refuse(attempt, resolution.status);
  if (!resolution.primaryIsSelf) {
    const [state, effects] = awaitDesiredReplicas(withPipeline(attempt, NOT_HELD));
    return [state, [...releaseOf(pipeline), ...effects]];
  }
  if (pipeline.kind === "held" && pipeline.replica === resolution.replica) {
    return startPipeline(attempt, pipeline.route);
  }
  // A6: a held pipeline belongs to a replica that is no more.
  const next: AppendState = { kind: "acquiring-pipeline", attempt: withPipeline(attempt, NOT_HELD) };
  return [next, [...releaseOf(pipeline), { kind: "acquire-pipeline" }]];
}

/** With the pipeline held: goes on if the peers are in sync for this route, else opens it anew. */
function startPipeline(attempt: Attempt, inSyncFor: Route | undefined): AppendStep {
  const { replica, header } = attempt.resolution;
  const { route } = header;
  const isInSync = inSyncFor !== undefined && equivalentRoutes(inSyncFor, route);
  const held = withPipeline(attempt, { kind: "held", replica, route: isInSync ? inSyncFor : undefined });
  if (isInSync) return updateAssignments(held);
  return [{ kind: "starting-pipeline", attempt: held }, [{ kind: "open-pipeline", route }]];
}

interface SyncWish {
  readonly rollTo: number;
  /** The first proposal on these streams. */
  readonly first: boolean;
  readonly isStale: boolean;
  readonly registers?: LabelSet;
}

function sync(attempt: Attempt, { rollTo, first, isStale, registers }: SyncWish): AppendStep {
  const { request, resolution } = attempt;
  const pipeline: Pipeline = { kind: "held", replica: resolution.replica, route: undefined };
  return [
    { kind: "syncing", attempt: { request, resolution, pipeline, rollTo }, isStale },
    [{ kind: "sync", rollTo, registers, first }],
  ];
}

function onSyncGathered(
  { attempt, isStale }: Extract<AppendState, { kind: "syncing" }>,
  input: Extract<AppendInput, { kind: "sync-gathered" }>,
): AppendStep {
  const outcome = acknowledgeSync(attempt.resolution, input);
  const torn: AppendEffect = { kind: "release-pipeline", route: undefined };
  switch (outcome.kind) {
    case "in-sync": {
      const { replica, header } = attempt.resolution;
      const held = withPipeline(attempt, { kind: "held", replica, route: header.route });
      return isStale ? resolveAgain(held, 0) : updateAssignments(held);
    }
    case "roll": {
      const { rollTo, registers } = outcome;
      return sync(attempt, { rollTo, first: false, isStale, ...(registers && { registers }) });
    }
    case "read-through":
      return readThrough(attempt, outcome.revision);
    case "failed":
      return [{ kind: "failed", error: new WireError("UNAVAILABLE", outcome.reason) }, [torn]];
    default:
      return unreachable(outcome);
  }
}

/** Gives the pipeline back, torn, and resolves at a revision that has the newer route. */
function readThrough(attempt: Attempt, revision: number): AppendStep {
  const [state, effects] = resolveAgain(withPipeline(attempt, NOT_HELD), revision);
  return [state, [{ kind: "release-pipeline", route: undefined }, ...effects]];
}

/** Nothing was opened: it goes where the journal is now, also when its own suspension has moved it (A6). */
function onEvicted(state: Unopened): AppendStep {
  if (pipelineOf(state).kind === "none") return [state, []];
  const minRevision = state.kind === "resolving" ? state.minRevision : 0;
  const { request, rollTo } = "attempt" in state ? state.attempt : state;
  const [next, effects] = resolveAgain({ request, rollTo, pipeline: NOT_HELD }, minRevision);
  return [next, [{ kind: "release-pipeline", route: undefined }, ...effects]];
}

function updateAssignments(attempt: Attempt): AppendStep {
  if (attempt.resolution.assignmentsConsistent) return awaitDesiredReplicas(attempt);
  return [{ kind: "updating-assignments", attempt }, [{ kind: "update-assignments" }]];
}

function awaitDesiredReplicas(attempt: Attempt): AppendStep {
  const { header, desiredReplicas, minReplicas, primaryIsSelf, assignmentsConsistent } = attempt.resolution;
  const members = header.route.members.length;
  if (members > desiredReplicas && assignmentsConsistent) return resolveChanged(attempt); // A8
  if (members < minReplicas) return refuse(attempt, "INSUFFICIENT_JOURNAL_BROKERS");
  if (!primaryIsSelf) return [{ kind: "proxying", attempt }, [{ kind: "proxy", header }]];
  return [{ kind: "validating", attempt, wakeups: 0 }, GATHER_FACTS];
}

function validate(state: Validating, facts: PreconditionFacts, content: ContentStanding): AppendStep {
  const { attempt, wakeups } = state;
  const { request, resolution, pipeline, rollTo } = attempt;
  assert(resolution.spec !== undefined, "a resolution that is OK has a spec");
  const outcome = decidePreconditions(request, resolution.spec, facts, wakeups, rollTo);
  switch (outcome.kind) {
    case "stream": {
      if (
        !hasEnoughReplicas(
          resolution.header.route.members.length,
          resolution,
          isUnwritten(resolution.spec, facts),
        )
      )
        return refuse(attempt, "INSUFFICIENT_JOURNAL_BROKERS");
      const least = leastContent(attempt);
      if (content === "none" || (content === "some" && least === "enough")) {
        return [{ kind: "gathering", attempt }, [{ kind: "gather-content", least, isTimed: false }]];
      }
      const opened = { registers: facts.registers, barrierStatus: outcome.barrierStatus };
      return [{ kind: "opening", attempt, opened }, [{ kind: "open-append", rollTo: outcome.rollTo }]];
    }
    case "wait": {
      const failed = outcome.wanted === "after-store-check" ? 1 : 0;
      const next: Validating = { kind: "validating", attempt, wakeups: wakeups + failed };
      return [next, [{ kind: "gather-facts", wanted: outcome.wanted }]];
    }
    case "refuse": {
      const { kind: _, status, ...details } = outcome;
      return refuse(attempt, status, details);
    }
    case "sync":
      return sync(attempt, { rollTo: outcome.rollTo, first: false, isStale: false });
    case "suspend":
      return [
        { kind: "updating-suspend", attempt: { request, resolution, pipeline, rollTo: outcome.rollTo } },
        [{ kind: "update-suspend", suspend: outcome.suspend }],
      ];
    default:
      return unreachable(outcome);
  }
}

/** A7 */
function onGathering(state: Gathering, input: AppendInput): AppendStep {
  const { attempt } = state;
  const { pipeline } = attempt;
  const isHeld = pipeline.kind === "held";
  switch (input.kind) {
    case "content-gathered":
      // Without the pipeline nobody has told it of changes: it may belong elsewhere by now.
      return isHeld ? [{ kind: "validating", attempt, wakeups: 0 }, GATHER_FACTS] : resolveAgain(attempt, 0);
    case "wanted": {
      assert(isHeld, "only who holds the pipeline is asked for it");
      const least = leastContent(attempt);
      return [
        { kind: "gathering", attempt: withPipeline(attempt, NOT_HELD) },
        [...releaseOf(pipeline), { kind: "gather-content", least, isTimed: true }],
      ];
    }
    default:
      assert(input.kind === "invalidated", "waits for its content");
      return isHeld ? resolveAgain(attempt, 0) : [state, []];
  }
}

/** Content that is refused whatever it is need not be whole. */
function leastContent(attempt: Attempt): "some" | "enough" {
  return mayHaveContent(attempt) ? "enough" : "some";
}

/** Nothing was appended since the journal was made, or resumed. */
function isUnwritten(spec: JournalSpec, { spoolEnd, indexEnd }: PreconditionFacts): boolean {
  return Math.max(spoolEnd, indexEnd) <= suspension(spec).offset;
}

/** Keeps the pipeline, if held. */
function resolveChanged({ request, pipeline, rollTo }: Attempt): AppendStep {
  return [{ kind: "resolving", request, pipeline, rollTo, minRevision: 0 }, [{ kind: "resolve-changed" }]];
}

function resolveAgain(
  { request, pipeline, rollTo }: Omit<Attempt, "resolution">,
  minRevision: number,
): AppendStep {
  return [{ kind: "resolving", request, pipeline, rollTo, minRevision }, [{ kind: "resolve", minRevision }]];
}

function refuse(
  attempt: Attempt,
  status: Status,
  details: Partial<Pick<AppendResponse, "registers" | "storeHealthError">> = {},
): AppendStep {
  const { header } = attempt.resolution;
  const plain = { status, header, totalChunks: 0, delayedChunks: 0, storeHealthError: "" };
  return [{ kind: "finished", response: { ...plain, ...details } }, releaseOf(attempt.pipeline)];
}

function withPipeline({ request, resolution, rollTo }: Attempt, pipeline: Pipeline): Attempt {
  return { request, resolution, pipeline, rollTo };
}

function pipelineOf(state: AppendState): Pipeline {
  if (state.kind === "resolving") return state.pipeline;
  return "attempt" in state ? state.attempt.pipeline : NOT_HELD;
}

/** A2: gives back what is held. */
function releaseOf(pipeline: Pipeline): readonly AppendEffect[] {
  return pipeline.kind === "held" ? [{ kind: "release-pipeline", route: pipeline.route }] : [];
}
