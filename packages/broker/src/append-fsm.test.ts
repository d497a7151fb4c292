import assert from "node:assert/strict";
import { test } from "node:test";
import { InvariantError, WireError } from "@millrace/base";
import { labelSet, newFragment, type AppendPreamble } from "@millrace/protocol";
import {
  attempt,
  facts,
  finished,
  header,
  INPUTS,
  PEER,
  resolution,
  route,
  run,
  SELF,
  STATES,
} from "./append-fsm-testkit.ts";
import { stepAppend } from "./append-fsm.ts";
import type { AppendEnding, AppendInput, AppendState, PeerAnswer } from "./append-states.ts";
import { journalSpec, preamble } from "./broker-testkit.ts";

/** Next state; `same`: the very same state; `broken`: no shell gives this input there. */
type Expected = AppendState["kind"] | "same" | "broken";

const ABORTS = { cancelled: "failed", "effect-failed": "failed" } as const;
const NONE = {
  resolved: "broken",
  "pipeline-acquired": "broken",
  "pipeline-opened": "broken",
  overtaken: "broken",
  "sync-gathered": "broken",
  "transaction-done": "broken",
  "facts-gathered": "broken",
  "content-gathered": "broken",
  wanted: "broken",
  "append-opened": "broken",
  message: "broken",
  "end-of-stream": "broken",
  acknowledged: "broken",
  proxied: "broken",
  unseen: "broken",
  invalidated: "same",
  evicted: "same",
  ...ABORTS,
} as const satisfies Record<AppendInput["kind"], Expected>;
const OVER = Object.fromEntries(Object.keys(NONE).map((kind) => [kind, "same"])) as Record<
  AppendInput["kind"],
  Expected
>;

const TABLE: Record<AppendState["kind"], Record<AppendInput["kind"], Expected>> = {
  resolving: { ...NONE, resolved: "acquiring-pipeline" },
  "acquiring-pipeline": { ...NONE, "pipeline-acquired": "starting-pipeline", invalidated: "resolving" },
  "starting-pipeline": {
    ...NONE,
    "pipeline-opened": "syncing",
    overtaken: "resolving",
    invalidated: "resolving",
    evicted: "resolving",
  },
  syncing: { ...NONE, "sync-gathered": "validating", invalidated: "syncing", evicted: "resolving" },
  "updating-assignments": { ...NONE, "transaction-done": "resolving", evicted: "resolving" },
  validating: { ...NONE, "facts-gathered": "opening", invalidated: "resolving", evicted: "resolving" },
  "updating-suspend": { ...NONE, "transaction-done": "resolving", evicted: "resolving" },
  gathering: {
    ...NONE,
    "content-gathered": "validating",
    wanted: "gathering",
    invalidated: "resolving",
    evicted: "resolving",
  },
  opening: { ...NONE, "append-opened": "streaming", evicted: "failed" },
  streaming: { ...NONE, message: "streaming", "end-of-stream": "failed", evicted: "failed" },
  "reading-acknowledgements": { ...NONE, acknowledged: "finished", evicted: "failed" },
  proxying: { ...NONE, proxied: "finished", unseen: "resolving" },
  finished: OVER,
  failed: OVER,
};

test("append machine: every state and every input -> the next state, or a broken invariant", () => {
  for (const [stateKind, row] of Object.entries(TABLE) as [
    AppendState["kind"],
    (typeof TABLE)["resolving"],
  ][]) {
    for (const [inputKind, expected] of Object.entries(row) as [AppendInput["kind"], Expected][]) {
      const step = (): AppendState => stepAppend(STATES[stateKind], INPUTS[inputKind])[0];
      const what = `${stateKind} on ${inputKind}`;
      if (expected === "broken") assert.throws(step, InvariantError, what);
      else if (expected === "same") assert.equal(step(), STATES[stateKind], what);
      else assert.equal(step().kind, expected, what);
    }
  }
});

