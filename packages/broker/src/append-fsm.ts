// The append machine: decides everything about one append; a shell (append-call.ts) performs its effects. Pure.
//
//   resolving ──► acquiring-pipeline ──► starting-pipeline ──► syncing ⟲ ──► updating-assignments
//    ▲  │  │             (token held with an equal route: straight on)              │ consistent
//    │  │  └─► proxying ──► finished                                                ▼ and enough replicas
//    │  └─► updating-suspend ◄────────────────────────────────────────────── validating ⟲ ──► syncing
//    └───────────┘ (also from any wait, when the resolution is invalidated)         │
//                                                                                   ▼
//                       finished | failed ◄── reading-acknowledgements ◄── streaming ⟲ ◄── opening
//
// Invariants
//  A1  Nothing is written before every precondition held, for the resolution in force, with the pipeline held.
//  A2  The pipeline is released exactly once on every path that acquired it: before acknowledgements are read (so that
//      the next append streams meanwhile), or together with the refusal, the failure or the change of primary.
//  A3  An append ends in exactly one of commit, barrier and rollback once it was opened.
//  A4  `finished` with status OK only after every replica acknowledged, and after all appends before it did.
//  A5  Registers change only together with bytes.
//  A6  A resolution is used only by the replica it names: a held pipeline of another replica is given back.
//
// Replication is in the machine: with no peers `sync-gathered` comes with no answers, at once.
import { assert, unreachable, WireError } from "@millrace/base";
import {
  equivalentRoutes,
  suspension,
  type AppendPreamble,
  type AppendResponse,
  type Route,
  type Status,
} from "@millrace/protocol";
import { acknowledgeSync } from "./append-sync.ts";
import { onStream } from "./append-stream.ts";
import { decidePreconditions } from "./append-preconditions.ts";
import type {
  AppendEffect,
  AppendInput,
  AppendResolution,
  AppendState,
  AppendStep,
  Attempt,
  Pipeline,
  PreconditionFacts,
} from "./append-states.ts";

/** The first state and effects of an append. */
export function startAppend(request: AppendPreamble): AppendStep {
  const state: AppendState = {
    kind: "resolving",
    request,
    pipeline: { kind: "none" },
    rollTo: 0,
    minRevision: request.minEtcdRevision,
  };
  return [state, [{ kind: "resolve", minRevision: state.minRevision }]];
}

export function stepAppend(state: AppendState, input: AppendInput): AppendStep {
  // An append whose bytes are open must give them back; append-stream.ts does.
  if (state.kind === "finished" || state.kind === "failed") return [state, []];
  if (state.kind === "streaming" || state.kind === "opening" || state.kind === "reading-acknowledgements") {
    return onStream(state, input);
  }
  if (input.kind === "cancelled" || input.kind === "effect-failed") {
    return [{ kind: "failed", error: input.error }, releaseOf(state)];
  }
  switch (state.kind) {
    case "resolving":
      // The resolution that comes is at least as new as what invalidated the old one.
      if (input.kind === "invalidated") return [state, []];
      assert(input.kind === "resolved", "resolving waits for a resolution", { input: input.kind });
      return onResolved(state, input.resolution);
    case "acquiring-pipeline":
      if (input.kind === "invalidated") return resolveAgain(state, 0);
      assert(input.kind === "pipeline-acquired", "waits for the pipeline", { input: input.kind });
      return startPipeline({
        ...state,
        pipeline: { kind: "held", replica: state.resolution.replica, route: input.route },
      });
    case "starting-pipeline":
      if (input.kind === "invalidated") return resolveAgain(state, 0);
      assert(input.kind === "pipeline-opened", "waits for the spool", { input: input.kind });
      return sync(state, state.rollTo, true);
    case "syncing":
      // The peers answer for the route that was proposed to them; a newer one shows in their answers.
      if (input.kind === "invalidated") return [state, []];
      assert(input.kind === "sync-gathered", "waits for the peers", { input: input.kind });
      return onSyncGathered(state, acknowledgeSync(state.resolution, input));
    case "updating-assignments":
    case "updating-suspend":
      if (input.kind === "invalidated") return [state, []];
      assert(input.kind === "transaction-done", "waits for its transaction", { input: input.kind });
      return resolveAgain(state, input.revision);
    case "validating":
      if (input.kind === "invalidated") return resolveAgain(state, 0);
      assert(input.kind === "facts-gathered", "waits for facts", { input: input.kind });
      return validate(state, input.facts);
    case "proxying":
      if (input.kind === "invalidated") return [state, []];
      assert(input.kind === "proxied", "waits for the primary's answer", { input: input.kind });
      return [{ kind: "finished", response: input.response }, []];
    default:
      return unreachable(state);
  }
}

