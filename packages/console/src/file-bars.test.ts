import assert from "node:assert/strict";
import { test } from "node:test";
import { fileBars } from "./file-bars.ts";
import type { FileStatistics } from "./stream-definitions.ts";

const file = (n: number, records: number, retryReason?: string): FileStatistics => ({
  fileId: `f${n}`,
  state: "imported",
  openedAt: new Date(n * 1000).toISOString(),
  ...(retryReason === undefined ? {} : { retryReason }),
  statistics: {
    total: records === 0 ? null : { recordsCount: records, compressedSize: 1, uncompressedSize: 1 },
    levels: {},
  },
});

test("file bars: in the order of opening, heights against the tallest", () => {
  const bars = fileBars([file(3, 5), file(1, 10), file(2, 0, "no space")], 10);
  assert.deepEqual(
    bars.map(({ fileId, height, isFailing }) => [fileId, height, isFailing]),
    [
      ["f1", 1, false],
      ["f2", 0, true],
      ["f3", 0.5, false],
    ],
  );
});

test("file bars: the newest ones, side by side, none outside", () => {
  const bars = fileBars(
    Array.from({ length: 100 }, (_, i) => file(i, i)),
    40,
  );
  assert.equal(bars.length, 40);
  assert.equal(bars.at(-1)?.fileId, "f99");
  const last = bars.at(-1)!;
  assert.ok(last.left + last.width <= 1 + 1e-9);
});

test("file bars: none -> none", () => assert.deepEqual(fileBars([], 40), []));
