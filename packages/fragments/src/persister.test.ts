import assert from "node:assert/strict";
import { test } from "node:test";
import { InvariantError } from "@millrace/base";
import fc from "fast-check";
import { localFragmentOf } from "./fragment-index-testkit.ts";
import { stepAttempt, type AttemptInput, type AttemptState } from "./persister-attempt.ts";
import { backoffMs, PersistQueue } from "./persister-queue.ts";
import { CautiousClock, expiredFragments, type RetentionPolicy } from "./persister-retention.ts";

const OBJECT = { bytes: 10, modTimeMs: 5 };
const ERROR = new Error("x");
const STATES: Record<AttemptState["kind"], AttemptState> = {
  looking: { kind: "looking", readBack: true },
  verifying: { kind: "verifying", modTimeMs: 5 },
  syncing: { kind: "syncing", modTimeMs: 5 },
  writing: { kind: "writing" },
  confirming: { kind: "confirming", bytes: 10 },
  confirmed: { kind: "confirmed", modTimeMs: 5, bytesWritten: 10 },
  failed: { kind: "failed", reason: { kind: "error", error: ERROR } },
};
const INPUTS = {
  "found none": { kind: "found", object: undefined },
  "found as written": { kind: "found", object: OBJECT },
  "found shorter": { kind: "found", object: { bytes: 9, modTimeMs: 5 } },
  matches: { kind: "verified", matches: true },
  differs: { kind: "verified", matches: false },
  synced: { kind: "synced" },
  written: { kind: "written", bytes: 10 },
  threw: { kind: "threw", error: ERROR },
} as const satisfies Record<string, AttemptInput>;

const NEVER = "never";
const OVER = {
  "found none": NEVER,
  "found as written": NEVER,
  "found shorter": NEVER,
  matches: NEVER,
  differs: NEVER,
  synced: NEVER,
  written: NEVER,
  threw: NEVER,
} as const;
const TABLE: Record<
  AttemptState["kind"],
  Record<keyof typeof INPUTS, AttemptState["kind"] | typeof NEVER>
> = {
  looking: {
    ...OVER,
    "found none": "writing",
    "found as written": "verifying",
    "found shorter": "verifying",
    threw: "failed",
  },
  verifying: { ...OVER, matches: "syncing", differs: "writing", threw: "failed" },
  syncing: { ...OVER, synced: "confirmed", threw: "writing" },
  writing: { ...OVER, written: "confirming", threw: "failed" },
  confirming: {
    ...OVER,
    "found none": "failed",
    "found as written": "confirmed",
    "found shorter": "failed",
    threw: "failed",
  },
  confirmed: OVER,
  failed: OVER,
};

test("attempt: every state takes every input as the table says", () => {
  for (const [from, row] of Object.entries(TABLE)) {
    for (const [name, to] of Object.entries(row)) {
      const state = STATES[from as AttemptState["kind"]];
      const input = INPUTS[name as keyof typeof INPUTS];
      const what = `${from}, ${name}`;
      if (to === NEVER) assert.throws(() => stepAttempt(state, input), InvariantError, what);
      else assert.equal(stepAttempt(state, input).kind, to, what);
    }
  }
});

test("attempt: an object that is there, not to be read back -> written again", () => {
  const state = stepAttempt({ kind: "looking", readBack: false }, INPUTS["found as written"]);
  assert.deepEqual(state, { kind: "writing" });
});

test("attempt: confirmed -> says when, and what was written", () => {
  const found = stepAttempt(stepAttempt(STATES.verifying, INPUTS.matches), INPUTS.synced);
  assert.deepEqual(found, { kind: "confirmed", modTimeMs: 5, bytesWritten: 0 });
  const written = stepAttempt(STATES.confirming, INPUTS["found as written"]);
  assert.deepEqual(written, { kind: "confirmed", modTimeMs: 5, bytesWritten: 10 });
  const failed = stepAttempt(STATES.confirming, INPUTS["found shorter"]);
  assert.deepEqual(failed, { kind: "failed", reason: { kind: "not-confirmed", written: 10, found: 9 } });
});

test("backoff: doubles from 250 ms to a minute, at least half of it", () => {
  const bounds = [1, 2, 3, 8, 9, 10, 1000].map((failures) => [
    backoffMs(failures, 0),
    backoffMs(failures, 2 ** 32 - 1),
  ]);
  assert.deepEqual(bounds, [
    [125, 249],
    [250, 499],
    [500, 999],
    [16_000, 31_999],
    [30_000, 59_999],
    [30_000, 59_999],
    [30_000, 59_999],
  ]);
});

