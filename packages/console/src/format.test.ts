import assert from "node:assert/strict";
import { test } from "node:test";
import {
  bytes,
  clock,
  compact,
  count,
  duration,
  milliseconds,
  moment,
  plural,
  rate,
  relative,
} from "./format.ts";

/** The narrow blank before a unit, as an ordinary one. */
const plain = (text: string): string => text.replaceAll("\u202F", " ");

function table<T>(name: string, run: (value: T) => string, cases: readonly (readonly [T, string])[]): void {
  for (const [value, expected] of cases) {
    test(`${name}: ${String(value)} -> ${expected}`, () => assert.equal(plain(run(value)), expected));
  }
}

table("count", count, [
  [0, "0"],
  [999, "999"],
  [1000, "1,000"],
  [20_000, "20,000"],
  [3_000_000, "3,000,000"],
  [2 ** 53 - 1, "9,007,199,254,740,991"],
  [1.6, "2"],
]);

table("compact", compact, [
  [0, "0"],
  [0.004, "<0.01"],
  [0.42, "0.42"],
  [2.5, "2.5"],
  [9.994, "9.99"],
  [9.996, "10"],
  [99.94, "99.9"],
  [99.96, "100"],
  [999.6, "1,000"],
  [9999, "9,999"],
  [9999.6, "10k"],
  [12_345, "12.3k"],
  [999_499, "999k"],
  [999_600, "1M"],
  [4_560_000, "4.56M"],
  [7.2e9, "7.2G"],
  [1e12, "1T"],
  [-5, "\u22125"],
]);

table("rate", rate, [
  [0, "0"],
  [4, "4"],
  [4.26, "4.3"],
  [99.5, "99.5"],
  [100.4, "100"],
  [123_456.7, "123,457"],
]);

table("bytes", bytes, [
  [0, "0 B"],
  [1023, "1,023 B"],
  [1024, "1 KiB"],
  [1536, "1.5 KiB"],
  [102_400, "100 KiB"],
  [2 ** 20 - 1, "1 MiB"],
  [64 * 2 ** 20, "64 MiB"],
  [2 ** 53, "8 PiB"],
]);

table("milliseconds", milliseconds, [
  [null, "\u2013"],
  [0, "0 ms"],
  [0.003, "<0.01 ms"],
  [0.42, "0.42 ms"],
  [7.3, "7.3 ms"],
  [950.4, "950 ms"],
  [12_345, "12.3 s"],
]);

table("duration", duration, [
  [0, "0 s"],
  [-50, "0 s"],
  [420, "0.4 s"],
  [9949, "9.9 s"],
  [12_300, "12 s"],
  [119_400, "119 s"],
  [120_000, "2 min"],
  [7_200_000, "2 h"],
  [172_800_000, "2 d"],
]);

table("relative", (ms: number) => relative(1_000_000 - ms, 1_000_000), [
  [0, "now"],
  [900, "now"],
  [-900, "now"],
  [1600, "2 s ago"],
  [65_000, "65 s ago"],
  [-12_000, "in 12 s"],
  [Number.NaN, "\u2013"],
]);

table("plural", (value: number) => plural(value, "row"), [
  [0, "0 rows"],
  [1, "1 row"],
  [20_000, "20,000 rows"],
]);

test("clock and moment: local time, and what to do with an unreadable one", () => {
  const date = new Date(2026, 10, 21, 4, 5, 6, 7);
  assert.equal(clock(date.getTime()), "04:05:06");
  assert.match(moment(date.getTime()), /^2026-11-21 04:05:06\.007 [+\u2212]\d\d:\d\d$/);
  assert.equal(moment(Number.NaN), "unknown time");
});
