import assert from "node:assert/strict";
import { test } from "node:test";
import { givenUpTo, givingUpTo, mayResetHead, wentOn } from "./given-up.ts";
import { newJournalSpec } from "./journal-spec.ts";
import { labelSet } from "./label-set.ts";

const GIVEN_UP_90 = labelSet(
  ["kind", "x"],
  ["millrace.dev/given-up-to", "90"],
  ["millrace.dev/reset-head-at", "90"],
);

test("given up to an offset -> label and lower bound of the head, everything else as it was", () => {
  const spec = newJournalSpec({ name: "a/one", labels: labelSet(["kind", "x"]) });
  assert.deepEqual([givenUpTo(spec), mayResetHead(spec)], [undefined, false]);
  const given = givingUpTo(spec, 70);
  assert.deepEqual([givenUpTo(given), mayResetHead(given)], [70, true]);
  assert.deepEqual(given.suspend, { level: "NONE", offset: 70 });
  assert.deepEqual(
    { ...given, labels: spec.labels, suspend: spec.suspend },
    { ...spec, suspend: spec.suspend },
  );
  assert.deepEqual(givingUpTo(given, 90).labels, GIVEN_UP_90);
});

test("the journal went on -> its head may be reset no more, until a person says so again", () => {
  const spec = newJournalSpec({ name: "a/one", labels: labelSet(["kind", "x"]) });
  const after = wentOn(givingUpTo(spec, 70));
  assert.deepEqual([givenUpTo(after), mayResetHead(after), after.suspend?.offset], [70, false, 70]);
  assert.ok(mayResetHead(givingUpTo(after, 0)));
});

test("given up below what the spec has said already -> there; suspended since -> not where a person said", () => {
  const suspend = { level: "PARTIAL", offset: 50 } as const;
  const given = givingUpTo(newJournalSpec({ name: "a/one", suspend }), 0);
  assert.deepEqual([givenUpTo(given), given.suspend], [50, suspend]);
  assert.ok(!mayResetHead({ ...given, suspend: { level: "FULL", offset: 60 } }));
});

for (const value of ["-1", "x", "1e99", "0.5"]) {
  test(`a label of ${value} -> nothing is given up`, () => {
    const labels = labelSet(["millrace.dev/given-up-to", value]);
    assert.equal(givenUpTo({ labels }), undefined);
  });
}
