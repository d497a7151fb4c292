import assert from "node:assert/strict";
import { test } from "node:test";
import { journalSpec } from "./broker-testkit.ts";
import { rollBegin, type SpoolSpan } from "./roll-rule.ts";

const MINUTE = 60_000;
const fragment = { ...journalSpec("a/journal").fragment, length: 100, flushIntervalMs: 0 };
const span = (begin: number, end: number, firstAppendMs: number | undefined = 0): SpoolSpan => ({
  begin,
  end,
  firstAppendMs,
});

const CASES: readonly (readonly [string, SpoolSpan, number, number, number, number | undefined])[] = [
  ["nothing asks for it", span(0, 50), 0, 0, MINUTE, undefined],
  ["as long as wanted", span(0, 100), 0, 0, MINUTE, undefined],
  ["longer than wanted", span(0, 101), 0, 0, MINUTE, 101],
  ["an offset is wished", span(0, 50), 70, 0, MINUTE, 70],
  ["the end is wished", span(0, 50), 50, 0, MINUTE, 50],
  ["an offset below the end is wished", span(0, 50), 20, 0, MINUTE, 50],
  ["rolled there already", span(50, 80), 50, 0, MINUTE, undefined],
  ["empty, nothing wished", span(50, 50, undefined), 0, 0, MINUTE, undefined],
  ["empty, an offset is wished", span(50, 50, undefined), 70, 0, MINUTE, 70],
  ["within the flush window", span(0, 50, MINUTE), 0, MINUTE, 2 * MINUTE - 1, undefined],
  ["over the flush window", span(0, 50, 2 * MINUTE - 1), 0, MINUTE, 2 * MINUTE, 50],
];

for (const [what, spool, rollTo, flushIntervalMs, nowMs, want] of CASES) {
  test(`roll rule: ${what} -> ${want === undefined ? "goes on" : `new fragment at ${want}`}`, () => {
    assert.equal(rollBegin(spool, rollTo, { ...fragment, flushIntervalMs }, nowMs), want);
  });
}
