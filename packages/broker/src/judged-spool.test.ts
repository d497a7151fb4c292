import assert from "node:assert/strict";
import { test } from "node:test";
import type { HoldersList, Range } from "./holders-list.ts";
import { judgeSpool } from "./judged-spool.ts";

const segment = (epoch: number, begin: number, ...members: string[]) => ({ epoch, begin, members });
const held: HoldersList["tail"] = { kind: "held" };
const local = (...bounds: number[]): Range[] =>
  bounds.flatMap((begin, i) => (i % 2 === 0 ? [{ begin, end: bounds[i + 1]! }] : []));

interface Case {
  readonly list: HoldersList;
  readonly held: readonly Range[];
  readonly shown?: number;
  readonly want: readonly [shown: number, kept: number] | undefined;
}

const CASES: Readonly<Record<string, Case>> = {
  "the segment that goes on -> kept, hidden from its begin on": {
    list: { segments: [segment(1, 30, "a", "b")], tail: held },
    held: local(0, 50),
    want: [30, 50],
  },
  "segments before it were dropped since the store has them -> below the begin all is acknowledged": {
    list: { segments: [segment(3, 20, "b", "c"), segment(5, 30, "a", "b")], tail: held },
    held: local(0, 10, 30, 50),
    want: [30, 50],
  },
  "it left -> shown up to where its segment ends, the rest is set aside": {
    list: { segments: [segment(1, 0, "a", "b"), segment(3, 20, "b", "c")], tail: held },
    held: local(0, 25),
    want: [20, 20],
  },
  "it left a segment that was listed anew, and was not brought -> all is set aside": {
    list: {
      segments: [{ ...segment(1, 0, "a", "b"), relisted: true }, segment(3, 20, "b", "c")],
      tail: held,
    },
    held: local(0, 25),
    want: [0, 0],
  },
  "it is named nowhere -> all is set aside": {
    list: { segments: [segment(3, 20, "b", "c")], tail: held },
    held: local(0, 25),
    want: [0, 0],
  },
  "it is named nowhere, and knows some to be acknowledged -> that stays": {
    list: { segments: [segment(3, 20, "b", "c")], tail: held },
    held: local(0, 25),
    shown: 10,
    want: [10, 10],
  },
  "closed -> shown up to the end": {
    list: { segments: [segment(1, 0, "a")], tail: { kind: "closed", end: 20, registers: { labels: [] } } },
    held: local(0, 25),
    want: [20, 20],
  },
  "closed at its end -> all is shown": {
    list: { segments: [segment(1, 0, "a")], tail: { kind: "closed", end: 25, registers: { labels: [] } } },
    held: local(0, 25),
    want: [25, 25],
  },
  "void -> sealed in its place from there on": {
    list: { segments: [segment(1, 0, "a", "b")], tail: { kind: "void", begin: 20 } },
    held: local(0, 25),
    want: [20, 25],
  },
  "void, and named nowhere -> nothing is shown, nothing is cut": {
    list: { segments: [], tail: { kind: "void", begin: 20 } },
    held: local(0, 25),
    want: [0, 25],
  },
};

for (const [name, { list, held: bytes, shown = 0, want }] of Object.entries(CASES)) {
  test(`judged spool: ${name}`, () => {
    const end = bytes.at(-1)!.end;
    const verdict = judgeSpool(list, "a", { held: bytes, shown, end });
    assert.deepEqual(verdict && [verdict.shown, verdict.kept], want);
  });
}
