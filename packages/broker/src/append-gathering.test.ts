// The append machine while content is not here yet (A7).
import assert from "node:assert/strict";
import { test } from "node:test";
import { attempt, INPUTS, resolution, route, run, STATES } from "./append-fsm-testkit.ts";
import type { AppendEffect, AppendInput, ContentStanding } from "./append-states.ts";
import { journalSpec } from "./broker-testkit.ts";

const readOnly = {
  attempt: attempt({ resolution: resolution({ spec: journalSpec("a/journal", { flags: 1 }) }) }),
};
const gathered = (content: ContentStanding): AppendInput => ({ ...INPUTS["facts-gathered"], content });

for (const [content, wanted, wantedOfRefused] of [
  ["none", "enough", "some"],
  ["some", "enough", undefined],
  ["enough", undefined, undefined],
] as const) {
  test(`append machine: ${content} of its content is here -> opened only when nothing is waited for`, () => {
    for (const [from, least] of [
      [STATES.validating, wanted],
      [{ ...STATES.validating, ...readOnly }, wantedOfRefused],
    ] as const) {
      const { effects } = run(from, gathered(content));
      const waits: AppendEffect = { kind: "gather-content", least: least ?? "some", isTimed: false };
      assert.deepEqual(effects, [least === undefined ? { kind: "open-append", rollTo: 0 } : waits]);
    }
  });
}

test("append machine: others want the pipeline before its content is here -> they have it, it comes again", () => {
  const { kinds, state } = run(
    STATES.validating,
    gathered("none"),
    INPUTS.wanted,
    INPUTS.invalidated,
    INPUTS.evicted,
    INPUTS["content-gathered"],
    INPUTS.resolved,
    { kind: "pipeline-acquired", route: route() },
    INPUTS["facts-gathered"],
  );
  assert.deepEqual(kinds, [
    "gather-content",
    "release-pipeline",
    "gather-content",
    "resolve",
    "acquire-pipeline",
    "gather-facts",
    "open-append",
  ]);
  assert.equal(state.kind, "opening");
});

test("append machine: it gave its turn to others -> what its peers are in sync for stays, its client is timed", () => {
  const { effects, state } = run(STATES.gathering, INPUTS.wanted);
  assert.deepEqual(effects, [
    { kind: "release-pipeline", route: route() },
    { kind: "gather-content", least: "enough", isTimed: true },
  ]);
  assert.deepEqual(run(state, INPUTS["effect-failed"]).kinds, []);
  assert.deepEqual(run(state, INPUTS.cancelled).kinds, []);
});