function onResolved(
  state: Extract<AppendState, { kind: "resolving" }>,
  resolution: AppendResolution,
): AppendStep {
  const attempt: Attempt = {
    request: state.request,
    resolution,
    pipeline: state.pipeline,
    rollTo: state.rollTo,
  };
  if (resolution.status === "SUSPENDED" && state.request.suspend === "SUSPEND_RESUME") {
    assert(resolution.spec !== undefined, "a suspended journal has a spec");
    const { offset } = suspension(resolution.spec);
    return [
      { ...attempt, kind: "updating-suspend" },
      [{ kind: "update-suspend", suspend: { level: "NONE", offset } }],
    ];
  }
  if (resolution.status !== "OK") return refuse(attempt, resolution.status);
  const held = attempt.pipeline.kind === "held" ? attempt.pipeline : undefined;
  if (!resolution.primaryIsSelf) {
    return withEffectsBefore(
      releaseOf(state),
      awaitDesiredReplicas({ ...attempt, pipeline: { kind: "none" } }),
    );
  }
  if (held !== undefined && held.replica === resolution.replica) return startPipeline(attempt);
  // A6: a held pipeline belongs to a replica that is no more.
  const next: AppendState = { ...attempt, kind: "acquiring-pipeline", pipeline: { kind: "none" } };
  return [next, [...releaseOf(state), { kind: "acquire-pipeline" }]];
}

/** With the pipeline held: goes on if the peers are in sync for this route, else opens it anew. */
function startPipeline(attempt: Attempt): AppendStep {
  const { pipeline, resolution } = attempt;
  assert(pipeline.kind === "held", "the pipeline is held");
  const route = resolution.header.route;
  if (pipeline.route !== undefined && equivalentRoutes(pipeline.route, route))
    return updateAssignments(attempt);
  const next: AppendState = {
    ...attempt,
    kind: "starting-pipeline",
    pipeline: { ...pipeline, route: undefined },
  };
  return [next, [{ kind: "open-pipeline", route }]];
}

function sync(
  attempt: Attempt,
  rollTo: number,
  first: boolean,
  registers?: Extract<AppendEffect, { kind: "sync" }>["registers"],
): AppendStep {
  return [
    { ...attempt, kind: "syncing", rollTo, pipeline: inSyncFor(attempt.pipeline, undefined) },
    [{ kind: "sync", rollTo, registers, first }],
  ];
}

function onSyncGathered(attempt: Attempt, outcome: ReturnType<typeof acknowledgeSync>): AppendStep {
  switch (outcome.kind) {
    case "in-sync":
      return updateAssignments({
        ...attempt,
        pipeline: inSyncFor(attempt.pipeline, attempt.resolution.header.route),
      });
    case "roll":
      return sync(attempt, outcome.rollTo, false, outcome.registers);
    case "read-through": {
      const torn: Attempt = { ...attempt, pipeline: { kind: "none" } };
      return withEffectsBefore(
        [{ kind: "release-pipeline", route: undefined }],
        resolveAgain(torn, outcome.revision),
      );
    }
    case "failed":
      return [
        { kind: "failed", error: new WireError("UNAVAILABLE", outcome.reason) },
        [{ kind: "release-pipeline", route: undefined }],
      ];
    default:
      return unreachable(outcome);
  }
}

