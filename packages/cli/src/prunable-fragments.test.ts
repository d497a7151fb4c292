import assert from "node:assert/strict";
import { test } from "node:test";
import { newFragment, type Fragment } from "@millrace/protocol";
import { prunableFragments } from "./prunable-fragments.ts";

const NOW_MS = 1_000_000_000;
const HOUR_MS = 3_600_000;

function fragment(begin: number, end: number, ageMs: number, backingStore = "file:///"): Fragment {
  return newFragment({ journal: "a/b", begin, end, backingStore, modTime: (NOW_MS - ageMs) / 1000 });
}

const begins = (fragments: readonly Fragment[], retentionMs: number): readonly number[] =>
  prunableFragments(fragments, retentionMs, NOW_MS).map(({ begin }) => begin);

test("prune: older than the retention -> goes, the oldest first; younger or local ones stay", () => {
  const all = [
    fragment(10, 20, HOUR_MS),
    fragment(0, 10, 2 * HOUR_MS),
    fragment(20, 30, HOUR_MS - 1000),
    fragment(30, 40, 0),
    fragment(40, 50, 0, ""),
  ];
  assert.deepEqual(begins(all, HOUR_MS), [0, 10]);
});

test("prune: everything is old -> the newest that a store has stays, so that the journal's end is known", () => {
  const all = [fragment(0, 10, HOUR_MS), fragment(10, 20, HOUR_MS), fragment(20, 25, HOUR_MS, "")];
  assert.deepEqual(begins(all, 1000), [0]);
  assert.deepEqual(begins([fragment(0, 10, HOUR_MS)], 1000), []);
  assert.deepEqual(begins([], 1000), []);
});

test("prune: no retention -> kept for ever", () => {
  assert.deepEqual(begins([fragment(0, 10, HOUR_MS), fragment(10, 20, HOUR_MS)], 0), []);
});
