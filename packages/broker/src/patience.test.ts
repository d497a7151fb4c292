import assert from "node:assert/strict";
import { test } from "node:test";
import { Patience } from "./patience.ts";

test("patience: two seconds at first, spent by waiting -> grows again by a quarter of the time", () => {
  const patience = new Patience(1000);
  assert.equal(patience.leftMs(50_000), 2000);
  patience.spend(1500, 50_000);
  assert.equal(patience.leftMs(50_000), 500);
  assert.equal(patience.leftMs(51_000), 750);
  patience.spend(5000, 51_000);
  assert.equal(patience.leftMs(51_000), 0);
  assert.equal(patience.leftMs(60_000), 2000);
});

test("patience: what a client sends -> makes up for the time it takes at sixteen times the least rate", () => {
  const patience = new Patience(0);
  patience.spend(2000, 0);
  patience.earn(8000, 1000, 0);
  assert.equal(patience.leftMs(0), 500);
  patience.earn(1_000_000, 1000, 0);
  assert.equal(patience.leftMs(0), 2000);
});

test("patience: less than a second is left -> nobody begins until it is there again", () => {
  const patience = new Patience(0);
  patience.spend(1000, 0);
  assert.equal(patience.untilEnoughMs(0), 0);
  patience.spend(100, 0);
  const untilMs = patience.untilEnoughMs(0);
  assert.equal(untilMs, 400);
  assert.equal(patience.untilEnoughMs(untilMs - 1) > 0, true);
  assert.equal(patience.untilEnoughMs(untilMs), 0);
});

test("patience: many silent clients, one after the other -> they have a quarter of the time, and two seconds", () => {
  const patience = new Patience(0);
  let stoodMs = 0;
  for (let nowMs = 0; nowMs < 60_000; nowMs++) {
    if (patience.untilEnoughMs(nowMs) > 0) continue;
    const waitedMs = Math.min(1000, patience.leftMs(nowMs));
    stoodMs += waitedMs;
    nowMs += waitedMs;
    patience.spend(waitedMs, nowMs);
  }
  assert.ok(stoodMs <= 2000 + 15_000, `${stoodMs} ms`);
  assert.ok(stoodMs >= 10_000, `${stoodMs} ms`);
});
