import assert from "node:assert/strict";
import { test } from "node:test";
import { labelSet } from "@millrace/protocol";
import {
  ACK_LABEL,
  effectiveAcknowledgement,
  hasEnoughReplicas,
  MIN_REPLICAS_LABEL,
  refuseAcknowledgement,
  wantedAcknowledgement,
} from "./acknowledgement-rule.ts";

type Level = "synced" | "replicated";
const CASES: readonly (readonly [Level, number | undefined, boolean, Level, number, boolean, boolean])[] = [
  ["synced", undefined, false, "synced", 3, false, false],
  ["synced", 2, false, "synced", 2, false, false],
  ["replicated", 0, false, "replicated", 1, false, true],
  ["synced", 9, false, "synced", 3, false, false],
  ["synced", 2, true, "replicated", 3, true, false],
  ["synced", undefined, true, "replicated", 3, true, false],
  ["replicated", 2, true, "replicated", 3, true, false],
  ["replicated", 3, true, "replicated", 3, false, false],
];
for (const [level, min, isMixed, wantLevel, want, isReduced, isEarly] of CASES) {
  test(`acknowledgement: ${level}, ${min} of 3, mixed ${isMixed} -> ${wantLevel}, ${want}`, () => {
    const got = effectiveAcknowledgement({ level, minReplicas: min }, 3, isMixed);
    assert.deepEqual(got, { level: wantLevel, minReplicas: want, isReduced, isEarly });
  });
}

test("acknowledgement: fewer members than wanted -> not enough; a journal not yet written waits for all", () => {
  const wanted = { desiredReplicas: 3, minReplicas: 2 };
  const enough = (isUnwritten: boolean): readonly boolean[] =>
    [1, 2, 3].map((members) => hasEnoughReplicas(members, wanted, isUnwritten));
  assert.deepEqual(enough(false), [false, true, true]);
  assert.deepEqual(enough(true), [false, false, true]);
});

type Pairs = readonly (readonly [string, string])[];
const LABELS: readonly (readonly [Pairs, Level, number | undefined, RegExp | undefined])[] = [
  [[], "synced", undefined, undefined],
  [[[ACK_LABEL, "replicated"]], "replicated", undefined, undefined],
  [
    [
      [ACK_LABEL, "synced"],
      [MIN_REPLICAS_LABEL, "2"],
    ],
    "synced",
    2,
    undefined,
  ],
  [[[MIN_REPLICAS_LABEL, "3"]], "synced", 3, undefined],
  [[[ACK_LABEL, "fast"]], "synced", undefined, /ack: "fast" \(expected synced or replicated\)/],
  [
    [
      [ACK_LABEL, "synced"],
      [ACK_LABEL, "replicated"],
    ],
    "synced",
    undefined,
    /ack: "replicated", "synced"/,
  ],
  [[[MIN_REPLICAS_LABEL, "0"]], "synced", undefined, /min-replicas: "0" \(expected 1 <= min-replicas <= 3\)/],
  [[[MIN_REPLICAS_LABEL, "4"]], "synced", 4, /min-replicas: "4"/],
  [[[MIN_REPLICAS_LABEL, "+2"]], "synced", undefined, /min-replicas: "\+2"/],
  [
    [
      [MIN_REPLICAS_LABEL, "1"],
      [MIN_REPLICAS_LABEL, "2"],
    ],
    "synced",
    undefined,
    /min-replicas: "1", "2"/,
  ],
];
for (const [pairs, level, minReplicas, refusal] of LABELS) {
  test(`acknowledgement: labels ${JSON.stringify(pairs)} -> ${level}, ${minReplicas}, ${refusal}`, () => {
    const labels = labelSet(...pairs);
    assert.deepEqual(wantedAcknowledgement(labels), { level, minReplicas });
    const refused = refuseAcknowledgement(labels, 3);
    if (refusal === undefined) assert.equal(refused, undefined);
    else assert.match(refused ?? "", refusal);
  });
}
