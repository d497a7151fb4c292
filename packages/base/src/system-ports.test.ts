import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { systemClock } from "./system-ports.ts";

const DAY_MS = 86_400_000;
/** The most that a timer of node takes. */
const TIMER_MS_MAX = 2 ** 31 - 1;
const REST_MS = 40 * DAY_MS - TIMER_MS_MAX;

for (const [what, isCancelled] of [
  ["runs after that time, once", false],
  ["cancelled on its way, never", true],
] as const) {
  test(`clock: longer than a timer of node takes -> ${what}`, () => {
    mock.timers.enable({ apis: ["setTimeout"] });
    try {
      let ran = 0;
      const cancel = systemClock.after(40 * DAY_MS, () => ran++);
      mock.timers.tick(TIMER_MS_MAX);
      mock.timers.tick(REST_MS - 1);
      assert.equal(ran, 0);
      if (isCancelled) cancel();
      mock.timers.tick(1);
      mock.timers.tick(DAY_MS);
      assert.equal(ran, isCancelled ? 0 : 1);
    } finally {
      mock.timers.reset();
    }
  });
}

test("clock: a long sleep that is aborted -> rejects with the reason, and nothing is left", async () => {
  const abort = new AbortController();
  const asleep = systemClock.sleep(40 * DAY_MS, abort.signal);
  abort.abort(new Error("enough"));
  await assert.rejects(asleep, /enough/);
});
