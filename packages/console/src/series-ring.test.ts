import assert from "node:assert/strict";
import { test } from "node:test";
import { SeriesRing } from "./series-ring.ts";

test("series ring: below its capacity -> all rows in order", () => {
  const ring = new SeriesRing(3, 4);
  ring.push([1, 10, null]);
  ring.push([2, 20, 200]);
  assert.deepEqual(ring.columns([0, 1, 2]), [[1, 2], [10, 20], [null, 200]]); // prettier-ignore
  assert.deepEqual([ring.count, ring.newest], [2, 2]);
});

test("series ring: over its capacity, at every phase -> the newest rows in order", () => {
  const ring = new SeriesRing(2, 4);
  for (let x = 1; x <= 11; x += 1) {
    ring.push([x, -x]);
    const expected = Array.from({ length: Math.min(4, x) }, (_, i) => x - Math.min(4, x) + 1 + i);
    assert.deepEqual(ring.columns([0]), [expected]);
    assert.deepEqual(ring.columns([1]), [expected.map((value) => -value)]);
    assert.equal(ring.newest, x);
  }
});

test("series ring: cleared -> empty", () => {
  const ring = new SeriesRing(2, 2);
  for (const x of [1, 2, 3]) ring.push([x, x]);
  ring.clear();
  assert.deepEqual([ring.count, ring.newest, ring.columns([0, 1])], [0, undefined, [[], []]]);
});