test("append machine: whatever ends an append with the pipeline held -> the pipeline is released once", () => {
  for (const state of Object.values(STATES)) {
    if (!("attempt" in state) || state.attempt.pipeline.kind !== "held") continue;
    if (state.kind === "reading-acknowledgements") continue; // It has released it before.
    for (const input of [INPUTS.cancelled, INPUTS["effect-failed"], INPUTS.evicted]) {
      const { kinds } = run(state, input);
      assert.equal(kinds.filter((kind) => kind === "release-pipeline").length, 1, state.kind);
      assert.equal(kinds.includes("rollback"), state.kind === "streaming", state.kind);
    }
  }
});

test("append machine: a newer primary takes the journal of a suspension that waits -> it goes there", () => {
  const request = preamble("a/journal", { suspend: "SUSPEND_NOW" });
  const state = { ...STATES.resolving, request, pipeline: attempt().pipeline, minRevision: 107 };
  const { kinds, state: next } = run(state, INPUTS.evicted, resolvedAs({ primaryIsSelf: false }));
  assert.deepEqual([kinds, next.kind], [["release-pipeline", "resolve", "proxy"], "proxying"]);
  assert.deepEqual(run(state, INPUTS.evicted).effects.at(-1), { kind: "resolve", minRevision: 107 });
});

const chunk = (bytes: number, delayed = false): AppendInput => ({
  kind: "message",
  message: { shape: "chunk", bytes, delayed },
});
const resolvedAs = (fields: Parameters<typeof resolution>[0]): AppendInput => ({
  kind: "resolved",
  resolution: resolution(fields),
});

test("append machine: an append to an idle journal -> every effect in order, and the commit is answered", () => {
  const start = run(
    preamble("a/journal"),
    INPUTS.resolved,
    INPUTS["pipeline-acquired"],
    INPUTS["pipeline-opened"],
    INPUTS["sync-gathered"],
    INPUTS["facts-gathered"],
    INPUTS["append-opened"],
    chunk(3),
    chunk(2, true),
    chunk(0),
    INPUTS["end-of-stream"],
    INPUTS.acknowledged,
  );
  assert.deepEqual(start.kinds, [
    "resolve",
    "acquire-pipeline",
    "open-pipeline",
    "sync",
    "gather-facts",
    "open-append",
    "receive",
    "write-chunk",
    "receive",
    "write-chunk",
    "receive",
    "receive",
    "commit",
    "release-pipeline",
    "await-acknowledgement",
  ]);
  assert.equal(start.state.kind, "finished");
  const { response } = finished(start.state);
  assert.deepEqual(
    [response.status, response.totalChunks, response.delayedChunks, response.commit?.end],
    ["OK", 3, 1, 5],
  );
});

// Resolution.

test("append machine: a resolution that is not OK -> answered with its status and header", () => {
  for (const status of ["JOURNAL_NOT_FOUND", "NO_JOURNAL_PRIMARY_BROKER", "SUSPENDED"] as const) {
    const { state } = run(preamble("a/journal", { suspend: "SUSPEND_NO_RESUME" }), resolvedAs({ status }));
    assert.equal(state.kind === "finished" && state.response.status, status);
  }
});

test("append machine: resolved with the pipeline of this replica held -> synchronizes no more", () => {
  const { state, kinds } = run({ ...STATES.resolving, pipeline: attempt().pipeline }, INPUTS.resolved);
  assert.deepEqual([state.kind, kinds], ["validating", ["gather-facts"]]);
});

test("append machine: resolved to another replica, or another primary -> the held pipeline is given back", () => {
  const held = { ...STATES.resolving, pipeline: attempt().pipeline };
  assert.deepEqual(run(held, resolvedAs({ replica: 2 })).kinds, ["release-pipeline", "acquire-pipeline"]);
  const elsewhere = {
    primaryIsSelf: false,
    replica: 0,
    header: header({ processId: PEER, route: route([PEER]) }),
  };
  assert.deepEqual(run(held, resolvedAs(elsewhere)).kinds, ["release-pipeline", "proxy"]);
});

