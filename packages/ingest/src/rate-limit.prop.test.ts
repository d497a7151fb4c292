// Any requests at any times: no more is taken than the rate allows, and whoever waits as long as was said is taken.
import assert from "node:assert/strict";
import { test } from "node:test";

import { systemClock, type Clock } from "@millrace/base";
import fc from "fast-check";

import { SourceLimiter, SourceLimiters } from "./rate-limit.ts";

const SOURCE = { projectId: 1, branchId: 1, sourceId: "s" };

/** Time that is moved by hand. */
interface HandClock extends Clock {
  nowMs: number;
}

function handClock(): HandClock {
  const clock: HandClock = { ...systemClock, nowMs: 0, monotonicMs: () => clock.nowMs };
  return clock;
}

const request = fc.record({
  afterMs: fc.integer({ min: 0, max: 3000 }),
  records: fc.integer({ min: 1, max: 500 }),
});

test("any requests -> what was taken before the last one is within the rate; Retry-After is enough", () => {
  const rates = fc.constantFrom(1, 3, 100, 1000);
  const shares = fc.constantFrom(1, 1 / 2, 1 / 3);
  fc.assert(
    fc.property(fc.array(request, { maxLength: 60 }), rates, shares, (requests, rate, share) => {
      const clock = handClock();
      const limiter = new SourceLimiter(
        clock,
        () => share,
        { recordsPerSecond: rate, bytesPerSecond: 0 },
        undefined,
      );
      let taken = 0;
      for (const { afterMs, records } of requests) {
        clock.nowMs += afterMs;
        const refusal = limiter.refusal();
        if (refusal !== undefined) {
          assert.deepEqual([refusal.status, refusal.name], [429, "rateLimited"]);
          assert.ok(refusal.retryAfter !== undefined && refusal.retryAfter >= 1);
          clock.nowMs += refusal.retryAfter * 1000;
          assert.equal(limiter.refusal(), undefined);
        }
        // B1, B2: one second's worth at the start, and what came since.
        assert.ok(taken <= rate * share * (1 + clock.nowMs / 1000) + 1e-3, `${taken} at ${clock.nowMs}`);
        limiter.count("records", records);
        taken += records;
      }
    }),
    { numRuns: 300 },
  );
});

test("a batch of months' worth -> others wait for an hour of it at most", () => {
  const clock = handClock();
  const limiter = new SourceLimiter(
    clock,
    () => 1 / 2,
    { recordsPerSecond: 2, bytesPerSecond: 0 },
    undefined,
  );
  limiter.count("records", 5_000_000);
  assert.equal(limiter.refusal()?.retryAfter, 3601);
  clock.nowMs += 3601 * 1000;
  assert.equal(limiter.refusal(), undefined);
});

test("processes that come and go -> each fills its share, and what was used stays used", () => {
  const clock = handClock();
  let members = 1;
  const limiters = new SourceLimiters(clock, () => 1 / members);
  const limits = { recordsPerSecond: 100, bytesPerSecond: 0 };
  const limiter = limiters.of(SOURCE, limits)!;
  limiter.count("records", 100);
  assert.match(
    limiter.headerLines(),
    /^RateLimit-Policy: "records";q=100;w=1;qu="records"\r\nRateLimit: "records";r=0;t=1\r\n$/,
  );
  members = 4;
  clock.nowMs += 10_000;
  assert.match(limiter.headerLines(), /q=25;w=1.*r=25;t=0/s);
  // Compiled anew: the same level; without limits: none; with limits again: full.
  limiter.count("records", 20);
  assert.match(limiters.of(SOURCE, limits)!.headerLines(), /r=5;/);
  assert.equal(limiters.of(SOURCE, { recordsPerSecond: 0, bytesPerSecond: 0 }), undefined);
  assert.match(limiters.of(SOURCE, limits)!.headerLines(), /r=25;/);
});

test("both limits -> the one that takes longer is said; each in the headers", () => {
  const clock = handClock();
  const limiter = new SourceLimiter(
    clock,
    () => 1,
    { recordsPerSecond: 10, bytesPerSecond: 1000 },
    undefined,
  );
  assert.equal(limiter.refusal(), undefined);
  limiter.count("records", 10);
  limiter.count("bytes", 5000);
  const message = 'The source takes at most 1000 bytes in a second ("source.limit.bytes").';
  assert.deepEqual(limiter.refusal(), { status: 429, name: "rateLimited", message, retryAfter: 5 });
  assert.match(limiter.headerLines(), /RateLimit: "records";r=0;t=1, "bytes";r=0;t=5/);
});
