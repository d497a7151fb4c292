import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { coverageOf } from "./doctor-coverage.ts";

const span = (begin: number, end: number, sum = `${begin}-${end}`) => ({ begin, end, sum });

test("coverage: nothing -> nothing missing; nothing but a head -> nothing either, all was trimmed", () => {
  assert.deepEqual(coverageOf([], 0), { first: 0, gaps: [], conflicts: [], overlaps: [] });
  assert.equal(coverageOf([], 7).first, 7);
  assert.deepEqual(coverageOf([], 7).gaps, []);
});

test("coverage: fragments in any order, one twice with one sum -> whole", () => {
  const { first, gaps, conflicts, overlaps } = coverageOf([span(5, 9), span(2, 5), span(5, 9)], 9);
  assert.deepEqual([first, gaps, conflicts, overlaps], [2, [], [], []]);
});

test("coverage: offsets in no fragment, in the middle and below the head -> gaps", () => {
  assert.deepEqual(coverageOf([span(0, 2), span(5, 6)], 8).gaps, [
    { begin: 2, end: 5 },
    { begin: 6, end: 8 },
  ]);
});

test("coverage: one range with two sums -> two contents; ranges that overlap -> to be compared", () => {
  const [a, b, c] = [span(0, 4), span(0, 4, "other"), span(2, 6)];
  const { conflicts, overlaps, gaps } = coverageOf([a, b, c], 6);
  assert.deepEqual(conflicts, [[a, b]]);
  assert.deepEqual(
    overlaps.map(({ begin, end }) => [begin, end]),
    [[2, 4]],
  );
  assert.deepEqual(gaps, []);
});

test("coverage: any fragments -> gaps are the offsets that an array of all offsets lacks", () => {
  const fragments = fc.array(fc.tuple(fc.nat(30), fc.integer({ min: 1, max: 6 })), { maxLength: 8 });
  fc.assert(
    fc.property(fragments, fc.nat(40), (pairs, head) => {
      const spans = pairs.map(([begin, length]) => span(begin, begin + length));
      const held = new Set(
        spans.flatMap(({ begin, end }) => Array.from({ length: end - begin }, (_, i) => begin + i)),
      );
      const { first, gaps } = coverageOf(spans, head);
      const missing = gaps.flatMap(({ begin, end }) =>
        Array.from({ length: end - begin }, (_, i) => begin + i),
      );
      const last = Math.max(head, ...spans.map(({ end }) => end));
      const expected = Array.from({ length: last - first }, (_, i) => first + i).filter(
        (at) => !held.has(at),
      );
      assert.deepEqual(missing, spans.length === 0 ? [] : expected);
    }),
  );
});
