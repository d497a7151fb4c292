import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { EMPTY_LABELS, labelSet, newFragment, ZERO_SHA1, type Fragment } from "@millrace/protocol";
import { decideProposal, type ProposalVerdict, type ReplicaView } from "./replicate-decision.ts";

const A = labelSet(["author", "a"]);
const B = labelSet(["author", "b"]);
const sum = (digit: string): string => digit.repeat(40);

function fragment(begin: number, end: number, more: Partial<Fragment> = {}): Fragment {
  const known = end === begin ? ZERO_SHA1 : sum("1");
  return newFragment({ journal: "a/b", begin, end, sum: known, compressionCodec: "GZIP", ...more });
}

/** A replica of [0, 10) with registers A; `delta` bytes of content make it [0, 10 + delta) with the sum 2222…. */
function view(delta = 0, has = fragment(0, 10)): ReplicaView {
  return { fragment: has, registers: A, delta, nextSum: () => sum("2") };
}

const NEXT = fragment(0, 15, { sum: sum("2") });
const rolls = (begin: number, registers = A, adopts = true) => ({
  begin,
  registers: adopts ? registers : undefined,
});

interface Case {
  readonly name: string;
  readonly of: ReplicaView;
  readonly proposal: Fragment;
  readonly registers?: typeof A;
  readonly gives: ProposalVerdict;
}

const none = undefined;
const cases: readonly Case[] = [
  { name: "its next one -> commit", of: view(5), proposal: NEXT, gives: { roll: none, outcome: "commit" } },
  {
    name: "its next one with other registers -> commit: they come with the bytes",
    of: view(5),
    proposal: NEXT,
    registers: B,
    gives: { roll: none, outcome: "commit" },
  },
  {
    name: "what it has -> content is taken back",
    of: view(5),
    proposal: fragment(0, 10),
    gives: { roll: none, outcome: "roll-back" },
  },
  {
    name: "what it has, without content -> nothing changes",
    of: view(),
    proposal: fragment(0, 10),
    gives: { roll: none, outcome: "roll-back" },
  },
  {
    name: "what it has with other registers -> mismatch",
    of: view(),
    proposal: fragment(0, 10),
    registers: B,
    gives: { roll: none, outcome: "mismatch" },
  },
  {
    name: "its next one with another sum -> mismatch",
    of: view(5),
    proposal: { ...NEXT, sum: sum("3") },
    gives: { roll: none, outcome: "mismatch" },
  },
  {
    name: "an end within its content -> mismatch",
    of: view(5),
    proposal: { ...NEXT, end: 13 },
    gives: { roll: none, outcome: "mismatch" },
  },
  {
    name: "its next one with another codec -> mismatch",
    of: view(5),
    proposal: { ...NEXT, compressionCodec: "NONE" },
    gives: { roll: none, outcome: "mismatch" },
  },
  {
    name: "the same once more, without content -> mismatch",
    of: view(),
    proposal: NEXT,
    gives: { roll: rolls(15), outcome: "mismatch" },
  },
  {
    name: "an empty one at its end -> rolls, registers stay",
    of: view(5),
    proposal: fragment(10, 10),
    gives: { roll: rolls(10, A, false), outcome: "roll-back" },
  },
  {
    name: "an empty one at its end with other registers -> rolls, mismatch",
    of: view(),
    proposal: fragment(10, 10),
    registers: B,
    gives: { roll: rolls(10, B, false), outcome: "mismatch" },
  },
  {
    name: "an empty one beyond -> rolls ahead and takes the registers",
    of: view(5),
    proposal: fragment(20, 20, { compressionCodec: "SNAPPY" }),
    registers: B,
    gives: { roll: rolls(20, B), outcome: "roll-back" },
  },
  {
    name: "one with bytes beyond (it joins) -> rolls to its end, mismatch: the primary rolls too",
    of: view(0, fragment(0, 0)),
    proposal: fragment(40, 50),
    registers: B,
    gives: { roll: rolls(50, B), outcome: "mismatch" },
  },
  {
    name: "an empty one before its end -> mismatch, nothing is rolled back over",
    of: view(),
    proposal: fragment(5, 5),
    gives: { roll: none, outcome: "mismatch" },
  },
];

describe("a proposal", () => {
  for (const { name, of, proposal, registers = A, gives } of cases) {
    test(name, () => assert.deepEqual(decideProposal(of, proposal, registers), gives));
  }

  test("of another journal -> mismatch", () => {
    const verdict = decideProposal(view(), fragment(0, 10, { journal: "a/c" }), A);
    assert.equal(verdict.outcome, "mismatch");
  });

  test("the sum is asked for only when all else fits", () => {
    const never: ReplicaView = { ...view(5), nextSum: () => assert.fail("not asked for") };
    for (const proposal of [fragment(0, 10), fragment(10, 10), fragment(20, 20), { ...NEXT, end: 13 }])
      decideProposal(never, proposal, EMPTY_LABELS);
  });
});
