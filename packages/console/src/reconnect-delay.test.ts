import assert from "node:assert/strict";
import { test } from "node:test";
import { reconnectDelayMs } from "./reconnect-delay.ts";

for (const [attempt, least, most] of [
  [1, 250, 500],
  [2, 500, 1000],
  [4, 2000, 4000],
  [6, 7500, 15_000],
  [100_000, 7500, 15_000],
] as const) {
  test(`reconnect: after ${attempt} failures -> ${least} to ${most} ms`, () => {
    assert.deepEqual([reconnectDelayMs(attempt, 0), reconnectDelayMs(attempt, 1)], [least, most]);
  });
}
