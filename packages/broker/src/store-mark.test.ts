// Whether a start may forget a journal's bytes: each combination of what the log and the store know.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { StoreMark } from "@millrace/fragments";
import { fateOf, type FoundStore, type LifeFate } from "./store-mark.ts";

const MARK: StoreMark = { clusterId: 1n, revision: 100, token: 7n };
const SAME: FoundStore = { clusterId: 1n, tokens: [7n] };

/** Create revision of the store's journal of that name: `own` is the one that the bytes are of. */
type Case = readonly [StoreMark | undefined, FoundStore, ("own" | number)?];

const CASES: Record<string, { readonly of: Case; readonly before: LifeFate; readonly after: LifeFate }> = {
  "it has the token, the journal is there": { of: [MARK, SAME, "own"], before: "kept", after: "kept" },
  "it has the token, the journal is not there": { of: [MARK, SAME], before: "over", after: "unknown" },
  "it has the token, the journal is a later one": {
    of: [MARK, SAME, 150],
    before: "over",
    after: "unknown",
  },
  "it has the token as the one before": {
    of: [MARK, { clusterId: 1n, tokens: [9n, 7n] }],
    before: "over",
    after: "unknown",
  },
  "it is as it was earlier": {
    of: [MARK, { clusterId: 1n, tokens: [5n, 4n] }],
    before: "unknown",
    after: "unknown",
  },
  "it is as it was earlier, the journal is there": {
    of: [MARK, { clusterId: 1n, tokens: [5n] }, "own"],
    before: "kept",
    after: "kept",
  },
  "it is another one, though its journal has the same revision": {
    of: [MARK, { clusterId: 2n, tokens: [] }, "own"],
    before: "unknown",
    after: "unknown",
  },
  "the log has no mark yet, the journal is there": {
    of: [undefined, SAME, "own"],
    before: "kept",
    after: "kept",
  },
  "the log has no mark yet, the journal is not there": {
    of: [undefined, SAME],
    before: "unknown",
    after: "unknown",
  },
};

for (const [what, { of, before, after }] of Object.entries(CASES)) {
  test(`store: ${what} -> ${before} of a journal made before the mark, ${after} of a later one`, () => {
    const [mark, store, found] = of;
    for (const [createRevision, fate] of [
      [100, before],
      [101, after],
    ] as const) {
      const life = { journal: "j", createRevision, epoch: 1 };
      assert.equal(fateOf(life, found === "own" ? createRevision : found, mark, store), fate);
    }
  });
}
