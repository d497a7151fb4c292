import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { compileTimeFormat, FORMAT_CHARS_MAX } from "./template-strftime.ts";

const at = (iso: string): number => Date.parse(iso);
const MORNING = at("2026-01-02T03:04:05.067Z");
const EVENING = at("2024-12-30T20:04:05.999Z");

describe("strftime", () => {
  const rows: [format: string, morning: string, evening: string][] = [
    ["", "", ""],
    ["%Y-%m-%dT%H:%M:%S.%fZ", "2026-01-02T03:04:05.067Z", "2024-12-30T20:04:05.999Z"],
    ["%A %a %B %b %h", "Friday Fri January Jan Jan", "Monday Mon December Dec Dec"],
    ["%C %y %j %e %d", "20 26 002  2 02", "20 24 365 30 30"],
    ["%I %l %k %p", "03  3  3 AM", "08  8 20 PM"],
    ["%c", "Fri Jan  2 03:04:05 2026", "Mon Dec 30 20:04:05 2024"],
    ["%D %F %R", "01/02/26 2026-01-02 03:04", "12/30/24 2024-12-30 20:04"],
    ["%r %T %v", "03:04:05 AM 03:04:05  2-Jan-2026", "08:04:05 PM 20:04:05 30-Dec-2024"],
    ["%X %x", "03:04:05 01/02/26", "20:04:05 12/30/24"],
    ["%s %L", "1767323045 067", "1735589045 999"],
    ["%U %W %V %G %g", "00 00 01 2026 26", "52 53 01 2025 25"],
    ["%u %w", "5 5", "1 1"],
    ["%Z %z %% %%Y %%%Y%n%t|", "UTC +0000 % %Y %2026\n\t|", "UTC +0000 % %Y %2024\n\t|"],
    ["é {{x}}", "é {{x}}", "é {{x}}"],
  ];
  for (const [format, morning, evening] of rows) {
    test(JSON.stringify(format), () => {
      const write = compileTimeFormat(format);
      assert.deepEqual([write(MORNING), write(EVENING)], [morning, evening]);
    });
  }

  test("weeks around the ends of years -> those of the years' rules", () => {
    const write = compileTimeFormat("%G-W%V-%u %U %W %j");
    for (const [day, expected] of [
      ["2020-12-31", "2020-W53-4 52 52 366"],
      ["2021-01-01", "2020-W53-5 00 00 001"],
      ["2021-01-03", "2020-W53-7 01 00 003"],
      ["2021-01-04", "2021-W01-1 01 01 004"],
      ["2023-01-01", "2022-W52-7 01 00 001"],
      ["2018-12-31", "2019-W01-1 52 53 365"],
      ["1969-12-31", "1970-W01-3 52 52 365"],
      ["0001-01-01", "0001-W01-1 00 01 001"],
    ] as const) {
      assert.equal(write(at(`${day}T12:00:00.000Z`)), expected, day);
    }
  });

  test("hours of noon and midnight", () => {
    const write = compileTimeFormat("%I%p %l");
    assert.equal(write(at("2026-01-02T00:00:00Z")), "12AM 12");
    assert.equal(write(at("2026-01-02T12:00:00Z")), "12PM 12");
    assert.equal(write(at("2026-01-02T13:00:00Z")), "01PM  1");
  });

  for (const format of ["%", "a%", "%Q", "%é", "%\n", "%-d", "%E", "%😀"]) {
    test(`${JSON.stringify(format)} -> refused`, () => {
      assert.throws(
        () => compileTimeFormat(format),
        /^Error: unknown directive "%[^"]*" in the time format/u,
      );
    });
  }

  test("the length is bounded", () => {
    assert.equal(compileTimeFormat("x".repeat(FORMAT_CHARS_MAX))(0).length, FORMAT_CHARS_MAX);
    assert.throws(
      () => compileTimeFormat("x".repeat(FORMAT_CHARS_MAX + 1)),
      /has 257 characters, the limit is 256/,
    );
  });
});
