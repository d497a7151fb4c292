import assert from "node:assert/strict";
import { describe, test } from "node:test";

import {
  EXPIRATION_MS,
  importVerdict,
  uploadVerdict,
  type FileFacts,
  type SliceFacts,
} from "./coordinator-conditions.ts";

const S = 1000;
const UPLOAD = { count: 10_000, bytes: 5_000_000, intervalMs: 30 * S, minIntervalMs: 10 * S };
const IMPORT = {
  count: 50_000,
  bytes: 50_000_000,
  intervalMs: 60 * S,
  minIntervalMs: 30 * S,
  slicesCount: 90,
  maxSlices: 100,
};
const NEVER = undefined;

/** Specification 6.1: the first decisive rule wins. Each line differs from a neighbour by one boundary. */
describe("upload conditions", () => {
  const cases: [records: number, bytes: number, sinceOpenedMs: number, expected: string][] = [
    // 1. below the minimal interval nothing else counts
    [10_000, 5_000_000, 10 * S - 1, "no, again in 1"],
    [0, 0, 10 * S - 1, "no"],
    [10_000, 0, 10 * S, "count"],
    // 2. no records: never, whatever the time
    [0, 0, 10 * S, "no"],
    [0, 5_000_000, 30 * S, "no"],
    [0, 0, 3_600_000, "no"],
    // 3. count, before size
    [9_999, 0, 10 * S, "no, again in 20000"],
    [10_000, 5_000_000, 10 * S, "count"],
    [10_001, 0, 10 * S, "count"],
    // 4. size, before interval
    [1, 4_999_999, 10 * S, "no, again in 20000"],
    [1, 5_000_000, 10 * S, "size"],
    [1, 5_000_000, 30 * S, "size"],
    // 5. interval
    [1, 1, 30 * S - 1, "no, again in 1"],
    [1, 1, 30 * S, "interval"],
    [1, 1, 300 * S, "interval"],
    // the clock was set back
    [1, 1, -1, "interval"],
    [0, 0, -1, "no"],
  ];
  for (const [records, bytes, sinceOpenedMs, expected] of cases) {
    test(`${records} records, ${bytes} bytes after ${sinceOpenedMs} ms -> ${expected}`, () => {
      assert.equal(shown(uploadVerdict(UPLOAD, { records, bytes, sinceOpenedMs })), expected);
    });
  }

  test("what time alone decides -> is decided then, and not a millisecond before", () => {
    const facts: SliceFacts = { records: 1, bytes: 1, sinceOpenedMs: 0 };
    for (const conditions of [
      UPLOAD,
      { ...UPLOAD, minIntervalMs: 0 },
      { ...UPLOAD, minIntervalMs: 40 * S },
    ]) {
      let sinceOpenedMs = 0;
      for (let looks = 0; looks < 5; looks++) {
        const verdict = uploadVerdict(conditions, { ...facts, sinceOpenedMs });
        if (verdict.kind === "yes") break;
        const before = sinceOpenedMs + verdict.againMs! - 1;
        assert.equal(uploadVerdict(conditions, { ...facts, sinceOpenedMs: before }).kind, "no");
        sinceOpenedMs += verdict.againMs!;
      }
      assert.equal(sinceOpenedMs, Math.max(conditions.intervalMs, conditions.minIntervalMs));
    }
  });
});

describe("import conditions", () => {
  const cases: [
    slices: number,
    records: number,
    bytes: number,
    since: number,
    left: number | undefined,
    string,
  ][] = [
    // 1. too many slices: before everything
    [100, 0, 0, 0, NEVER, "max-slices"],
    [99, 50_000, 0, 0, NEVER, "no, again in 30000"],
    // 2. below the minimal interval
    [99, 50_000, 50_000_000, 30 * S - 1, NEVER, "no, again in 1"],
    [1, 0, 0, 30 * S - 1, 0, "no, again in 0"],
    // 3. expiration, also of an empty file
    [1, 0, 0, 30 * S, EXPIRATION_MS, "expiration"],
    [1, 0, 0, 30 * S, EXPIRATION_MS + 1, "no, again in 1"],
    [99, 50_000, 0, 30 * S, EXPIRATION_MS, "expiration"],
    // 4. slices, before records
    [90, 0, 0, 30 * S, NEVER, "slices"],
    [89, 0, 0, 30 * S, NEVER, "no"],
    [90, 50_000, 50_000_000, 60 * S, NEVER, "slices"],
    // 5. no records
    [1, 0, 0, 600 * S, NEVER, "no"],
    // 6. count
    [1, 50_000, 50_000_000, 30 * S, NEVER, "count"],
    [1, 49_999, 0, 30 * S, NEVER, "no, again in 30000"],
    // 7. size
    [1, 1, 50_000_000, 60 * S, NEVER, "size"],
    [1, 1, 49_999_999, 60 * S - 1, NEVER, "no, again in 1"],
    // 8. interval
    [1, 1, 1, 60 * S, NEVER, "interval"],
    [1, 1, 1, -5, NEVER, "interval"],
  ];
  for (const [slices, records, bytes, sinceOpenedMs, untilExpirationMs, expected] of cases) {
    const name = `${slices} slices, ${records} records, ${bytes} bytes, ${sinceOpenedMs} ms, left ${untilExpirationMs}`;
    test(`${name} -> ${expected}`, () => {
      const facts: FileFacts = { slices, records, bytes, sinceOpenedMs, untilExpirationMs };
      assert.equal(shown(importVerdict(IMPORT, facts)), expected);
    });
  }
});

function shown(verdict: ReturnType<typeof uploadVerdict> | ReturnType<typeof importVerdict>): string {
  if (verdict.kind === "yes") return verdict.reason;
  return verdict.againMs === undefined ? "no" : `no, again in ${verdict.againMs}`;
}
