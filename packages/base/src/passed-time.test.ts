import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { PassedTime } from "./passed-time.ts";
import { systemClock } from "./system-ports.ts";

const HOUR_MS = 3_600_000;

interface World {
  wallMs: number;
  monotonicMs: number;
  /** Called between the readings of the two clocks. */
  between: () => void;
  passedMs(): number;
}

/** Time passed begins at 0. */
function world(): World {
  const clocks = {
    wallMs: () => {
      one.between();
      return one.wallMs;
    },
    monotonicMs: () => one.monotonicMs,
  };
  const one: World = {
    wallMs: 1e12,
    monotonicMs: 5000,
    between: () => undefined,
    passedMs: () => time.ms() - 5000,
  };
  const time = new PassedTime(clocks);
  return one;
}

test("passed time: both clocks go on -> as the monotonic one tells, however far they drift apart slowly", () => {
  const w = world();
  for (let turn = 1; turn <= 10_000; turn++) {
    w.monotonicMs += 1000;
    w.wallMs += 1000.5;
    assert.equal(w.passedMs(), turn * 1000);
  }
});

test("passed time: the machine slept -> counted, once", () => {
  const w = world();
  w.monotonicMs += 10;
  w.wallMs += HOUR_MS + 10;
  assert.equal(w.passedMs(), HOUR_MS + 10);
  w.monotonicMs += 10;
  w.wallMs += 10;
  assert.equal(w.passedMs(), HOUR_MS + 20);
});

test("passed time: the wall clock is set back -> goes on; set forward again -> everything is late", () => {
  const w = world();
  w.monotonicMs += 10;
  w.wallMs -= HOUR_MS;
  assert.equal(w.passedMs(), 10);
  w.monotonicMs += 10;
  assert.equal(w.passedMs(), 20);
  w.wallMs += HOUR_MS;
  assert.equal(w.passedMs(), HOUR_MS + 20);
});

test("passed time: the process was stopped between the readings -> counted once", () => {
  const w = world();
  let stopMs = HOUR_MS;
  w.between = () => {
    w.monotonicMs += stopMs;
    w.wallMs += stopMs;
    stopMs = 0;
  };
  assert.equal(w.passedMs(), HOUR_MS);
  assert.equal(w.passedMs(), HOUR_MS);
});

test("system clock: the wall clock jumps forward -> monotonic time has not passed, nothing grows old", () => {
  const beforeMs = systemClock.monotonicMs();
  const wallMs = systemClock.wallMs();
  const now = mock.method(globalThis.Date, "now", () => wallMs + 48 * HOUR_MS);
  try {
    assert.ok(systemClock.monotonicMs() - beforeMs < HOUR_MS);
  } finally {
    now.mock.restore();
  }
});