test("queue: earliest first, bounded in tasks and bytes; a large one runs alone", () => {
  const queue = new PersistQueue({ tasksMax: 2, bytesMax: 100 });
  const offer = (key: string, bytes: number, dueMs: number): void => {
    queue.offer({ key, bytes, sinceMs: dueMs, dueMs, failures: 0 });
  };
  offer("late", 10, 30);
  offer("large", 500, 20);
  offer("early", 60, 10);
  offer("early", 60, 5);
  assert.equal(queue.take(9), undefined);
  assert.equal(queue.take(30)?.key, "early");
  assert.equal(queue.take(30), undefined, "the large one does not fit beside another");
  queue.fail("early", 40);
  assert.equal(queue.take(30)?.key, "large");
  assert.equal(queue.take(30), undefined, "nothing fits beside the large one");
  queue.finish("large");
  assert.equal(queue.take(30)?.key, "late");
  assert.equal(queue.nextDueMs, 40);
  assert.equal(queue.take(40)?.failures, 1);
  assert.deepEqual([queue.count, queue.bytes, queue.oldestSinceMs], [2, 70, 10]);
  queue.finish("late");
  queue.finish("early");
  assert.deepEqual([queue.count, queue.bytes, queue.oldestSinceMs], [0, 0, undefined]);
});

test("queue: as a sorted list does it", () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant("offer" as const), key: fc.nat(20), dueMs: fc.nat(50), bytes: fc.nat(40) }),
    fc.record({ kind: fc.constant("take" as const), nowMs: fc.nat(50) }),
    fc.record({ kind: fc.constant("hurry" as const), nowMs: fc.nat(50) }),
    fc.record({
      kind: fc.constantFrom("finish" as const, "fail" as const),
      key: fc.nat(20),
      dueMs: fc.nat(50),
    }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const queue = new PersistQueue({ tasksMax: 3, bytesMax: 60 });
      const waiting = new Map<string, { dueMs: number; bytes: number }>();
      const running = new Map<string, number>();
      for (const one of steps) {
        if (one.kind === "offer") {
          const key = String(one.key);
          queue.offer({ key, bytes: one.bytes, sinceMs: 0, dueMs: one.dueMs, failures: 0 });
          if (!waiting.has(key) && !running.has(key))
            waiting.set(key, { dueMs: one.dueMs, bytes: one.bytes });
        } else if (one.kind === "take") {
          const taken = queue.take(one.nowMs);
          const least = Math.min(...[...waiting.values()].map(({ dueMs }) => dueMs));
          if (taken === undefined) {
            const busy = [...running.values()].reduce((a, b) => a + b, 0);
            const heads = [...waiting.values()].filter(({ dueMs }) => dueMs === least);
            const fits = heads.every(({ bytes }) => running.size === 0 || busy + bytes <= 60);
            assert.ok(least > one.nowMs || running.size === 3 || !fits);
            continue;
          }
          assert.equal(taken.dueMs, least);
          assert.ok(taken.dueMs <= one.nowMs);
          assert.deepEqual(waiting.get(taken.key), { dueMs: taken.dueMs, bytes: taken.bytes });
          waiting.delete(taken.key);
          running.set(taken.key, taken.bytes);
        } else if (one.kind === "hurry") {
          queue.hurry(one.nowMs);
          for (const task of waiting.values()) task.dueMs = Math.min(task.dueMs, one.nowMs);
        } else {
          const key = String(one.key);
          const bytes = running.get(key);
          if (one.kind === "finish") queue.finish(key);
          else queue.fail(key, one.dueMs);
          running.delete(key);
          if (one.kind === "fail" && bytes !== undefined) waiting.set(key, { dueMs: one.dueMs, bytes });
        }
        assert.equal(queue.count, waiting.size + running.size);
      }
    }),
    { numRuns: 300 },
  );
});