test("append machine: a changed route -> the pipeline is opened anew", () => {
  const pipeline = { kind: "held", replica: 1, route: route([PEER, SELF], 1) } as const;
  const { kinds } = run({ ...STATES.resolving, pipeline }, INPUTS.resolved, INPUTS["pipeline-opened"]);
  assert.deepEqual(kinds, ["open-pipeline", "sync"]);
});

// Synchronization.

function synced(answer: PeerAnswer, ownEnd = 10): ReturnType<typeof run> {
  return run(STATES.syncing, { kind: "sync-gathered", ownEnd, answers: [answer] });
}
const fragment = (begin: number, end: number) =>
  newFragment({ journal: "a/journal", begin, end, compressionCodec: "NONE" });

test("append machine: a peer reports a larger offset -> rolls there with its registers", () => {
  const registers = labelSet(["a", "b"]);
  const { effects } = synced({
    kind: "answered",
    peer: PEER,
    status: "PROPOSAL_MISMATCH",
    fragment: fragment(5, 20),
    registers,
  });
  assert.deepEqual(effects, [{ kind: "sync", rollTo: 20, registers, first: false }]);
});

const STARTS_ANEW = { kind: "answered", peer: PEER, status: "PROPOSAL_MISMATCH" } as const;

test("append machine: a peer starts anew at our end -> rolls there, our registers stay", () => {
  const { effects } = synced({ ...STARTS_ANEW, fragment: fragment(10, 10) });
  assert.deepEqual(effects, [{ kind: "sync", rollTo: 10, registers: undefined, first: false }]);
});

test("append machine: a peer knows a newer route -> tears down and reads through its revision", () => {
  const newer = header({ route: route([PEER]), etcd: { ...header().etcd, revision: 105 } });
  const { state, effects } = synced({ kind: "answered", peer: PEER, status: "WRONG_ROUTE", header: newer });
  assert.equal(state.kind, "resolving");
  assert.deepEqual(effects, [
    { kind: "release-pipeline", route: undefined },
    { kind: "resolve", minRevision: 105 },
  ]);
});

test("append machine: the journal changes while the peers answer -> looked at again, with the pipeline", () => {
  const { state, kinds } = run(
    STATES.syncing,
    INPUTS.invalidated,
    INPUTS.invalidated,
    { kind: "sync-gathered", ownEnd: 10, answers: [{ ...STARTS_ANEW, fragment: fragment(10, 10) }] },
    INPUTS["sync-gathered"],
    INPUTS.resolved,
  );
  assert.deepEqual([state.kind, kinds], ["validating", ["sync", "resolve", "gather-facts"]]);
});

const BROKEN_SYNCS: readonly (readonly [string, PeerAnswer, RegExp])[] = [
  [
    "stream error",
    { kind: "broken", peer: PEER, reason: "EOF" },
    /^gatherSync: recv from zone:"b" suffix:"peer": EOF$/,
  ],
  [
    "WRONG_ROUTE of an equal route",
    {
      kind: "answered",
      peer: PEER,
      status: "WRONG_ROUTE",
      header: header({ etcd: { ...header().etcd, revision: 200 } }),
    },
    /unexpected WRONG_ROUTE$/,
  ],
  [
    "mismatch of the same end with other content",
    { kind: "answered", peer: PEER, status: "PROPOSAL_MISMATCH", fragment: fragment(5, 10) },
    /unexpected PROPOSAL_MISMATCH$/,
  ],
  [
    "another status",
    { kind: "answered", peer: PEER, status: "NOT_ALLOWED" },
    /unexpected !OK response: NOT_ALLOWED$/,
  ],
];

for (const [what, answer, text] of BROKEN_SYNCS) {
  test(`append machine: synchronization, ${what} -> fails and tears the pipeline down`, () => {
    const { state, effects } = synced(answer);
    assert.match(state.kind === "failed" ? state.error.message : "", text);
    assert.deepEqual(effects, [{ kind: "release-pipeline", route: undefined }]);
  });
}

// Assignments and replicas.

