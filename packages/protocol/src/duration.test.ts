import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { durationMs } from "./arbitraries-testkit.ts";
import { msToNanos, nanosToMs, parseDuration, printDuration } from "./duration.ts";
import { refusal } from "./refusal-testkit.ts";

test("durations: print as Go prints them", () => {
  const cases: readonly (readonly [ms: number, text: string])[] = [
    [0, "0s"],
    [0.000001, "1ns"],
    [0.0011, "1.1µs"],
    [2.2, "2.2ms"],
    [3300, "3.3s"],
    [300_000, "5m0s"],
    [245_001, "4m5.001s"],
    [18_367_001, "5h6m7.001s"],
    [480_000.000001, "8m0.000000001s"],
    [-1500, "-1.5s"],
    [365 * 86_400_000, "8760h0m0s"],
  ];
  for (const [ms, text] of cases) {
    assert.equal(printDuration(ms), text);
    assert.equal(parseDuration(text), ms);
  }
});

test("durations: parse what Go parses", () => {
  const cases: readonly (readonly [text: string, ms: number])[] = [
    ["0", 0],
    ["+5s", 5000],
    ["1h30m", 5_400_000],
    ["1.5h", 5_400_000],
    [".5s", 500],
    ["5.s", 5000],
    ["1us", 0.001],
    ["1µs1μs", 0.002],
  ];
  for (const [text, ms] of cases) assert.equal(parseDuration(text), ms, text);
  const refused: readonly (readonly [text: string, reason: string])[] = [
    ["", 'time: invalid duration ""'],
    ["-", 'time: invalid duration "-"'],
    ["s", 'time: invalid duration "s"'],
    [".s", 'time: invalid duration ".s"'],
    ["1", 'time: missing unit in duration "1"'],
    ["1s5", 'time: missing unit in duration "1s5"'],
    ["1x", 'time: unknown unit "x" in duration "1x"'],
    ["1m-", 'time: unknown unit "m-" in duration "1m-"'],
    ["1constructor", 'time: unknown unit "constructor" in duration "1constructor"'],
    ['1µ\n"', String.raw`time: unknown unit "\xc2\xb5\x0a\"" in duration "1\xc2\xb5\x0a\""`],
    ["3000000h", "duration out of range (10800000000000000000ns)"],
  ];
  for (const [text, reason] of refused)
    assert.equal(
      refusal(() => parseDuration(text)),
      reason,
      text,
    );
});

test("durations: text and nanoseconds give the milliseconds back", () => {
  fc.assert(
    fc.property(durationMs, (ms) => {
      assert.equal(parseDuration(printDuration(ms)), ms);
      assert.equal(nanosToMs(msToNanos(ms)), ms);
    }),
    { numRuns: 500 },
  );
});
