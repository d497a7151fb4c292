import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { systemClock } from "./system-ports.ts";

const DAY_MS = 86_400_000;

test("clock: longer than a timer of node takes -> after that time, once; cancelled on its way -> never", () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  try {
    let [ran, cancelled] = [0, 0];
    systemClock.after(60 * DAY_MS, () => ran++);
    const cancel = systemClock.after(60 * DAY_MS, () => cancelled++);
    for (let ms = 0; ms < 2 ** 31 - 1; ms += DAY_MS) mock.timers.tick(Math.min(DAY_MS, 2 ** 31 - 1 - ms));
    assert.equal(ran, 0);
    cancel();
    mock.timers.tick(60 * DAY_MS - (2 ** 31 - 1) - 1);
    assert.equal(ran, 0);
    mock.timers.tick(1);
    mock.timers.tick(DAY_MS);
    assert.deepEqual([ran, cancelled], [1, 0]);
  } finally {
    mock.timers.reset();
  }
});

test("clock: a long sleep that is aborted -> rejects with the reason, and nothing is left", async () => {
  const abort = new AbortController();
  const asleep = systemClock.sleep(60 * DAY_MS, abort.signal);
  abort.abort(new Error("enough"));
  await assert.rejects(asleep, /enough/);
});