test("append machine: assignments store another route -> they are written, then resolved anew", () => {
  const { state, kinds } = run(
    STATES["starting-pipeline"],
    INPUTS["pipeline-opened"],
    INPUTS["sync-gathered"],
  );
  assert.deepEqual([state.kind, kinds], ["validating", ["sync", "gather-facts"]]);
  const stale = {
    ...STATES.syncing,
    attempt: attempt({ resolution: resolution({ assignmentsConsistent: false }) }),
  };
  const updated = run(stale, INPUTS["sync-gathered"], INPUTS["transaction-done"]);
  assert.deepEqual(updated.kinds, ["update-assignments", "resolve"]);
  assert.deepEqual(updated.state.kind === "resolving" && updated.state.pipeline.kind, "held");
});

test("append machine: too many replicas -> waits for the next revision; too few -> INSUFFICIENT", () => {
  const two = header({ route: route([SELF, PEER]) });
  const many = run(
    { ...STATES.syncing, attempt: attempt({ resolution: resolution({ header: two }) }) },
    INPUTS["sync-gathered"],
  );
  assert.deepEqual(many.effects, [{ kind: "resolve-changed" }]);
  const elsewhere = (assignmentsConsistent: boolean): AppendInput =>
    resolvedAs({ header: two, primaryIsSelf: false, assignmentsConsistent });
  assert.deepEqual(run(STATES.resolving, elsewhere(true)).effects, [{ kind: "resolve-changed" }]);
  const inconsistent = run(STATES.resolving, elsewhere(false));
  assert.deepEqual(inconsistent.effects, [{ kind: "proxy", header: two }], "A8");
  const few = run(
    { ...STATES.syncing, attempt: attempt({ resolution: resolution({ desiredReplicas: 3 }) }) },
    INPUTS["sync-gathered"],
  );
  assert.equal(few.state.kind === "finished" && few.state.response.status, "INSUFFICIENT_JOURNAL_BROKERS");
});

test("append machine: fewer replicas than desired, by choice -> commits go on, the first waits for all", () => {
  const { suspend: _, ...plain } = journalSpec("a/journal");
  const spec = { ...plain, suspend: { level: "NONE", offset: 10 } } as const;
  const chosen = resolution({ spec, desiredReplicas: 3, minReplicas: 1 });
  const from = { ...STATES.syncing, attempt: attempt({ resolution: chosen }) };
  const at = (spoolEnd: number, indexEnd: number): AppendInput => ({
    kind: "facts-gathered",
    facts: facts({ spoolBegin: spoolEnd, spoolEnd, indexEnd, lastModTime: 1 }),
    content: "enough",
  });
  const first = run(from, INPUTS["sync-gathered"], at(10, 10));
  assert.equal(finished(first.state).response.status, "INSUFFICIENT_JOURNAL_BROKERS");
  assert.deepEqual(first.kinds, ["gather-facts", "release-pipeline"]);
  assert.equal(run(from, INPUTS["sync-gathered"], at(11, 0)).state.kind, "opening");
  const barely = { ...chosen, minReplicas: 2 };
  const few = run({ ...STATES.syncing, attempt: attempt({ resolution: barely }) }, INPUTS["sync-gathered"]);
  assert.equal(finished(few.state).response.status, "INSUFFICIENT_JOURNAL_BROKERS");
});

// The content stream.

const readOnly = {
  attempt: attempt({ resolution: resolution({ spec: journalSpec("a/journal", { flags: 1 }) }) }),
};