test("retention: nothing goes unless age, bytes or trimming say so; then the oldest", () => {
  const fragments = [
    localFragmentOf({ begin: 0, end: 100, firstAppendMs: 1000 }),
    localFragmentOf({ begin: 100, end: 200, firstAppendMs: 2000 }),
    localFragmentOf({ begin: 200, end: 300, firstAppendMs: 3000 }),
    localFragmentOf({ begin: 300, end: 310, firstAppendMs: 4000, closed: false }),
  ];
  const ends = (policy: Partial<RetentionPolicy>, nowMs = 1e12, list = fragments): number[] => {
    const none: RetentionPolicy = { retentionMs: 0, bytesMax: undefined, trimmedTo: 0 };
    return expiredFragments(list, { ...none, ...policy }, () => 9000, nowMs).map(({ end }) => end);
  };
  assert.deepEqual(ends({}), []);
  assert.deepEqual(ends({ retentionMs: 500 }, 2499), []);
  assert.deepEqual(ends({ retentionMs: 500 }, 2500), [100]);
  assert.deepEqual(ends({ retentionMs: 500 }, 1e12), [100, 200, 300], "what still grows stays");
  assert.deepEqual(
    ends({ retentionMs: 500 }, 9499, fragments.slice(2, 3)),
    [],
    "no successor: since it closed",
  );
  assert.deepEqual(ends({ retentionMs: 500 }, 9500, fragments.slice(2, 3)), [300]);
  assert.deepEqual(ends({ bytesMax: 300 }), []);
  assert.deepEqual(ends({ bytesMax: 299 }), [100]);
  assert.deepEqual(ends({ bytesMax: 0 }), [100, 200, 300]);
  assert.deepEqual(ends({ trimmedTo: 199 }), [100]);
  assert.deepEqual(ends({ trimmedTo: 200 }), [100, 200]);
  const growing = [...fragments.slice(0, 3), localFragmentOf({ begin: 300, end: 300, closed: false })];
  assert.deepEqual(ends({ retentionMs: 500 }, 9499, growing.slice(2)), [], "an empty successor says nothing");
});

test("retention: a clock that is set ahead -> believed after an hour; one that is set back, at once", () => {
  let [wall, monotonic] = [1_000_000_000, 0];
  const clock = new CautiousClock({ wallMs: () => wall, monotonicMs: () => monotonic }, undefined);
  const pass = (ms: number, stepMs = 0): number => {
    monotonic += ms;
    wall += ms + stepMs;
    return clock.nowMs() - 1_000_000_000;
  };
  const YEAR_MS = 365 * 24 * 3_600_000;
  assert.equal(pass(10_000), 10_000);
  assert.equal(pass(10_000, YEAR_MS), 20_000);
  assert.equal(pass(3_000_000), 3_020_000);
  assert.equal(pass(10_000, -YEAR_MS), 3_030_000, "it was put right");
  assert.equal(pass(10_000, YEAR_MS), 3_040_000, "the hour begins anew");
  assert.equal(pass(3_599_999), 6_639_999);
  assert.equal(pass(1), YEAR_MS + 6_640_000);
  assert.equal(pass(0, -YEAR_MS - 3_600_000), 3_040_000);
  assert.equal(pass(10_000, 50_000), 3_100_000, "drift and corrections are no leaps");
});

test("retention: a start with a clock ahead of what is left of the life before -> believed after an hour", () => {
  const HOUR_MS = 3_600_000;
  let [wall, monotonic] = [10 * HOUR_MS, 500];
  const begun = (leftMs: number | undefined): CautiousClock =>
    new CautiousClock({ wallMs: () => wall, monotonicMs: () => monotonic }, leftMs);
  assert.equal(begun(undefined).nowMs(), 10 * HOUR_MS, "nothing is left: nothing is old");
  assert.equal(begun(10 * HOUR_MS - 60_000).nowMs(), 10 * HOUR_MS, "a moment later");
  assert.equal(begun(11 * HOUR_MS).nowMs(), 10 * HOUR_MS, "it was ahead then");
  const clock = begun(8 * HOUR_MS);
  const pass = (ms: number, stepMs = 0): number => {
    monotonic += ms;
    wall += ms + stepMs;
    return clock.nowMs();
  };
  assert.equal(pass(0), 8 * HOUR_MS);
  assert.equal(pass(HOUR_MS - 1), 9 * HOUR_MS - 1);
  assert.equal(pass(1), 11 * HOUR_MS);
  const mended = begun(8 * HOUR_MS);
  assert.equal(mended.nowMs(), 8 * HOUR_MS);
  wall -= 3 * HOUR_MS;
  assert.equal(mended.nowMs(), 8 * HOUR_MS, "it was put right");
});
