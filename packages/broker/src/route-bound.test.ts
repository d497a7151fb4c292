import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  afterLoad,
  answerBound,
  bind,
  retired,
  routeSeen,
  type Binding,
  type BoundAnswer,
  type BoundRequest,
} from "./route-bound.ts";

type Case = readonly [string, Binding, revision: number, isSameRoute: boolean, BoundRequest, BoundAnswer];
const bound = (epoch: number, stream: number, isBrought = true): Binding => ({ epoch, stream, isBrought });
const asks = (wants: BoundRequest["wants"], epoch: number, stream: number): BoundRequest => ({
  epoch,
  stream,
  wants,
});

const CASES: readonly Case[] = [
  ["an older epoch", bound(7, 1), 9, true, asks("append", 5, 9), "WRONG_ROUTE"],
  ["an older epoch that fences", bound(7, 1), 9, true, asks("fence", 5, 9), "WRONG_ROUTE"],
  ["a keyspace behind", bound(7, 1), 7, true, asks("bring", 8, 2), "wait"],
  ["another route", bound(7, 1), 9, false, asks("bring", 8, 2), "WRONG_ROUTE"],
  ["the stream that brought it", bound(7, 1), 9, true, asks("append", 7, 1), "take"],
  ["the stream before it was brought", bound(7, 1, false), 9, true, asks("append", 7, 1), "WRONG_STREAM"],
  ["another stream that never brought it", bound(7, 1), 9, true, asks("append", 7, 2), "WRONG_STREAM"],
  ["a newer epoch that never brought it", bound(7, 1), 9, true, asks("append", 8, 2), "WRONG_STREAM"],
  ["asked on this stream, now to go on", bound(7, 3, false), 9, true, asks("level", 7, 3), "take"],
  ["restarted since it was asked", afterLoad(7), 9, true, asks("level", 7, 3), "WRONG_STREAM"],
  ["an older stream, late", bound(7, 3), 9, true, asks("bring", 7, 2), "WRONG_STREAM"],
  ["the same stream again", bound(7, 3), 9, true, asks("bring", 7, 3), "take"],
  ["a newer stream", bound(7, 3), 9, true, asks("fence", 7, 4), "take"],
  ["a newer epoch, whatever its stream", bound(7, 3), 9, true, asks("bring", 8, 1), "take"],
  [
    "after a restart, an epoch below what was loaded",
    afterLoad(9),
    9,
    true,
    asks("bring", 8, 5),
    "WRONG_ROUTE",
  ],
  [
    "after a restart, an append on the stream of before",
    afterLoad(9),
    9,
    true,
    asks("append", 9, 5),
    "WRONG_STREAM",
  ],
  ["retired, an append", retired(bound(7, 3)), 9, true, asks("append", 7, 3), "WRONG_STREAM"],
  [
    "retired, what comes late of its stream",
    retired(bound(7, 3)),
    9,
    true,
    asks("bring", 7, 3),
    "WRONG_STREAM",
  ],
  ["retired, a new attempt of the same epoch", retired(bound(7, 3)), 9, true, asks("fence", 7, 4), "take"],
  ["after a restart, a new attempt", afterLoad(9), 9, true, asks("bring", 9, 5), "take"],
];
for (const [what, binding, revision, isSameRoute, request, want] of CASES) {
  test(`route-bound: ${what} -> ${want}`, () => {
    assert.equal(answerBound(binding, { revision, isSameRoute }, request), want);
  });
}

test("route-bound: another route seen -> all its streams are refused; an older revision changes nothing", () => {
  assert.deepEqual(routeSeen(bound(7, 3), 8), bound(8, 0, false));
  assert.deepEqual(routeSeen(bound(7, 3), 7), bound(7, 3));
});

test("route-bound: any requests -> epochs never fall, nor streams within one; appends only once brought", () => {
  const small = fc.integer({ min: 1, max: 4 });
  const request = fc.record({
    epoch: small,
    stream: small,
    wants: fc.constantFrom("fence", "bring", "level", "append"),
  });
  fc.assert(
    fc.property(fc.array(request, { maxLength: 30 }), (requests) => {
      let binding = afterLoad(1);
      const brought = new Set<string>();
      for (const asked of requests) {
        if (answerBound(binding, { revision: 9, isSameRoute: true }, asked) !== "take") continue;
        const key = `${asked.epoch}/${asked.stream}`;
        if (asked.wants === "append") assert.ok(brought.has(key));
        if (asked.wants === "bring" || asked.wants === "level") brought.add(key);
        const next = bind(binding, asked);
        assert.ok(
          next.epoch > binding.epoch || (next.epoch === binding.epoch && next.stream >= binding.stream),
        );
        binding = next;
      }
    }),
  );
});
