import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { planLane, type LaneState, type OpenSlice } from "./coordinator-plan.ts";
import type { SinkConditions } from "./definitions.ts";
import type { Progress } from "./reader-progress.ts";
import { storedFile, storedSlice } from "./storage-fixtures.ts";
import { FILE_SLICES_MAX } from "./storage-limits.ts";

const OPENED = Date.UTC(2026, 0, 1);
const CONDITIONS: SinkConditions = {
  upload: { count: 10, bytes: 1000, intervalMs: 200, minIntervalMs: 0 },
  import: { count: 50, bytes: 5000, intervalMs: 300, minIntervalMs: 0, slicesCount: 100, maxSlices: 100 },
};

function open(n: number, read: Partial<Progress> | undefined, waiting = 0): OpenSlice {
  const slice = storedSlice("writing", { n, begin: 100 }).value;
  const none = {
    begin: 100,
    offset: 100,
    writeHead: 0,
    records: 0,
    bytes: 0,
    firstMs: 0,
    lastMs: 0,
    full: false,
  };
  return { slice, progress: read === undefined ? undefined : { ...none, ...read }, waiting };
}

function lane(fields: Partial<LaneState>): LaneState {
  return {
    conditions: CONDITIONS,
    target: { kind: "duckdb", tableId: "main.sink" },
    file: storedFile("writing").value,
    closed: [],
    open: [],
    waitingFiles: 0,
    draining: false,
    ...fields,
  };
}

function plan(fields: Partial<LaneState>, sinceOpenedMs: number): string {
  const { file, slices, againMs } = planLane(lane(fields), OPENED + sinceOpenedMs);
  const parts = [
    ...(file === undefined ? [] : [`file: ${file}`]),
    ...slices.map(({ slice, reason }) => `p${slice.n}: ${reason}`),
    ...(againMs === undefined ? [] : [`again in ${againMs}`]),
  ];
  return parts.join(", ");
}

const NEXT = { kind: "duckdb", tableId: "main.next" } as const;
const ELSEWHERE = { kind: "duckdb", connection: "other", tableId: "main.sink" } as const;
const READ = { offset: 150, records: 1, bytes: 50 };
const MANY = { offset: 900, records: 10, bytes: 500 };

describe("plan of a lane", () => {
  const closed = (count: number) => Array.from({ length: count }, () => storedSlice("uploaded").value);
  const cases: [name: string, fields: Partial<LaneState>, sinceOpenedMs: number, expected: string][] = [
    ["nothing read", { open: [open(0, {}), open(1, undefined)] }, 1e6, ""],
    ["a record", { open: [open(0, READ)] }, 100, "again in 100"],
    [
      "a record, the slice's interval",
      { open: [open(0, READ), open(1, {})] },
      200,
      "p0: interval, again in 100",
    ],
    ["a record, the file's interval", { open: [open(0, READ)] }, 300, "file: interval"],
    ["count of one slice", { open: [open(0, MANY), open(1, READ)] }, 0, "p0: count, again in 200"],
    ["count of the file", { open: [0, 1, 2, 3, 4].map((n) => open(n, MANY)) }, 0, "file: count"],
    ["bytes without rows", { open: [open(0, { offset: 150 })] }, 1e6, ""],
    ["a reader that is full", { open: [open(0, { ...READ, full: true })] }, 0, "p0: bound, again in 300"],
    // C1: bounds
    ["files wait", { open: [open(0, MANY)], waitingFiles: 2 }, 1e6, "p0: count"],
    ["files wait, only the interval", { open: [open(0, READ)], waitingFiles: 2 }, 1e6, ""],
    ["uploads wait", { open: [open(0, MANY, 2)] }, 0, "again in 300"],
    ["one upload waits", { open: [open(0, MANY, 1)] }, 0, "p0: count, again in 300"],
    ["full file", { open: [open(0, MANY)], closed: closed(99), waitingFiles: 2 }, 1e6, "file: max-slices"],
    ["full file, many wait", { open: [open(0, MANY)], closed: closed(99), waitingFiles: 4 }, 1e6, ""],
    [
      "room for one slice",
      { open: [open(0, MANY), open(1, MANY)], closed: closed(97), waitingFiles: 2 },
      0,
      "p0: count",
    ],
    // C3, C4
    ["another target", { target: NEXT, open: [open(0, {})] }, 0, "file: target"],
    ["another target while files wait", { target: NEXT, waitingFiles: 4 }, 0, "file: target"],
    ["the same table elsewhere", { target: ELSEWHERE, open: [open(0, {})] }, 0, "file: target"],
    ["a sink that is not known", { target: undefined, open: [open(0, READ)] }, 300, "file: interval"],
    ["draining", { draining: true, open: [open(0, READ)] }, 0, "file: drain"],
    ["draining, bytes without rows", { draining: true, open: [open(0, { offset: 150 })] }, 0, "file: drain"],
    ["draining, nothing", { draining: true, open: [open(0, {})] }, 1e6, ""],
    ["draining, files wait", { draining: true, open: [open(0, READ)], waitingFiles: 2 }, 0, "again in 200"],
  ];
  for (const [name, fields, sinceOpenedMs, expected] of cases) {
    test(`${name} -> ${expected === "" ? "nothing" : expected}`, () => {
      assert.equal(plan(fields, sinceOpenedMs), expected);
    });
  }

  test("open slices of which nothing was read do not count, however many -> no rotation without a record", () => {
    const conditions = { ...CONDITIONS, import: { ...CONDITIONS.import, slicesCount: 2, maxSlices: 2 } };
    const slices = Array.from({ length: 24 }, (_, n) => open(n, {}));
    assert.equal(plan({ conditions, open: slices }, 1e6), "");
  });

  test("a lane of any size -> its file never gets more than its slices", () => {
    for (let count = 0; count <= FILE_SLICES_MAX; count++) {
      const slices = Array.from({ length: 24 }, (_, n) => open(n, MANY));
      const { slices: due } = planLane(
        lane({ closed: closed(count), open: slices, waitingFiles: 4 }),
        OPENED,
      );
      assert.ok(count + 24 + due.length <= Math.max(FILE_SLICES_MAX, count + 24));
    }
  });
});