const asking = (fields: Partial<AppendPreamble>) => ({
  attempt: attempt({ request: preamble("a/journal", fields) }),
});
const changesRegisters = asking({ unionRegisters: labelSet() });
const STREAMS: readonly (readonly [
  what: string,
  from: Partial<typeof STATES.streaming>,
  inputs: readonly AppendInput[],
  want: string,
])[] = [
  ["ends without intent to commit", {}, [chunk(5), INPUTS["end-of-stream"]], "append stream: unexpected EOF"],
  [
    "goes on after the intent",
    {},
    [chunk(5), chunk(0), chunk(1)],
    "append stream: expected EOF after empty Content chunk",
  ],
  [
    "has a second preamble",
    {},
    [{ kind: "message", message: { shape: "preamble" } }],
    "append stream: expected Content chunk",
  ],
  [
    "has an invalid chunk",
    {},
    [{ kind: "message", message: { shape: "invalid", text: "unexpected Offset" } }],
    "append stream: unexpected Offset",
  ],
  [
    "changes registers without bytes",
    changesRegisters,
    [chunk(0), INPUTS["end-of-stream"]],
    "append stream: register modification requires non-empty Append",
  ],
  ["has bytes for a read-only journal", readOnly, [chunk(5), INPUTS.acknowledged], "NOT_ALLOWED"],
  [
    "has no bytes for a read-only journal",
    readOnly,
    [chunk(0), INPUTS["end-of-stream"], INPUTS.acknowledged],
    "OK",
  ],
  [
    "has bytes and suspends",
    asking({ suspend: "SUSPEND_KEEP" }),
    [chunk(1), INPUTS.acknowledged],
    "NOT_ALLOWED",
  ],
  [
    "is a barrier of a suspended journal",
    { opened: { registers: labelSet(), barrierStatus: "SUSPENDED" } },
    [chunk(0), INPUTS["end-of-stream"], INPUTS.acknowledged],
    "SUSPENDED",
  ],
];

for (const [what, from, inputs, want] of STREAMS) {
  test(`append stream: ${what} -> ${want}, nothing written`, () => {
    const { state, kinds } = run({ ...STATES.streaming, ...from }, ...inputs);
    const got =
      state.kind === "failed" ? state.error.message : state.kind === "finished" && state.response.status;
    assert.equal(got, want);
    // As Go's: its answer is the status and the header alone.
    if (got === "NOT_ALLOWED") assert.equal(state.kind === "finished" && state.response.totalChunks, 0);
    assert.deepEqual(
      kinds.filter((kind) => ["rollback", "barrier", "commit"].includes(kind)),
      [state.kind === "failed" ? "rollback" : "barrier"],
    );
    assert.equal(kinds.filter((kind) => kind === "release-pipeline").length, 1);
  });
}

test("append stream: registers -> subtracted first, then united, and committed as a whole", () => {
  const request = preamble("a/journal", {
    subtractRegisters: labelSet(["AA", "11"], ["BB", "other"]),
    unionRegisters: labelSet(["CC", "33"]),
  });
  const registers = labelSet(["AA", "11"], ["BB", "22"]);
  const opened = { registers, barrierStatus: "OK" } as const;
  const { effects } = run(
    { ...STATES.streaming, attempt: attempt({ request }), opened },
    chunk(1),
    chunk(0),
    INPUTS["end-of-stream"],
  );
  assert.deepEqual(effects[0], { kind: "commit", registers: labelSet(["BB", "22"], ["CC", "33"]) });
});

test("append stream: the caller's time is over during its commit -> nobody knows; a barrier wrote nothing", () => {
  const late = new WireError("REQUEST_TIMEOUT", "the token of the request has expired");
  const outcomeOf = (ending: AppendEnding, error: Error): unknown => {
    const state = { ...STATES["reading-acknowledgements"], ending } as AppendState;
    const after = run(state, { kind: "cancelled", error }).state;
    return after.kind === "failed" && after.error instanceof WireError ? after.error.code : after.kind;
  };
  const commit: AppendEnding = { kind: "commit", registers: labelSet() };
  const barrier: AppendEnding = { kind: "barrier", status: "OK", registers: labelSet() };
  assert.equal(outcomeOf(commit, late), "OUTCOME_UNKNOWN");
  assert.equal(outcomeOf(barrier, late), "REQUEST_TIMEOUT");
  assert.equal(outcomeOf(commit, new Error("the caller has gone")), "failed");
});

test("append stream: the resolution goes out of date -> only the rate limit is lifted", () => {
  const { state, effects } = run(STATES.streaming, INPUTS.invalidated);
  assert.equal(state, STATES.streaming);
  assert.deepEqual(effects, [{ kind: "lift-rate-limit" }]);
});
