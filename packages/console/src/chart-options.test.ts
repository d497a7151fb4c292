import assert from "node:assert/strict";
import { test } from "node:test";
import { timeWindow, visibleIndex, yTop } from "./chart-options.ts";

for (const [max, least, expected] of [
  [null, 10, 10],
  [0, 2, 2],
  [9, 10, 10],
  [10, 10, 15],
  [4968, 10, 6000],
  [100_000, 10, 150_000],
  [0.7, 0.5, 0.8],
  [925_925_926, 10, 1_500_000_000],
] as const) {
  test(`chart: y up to ${max}, at least ${least} -> axis to ${expected}`, () => {
    assert.equal(yTop(max, least), expected);
  });
}

test("chart: the axis always holds the largest value", () => {
  for (let max = 0.01; max < 1e12; max *= 1.37) assert.ok(yTop(max, 1) >= max, String(max));
});

test("chart: five minutes that end at the newest snapshot", () => {
  assert.deepEqual(timeWindow(1000), { min: 700, max: 1000 });
});

for (const [name, times, wanted, expected] of [
  ["nothing", [], 0, -1],
  ["inside", [1, 2, 3], 1, 1],
  ["before the first", [1, 2, 3], -5, 0],
  ["behind the last", [1, 2, 3], 9, 2],
  ["older than the window", [1, 2, 399, 400, 401], 0, 2],
] as const) {
  test(`chart: index ${wanted}, ${name} -> ${expected}`, () =>
    assert.equal(visibleIndex(times, wanted), expected));
}
