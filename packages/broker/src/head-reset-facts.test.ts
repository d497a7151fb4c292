import assert from "node:assert/strict";
import { test } from "node:test";
import { headResetFacts } from "./head-reset-facts.ts";
import type { ActivationState } from "./holders-activation.ts";

type Recording = Extract<ActivationState, { kind: "recording" }>;

function recording(end: number, givenUp: readonly string[]): Recording {
  const attempt = { self: "a", members: ["a"], reset: { offset: 5, knownEnd: 3 } };
  return { kind: "recording", begin: 0, end, attempt, givenUp } as unknown as Recording;
}

test("head reset: the only holder is gone -> from where the stores end, as far as it had it", () => {
  const facts = headResetFacts("a/one", recording(0, ["disk-b"]));
  const lost = { lostFrom: 3, lostTo: "where the lost brokers had it", directories: "disk-b" };
  assert.deepEqual(facts, { journal: "a/one", goesOnAt: 5, ...lost });
});

test("head reset: another holder has more than the stores -> from where it ends", () => {
  assert.equal(headResetFacts("a/one", recording(7, ["disk-b", "disk-c"]))?.lostFrom, 7);
});

test("head reset: every holder answers -> nothing to say", () => {
  assert.equal(headResetFacts("a/one", recording(7, [])), undefined);
});
