import assert from "node:assert/strict";
import { test } from "node:test";
import { effectiveAcknowledgement, hasEnoughReplicas } from "./acknowledgement-rule.ts";
import type { HoldersList } from "./holders-list.ts";

type Level = "synced" | "replicated";
const CASES: readonly (readonly [Level, number | undefined, boolean, Level, number, boolean])[] = [
  ["synced", undefined, false, "synced", 3, false],
  ["synced", 2, false, "synced", 2, false],
  ["replicated", 0, false, "replicated", 1, false],
  ["synced", 9, false, "synced", 3, false],
  ["synced", 2, true, "replicated", 3, true],
  ["synced", undefined, true, "replicated", 3, true],
  ["replicated", 2, true, "replicated", 3, true],
  ["replicated", 3, true, "replicated", 3, false],
];
for (const [level, min, isMixed, wantLevel, want, isReduced] of CASES) {
  test(`acknowledgement: ${level}, ${min} of 3, mixed ${isMixed} -> ${wantLevel}, ${want}`, () => {
    const got = effectiveAcknowledgement({ level, minReplicas: min }, 3, isMixed);
    assert.deepEqual(got, { level: wantLevel, minReplicas: want, isReduced });
  });
}

test("acknowledgement: fewer members than wanted -> not enough; a new or resumed journal waits for all", () => {
  const rule = effectiveAcknowledgement({ level: "synced", minReplicas: 2 }, 3, false);
  const list: HoldersList = { segments: [{ epoch: 1, begin: 0, members: ["a"] }], tail: { kind: "held" } };
  const enough = (members: number, known: HoldersList | undefined, isResumed: boolean): boolean =>
    hasEnoughReplicas(members, 3, rule, { list: known, isResumed });
  assert.deepEqual(
    [1, 2, 3].map((n) => enough(n, list, false)),
    [false, true, true],
  );
  assert.deepEqual(
    [2, 3].map((n) => enough(n, undefined, false)),
    [false, true],
  );
  assert.deepEqual(
    [2, 3].map((n) => enough(n, list, true)),
    [false, true],
  );
});
