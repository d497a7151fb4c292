import assert from "node:assert/strict";
import { test } from "node:test";
import { never } from "./abort.ts";
import { Slots } from "./slots.ts";

test("Slots: those beyond the count wait in order; an abort leaves the queue", async () => {
  const slots = new Slots(1);
  await slots.take(never);
  const order: string[] = [];
  const leaving = new AbortController();
  const gone = slots.take(leaving.signal).catch(() => order.push("gone"));
  const first = slots.take(never).then(() => order.push("first"));
  const second = slots.take(never).then(() => order.push("second"));
  leaving.abort(new Error("leaving"));
  await gone;
  slots.release();
  await first;
  slots.release();
  await second;
  assert.deepEqual(order, ["gone", "first", "second"]);
});
