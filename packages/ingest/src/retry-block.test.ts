import assert from "node:assert/strict";
import { test } from "node:test";

import { afterFailure, retryDelayMs, retryWaitMs, type RetryBlock } from "./retry-block.ts";
import { msOf } from "./storage-json.ts";

test("delay: failures in a row -> 1 s, doubled up to 30 s, spread by up to a tenth", () => {
  const delays = Array.from({ length: 10 }, (_, i) => retryDelayMs(i + 1, "UNAVAILABLE", 0));
  assert.deepEqual(
    delays,
    [1, 2, 4, 8, 16, 30, 30, 30, 30, 30].map((s) => s * 1000),
  );
  assert.equal(retryDelayMs(1, "UNAVAILABLE", 0.999), 1100);
  assert.equal(retryDelayMs(10_000, "OUTCOME_UNKNOWN", 0), 30_000);
});

test("delay: a failure that needs a person -> 3 min from the first one on, never longer", () => {
  assert.equal(retryDelayMs(1, "FORBIDDEN", 0), 180_000);
  assert.equal(retryDelayMs(500, "UNPROCESSABLE", 0), 180_000);
});

test("block: one more failure -> counts, keeps when it began, shows the newest reason", () => {
  const start = Date.UTC(2026, 0, 1);
  let block: RetryBlock | undefined;
  for (let i = 0; i < 3; i++) {
    block = afterFailure(block, { code: "UNAVAILABLE", reason: `reason ${i}` }, start + i * 5000, 0);
  }
  assert.deepEqual(block, {
    attempt: 3,
    reason: "reason 2",
    firstFailedAt: "2026-01-01T00:00:00.000Z",
    lastFailedAt: "2026-01-01T00:00:10.000Z",
    retryAfter: "2026-01-01T00:00:14.000Z",
  });
  assert.equal(msOf(block.retryAfter) - msOf(block.lastFailedAt), 4000);
});

test("wait: until retryAfter; none without a block, or when the clock was set back behind the failure", () => {
  const now = Date.UTC(2026, 0, 1);
  const block = afterFailure(undefined, { code: "UNAVAILABLE", reason: "no" }, now, 0);
  assert.equal(retryWaitMs(undefined, now), 0);
  assert.equal(retryWaitMs(block, now), 1000);
  assert.equal(retryWaitMs(block, now + 999), 1);
  assert.equal(retryWaitMs(block, now + 1000), 0);
  assert.equal(retryWaitMs(block, now + 5000), 0);
  assert.equal(retryWaitMs(block, now - 1), 0);
});