function inSyncFor(pipeline: Pipeline, route: Route | undefined): Pipeline {
  assert(pipeline.kind === "held", "the pipeline is held");
  return { ...pipeline, route };
}

function updateAssignments(attempt: Attempt): AppendStep {
  if (attempt.resolution.assignmentsConsistent) return awaitDesiredReplicas(attempt);
  return [{ ...attempt, kind: "updating-assignments" }, [{ kind: "update-assignments" }]];
}

function awaitDesiredReplicas(attempt: Attempt): AppendStep {
  const { header, desiredReplicas, primaryIsSelf } = attempt.resolution;
  const members = header.route.members.length;
  // The allocator is about to take the surplus away.
  if (members > desiredReplicas) return resolveAgain(attempt, header.etcd.revision + 1);
  if (members < desiredReplicas) return refuse(attempt, "INSUFFICIENT_JOURNAL_BROKERS");
  if (!primaryIsSelf) return [{ kind: "proxying" }, [{ kind: "proxy", header }]];
  return [{ ...attempt, kind: "validating", wakeups: 0 }, [{ kind: "gather-facts", wanted: "now" }]];
}

function validate(state: Extract<AppendState, { kind: "validating" }>, facts: PreconditionFacts): AppendStep {
  const { request, resolution, wakeups, rollTo, pipeline } = state;
  assert(resolution.spec !== undefined, "a resolution that is OK has a spec");
  const attempt: Attempt = { request, resolution, pipeline, rollTo };
  const outcome = decidePreconditions(request, resolution.spec, facts, wakeups, rollTo);
  switch (outcome.kind) {
    case "wait": {
      const failed = outcome.wanted === "after-store-check" ? 1 : 0;
      return [{ ...state, wakeups: wakeups + failed }, [{ kind: "gather-facts", wanted: outcome.wanted }]];
    }
    case "refuse": {
      const { kind: _, status, ...details } = outcome;
      return refuse(attempt, status, details);
    }
    case "sync":
      return sync(attempt, outcome.rollTo, false);
    case "suspend":
      return [
        { ...attempt, kind: "updating-suspend", rollTo: outcome.rollTo },
        [{ kind: "update-suspend", suspend: outcome.suspend }],
      ];
    case "stream": {
      const { barrierStatus } = outcome;
      const next: AppendState = {
        ...attempt,
        kind: "opening",
        rollTo: outcome.rollTo,
        registers: facts.registers,
        barrierStatus,
      };
      return [next, [{ kind: "open-append", rollTo: outcome.rollTo }]];
    }
    default:
      return unreachable(outcome);
  }
}

/** Keeps the pipeline, if held. */
function resolveAgain(attempt: Attempt, minRevision: number): AppendStep {
  const { request, pipeline, rollTo } = attempt;
  return [{ kind: "resolving", request, pipeline, rollTo, minRevision }, [{ kind: "resolve", minRevision }]];
}

function refuse(
  attempt: Attempt,
  status: Status,
  details: Partial<Pick<AppendResponse, "registers" | "storeHealthError">> = {},
): AppendStep {
  const { header } = attempt.resolution;
  const response: AppendResponse = {
    status,
    header,
    totalChunks: 0,
    delayedChunks: 0,
    storeHealthError: "",
    ...details,
  };
  return [{ kind: "finished", response }, releaseOf(attempt)];
}

/** A2: gives back what is held, for the next append to use as it is. */
function releaseOf(state: AppendState | Attempt): AppendEffect[] {
  if (!("pipeline" in state) || state.pipeline.kind !== "held") return [];
  return [{ kind: "release-pipeline", route: state.pipeline.route }];
}

function withEffectsBefore(before: readonly AppendEffect[], [state, effects]: AppendStep): AppendStep {
  return [state, [...before, ...effects]];
}
