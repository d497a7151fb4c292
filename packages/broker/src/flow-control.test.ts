import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { admitChunk, boundRate, drainSustain, fullBucket, refillSustain } from "./flow-control.ts";

test("flow control: chunks up to the balance -> pass; beyond it -> wait until their whole length is paid", () => {
  let { bucket, waitMs } = admitChunk(fullBucket(1000, 0), 900, 1000, 0);
  assert.equal(waitMs, 0);
  ({ bucket, waitMs } = admitChunk(bucket, 600, 1000, 0));
  assert.equal(waitMs, 500);
  ({ bucket, waitMs } = admitChunk(bucket, 100, 1000, 500));
  assert.equal(waitMs, 100);
});

test("flow control: after a long silence -> ten seconds are banked, not more", () => {
  const { bucket } = admitChunk(fullBucket(1000, 0), 0, 1000, 3_600_000);
  assert.equal(bucket.balance, 10_000);
});

test("flow control: a silent second -> is out of credit; what is sent buys time, at most a second", () => {
  assert.equal(drainSustain(1000, 1000), 0);
  assert.equal(refillSustain(100, 65_536 / 2, 65_536), 600);
  assert.equal(refillSustain(900, 65_536, 65_536), 1000);
});

test("flow control: rates of journal and broker -> the smaller one; 0 is no bound", () => {
  const rates = [boundRate(0, 0), boundRate(5, 0), boundRate(0, 7), boundRate(5, 7), boundRate(9, 7)];
  assert.deepEqual(rates, [0, 5, 7, 5, 7]);
});

test("flow control: any chunks -> never more than the first second, ten banked ones and the rate let through", () => {
  const steps = fc.array(fc.record({ bytes: fc.nat(5000), pauseMs: fc.nat(3000) }), { maxLength: 40 });
  fc.assert(
    fc.property(steps, (chunks) => {
      let bucket = fullBucket(1000, 0);
      let nowMs = 0;
      let total = 0;
      for (const { bytes, pauseMs } of chunks) {
        nowMs += pauseMs;
        const admitted = admitChunk(bucket, bytes, 1000, nowMs);
        bucket = admitted.bucket;
        nowMs += admitted.waitMs;
        total += bytes;
        assert.ok(total <= 1000 + nowMs + 1e-6, `${total} bytes at ${nowMs} ms`);
      }
    }),
  );
});
