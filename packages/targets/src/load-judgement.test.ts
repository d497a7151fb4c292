import assert from "node:assert/strict";
import { test } from "node:test";
import type { PartitionLoad } from "@millrace/ingest";
import { judgeLoad, type Judgement } from "./load-judgement.ts";

function partition(journal: string, begin: number, end: number, startsTarget = false): PartitionLoad {
  return { journal, begin, end, objects: [], startsTarget };
}

test("judgement: a partition's loaded end, and whether the target starts there -> to do, done or refused", () => {
  const cases: readonly [loadedEnd: number | undefined, startsTarget: boolean, kind: Judgement["kind"]][] = [
    [undefined, false, "refused"],
    [undefined, true, "load"],
    [5, false, "refused"],
    [5, true, "load"],
    [10, false, "load"],
    [10, true, "load"],
    [11, false, "refused"],
    [11, true, "refused"],
    [20, false, "already"],
    [20, true, "already"],
    [21, false, "already"],
  ];
  for (const [loadedEnd, startsTarget, kind] of cases) {
    const ends = new Map(loadedEnd === undefined ? [] : [["j", loadedEnd]]);
    const verdict = judgeLoad([partition("j", 10, 20, startsTarget)], ends, "together");
    const what = `loaded up to ${loadedEnd}, ${startsTarget ? "starts" : "goes on"}`;
    assert.equal(verdict.kind, kind, what);
    if (verdict.kind === "refused") assert.deepEqual(verdict, { kind, journal: "j", begin: 10, loadedEnd });
  }
});

test("judgement: some partitions done -> refused where all commit together, else the others are to do", () => {
  const done = partition("a", 0, 5);
  const open = partition("b", 7, 9);
  const ends = new Map([
    ["a", 6],
    ["b", 7],
  ]);
  const refusal = { kind: "refused", journal: "a", begin: 0, loadedEnd: 6 };
  assert.deepEqual(judgeLoad([done, open], ends, "together"), refusal);
  assert.deepEqual(judgeLoad([done, open], ends, "each"), { kind: "load", partitions: [open] });
  const bad = partition("b", 8, 9);
  assert.equal(judgeLoad([done, bad], ends, "each").kind, "refused", "one that is refused stops all");
  assert.deepEqual(judgeLoad([], ends, "together"), { kind: "already" });
});
