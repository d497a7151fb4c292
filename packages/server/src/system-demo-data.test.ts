// The demo's flights: what they are, and that decoding them leaves this thread free.
import assert from "node:assert/strict";
import { performance } from "node:perf_hooks";
import { test } from "node:test";
import { openDemoData } from "./system-demo-data.ts";

test("demo data: a range over both sets -> decoded on another thread, the platform's stays idle", async (t) => {
  const data = openDemoData();
  t.after(() => data.close());
  assert.equal(data.count, 3_020_000);
  const before = performance.eventLoopUtilization();
  const flights = await data.read(19_999, 20_001);
  const { utilization } = performance.eventLoopUtilization(before);
  assert.deepEqual(flights, [
    { date: "2001/03/31 22:27", delay: -9, distance: 83, origin: "CLT", destination: "GSO" },
    { date: "2001/01/01 00:01", delay: 33, distance: 2176, origin: "LAS", destination: "PHL" },
  ]);
  // Decoding the row group here keeps it busy all the time.
  assert.ok(utilization < 0.5, `busy for ${(100 * utilization).toFixed(0)}% of the time`);
});

test("demo data: closed during a read -> the read fails", async () => {
  const data = openDemoData();
  const read = data.read(20_000, 20_001);
  await Promise.all([data.close(), assert.rejects(read, /has ended/)]);
  await assert.rejects(data.read(0, 1), /has ended/);
});
