// The library's work on long texts is counted, and what it makes piece by piece is what it would be in one.
import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { compile, LIMITS_DEFAULT } from "./index.ts";

/** Steps of a program, which may fail by them. */
function stepsOf(text: string): number {
  let steps = 0;
  const budget = { left: LIMITS_DEFAULT.steps, take: (taken: number) => void (steps += taken) };
  try {
    compile(text, {}).evaluateShallow(undefined, budget);
  } catch (error) {
    assert.match(String(error), /more than 250000 steps|Overflow/, text);
  }
  return steps;
}

/** A million characters. */
const LONG = "std.repeat('aB', 500000)";
/** At least so many steps for them. */
const LEAST = 1_000_000 >> 8;

const WORK: readonly string[] = [
  `std.split(${LONG}, 'x')`,
  `std.splitLimit(${LONG}, 'x', 3)`,
  `std.splitLimitR(${LONG}, 'x', 3)`,
  `std.strReplace(${LONG}, 'x', 'y')`,
  `std.findSubstr('x', ${LONG})`,
  `std.member(${LONG}, 'x')`,
  `std.asciiUpper(${LONG})`,
  `std.asciiLower(${LONG})`,
  `std.equalsIgnoreCase(${LONG}, ${LONG})`,
  `std.base64(${LONG})`,
  `std.base64Decode(${LONG})`,
  `std.encodeUTF8(std.repeat('a', 500000))`,
  `std.md5(${LONG})`,
  `std.sha512(${LONG})`,
  `std.escapeStringXml(${LONG})`,
  `std.escapeStringBash(${LONG})`,
  `std.escapeStringDollars(${LONG})`,
  `std.parseHex(std.repeat('f', 1000000))`,
];

const WORDS = "std.repeat('a', 400000)";
/** Where a search that begins again at each place takes the product of both lengths. */
const SEARCHES: readonly string[] = [
  `std.splitLimitR(${WORDS}, std.repeat('a', 200000) + 'b', 3)`,
  `std.split(${WORDS}, 'b' + std.repeat('a', 200000))`,
  `std.strReplace(${WORDS}, std.repeat('a', 200000) + 'b', '')`,
  `std.findSubstr(std.repeat('a', 200000) + 'b', ${WORDS})`,
  "std.member(std.repeat('ab', 400000), std.repeat('ab', 200000) + 'c' + std.repeat('ab', 20000))",
];

describe("work of the library", () => {
  for (const text of WORK) {
    test(`${text} -> counted`, () => {
      const steps = stepsOf(text);
      assert.ok(steps >= LEAST || steps > LIMITS_DEFAULT.steps, `${steps} steps`);
    });
  }

  for (const text of SEARCHES) {
    test(`${text} -> steps of both lengths' sum, not of their product`, () => {
      const steps = stepsOf(text);
      assert.ok(steps >= 600_000 >> 5 && steps <= LIMITS_DEFAULT.steps, `${steps} steps`);
    });
  }

  test("codes of a format -> counted before they are kept", () => {
    for (const text of ["std.format(std.repeat('%%', 40000), [])", "std.repeat('%(a)s', 40000) % {a: ''}"])
      assert.ok(stepsOf(text) >= 160_000, text);
  });

  test("many hashes -> each counts", () => {
    assert.ok(stepsOf("std.length([std.md5('x' + i) for i in std.range(1, 5000)] + [])") < 250_000);
    assert.ok(stepsOf("std.join('', [std.md5('x' + i) for i in std.range(1, 5000)])") >= 160_000);
  });

  test("merges of objects -> their layers count", () => {
    const merged = "std.foldl(function(a, b) a + {['f' + b]: b}, std.range(1, 1000), {})";
    assert.ok(stepsOf(`std.length(${merged})`) >= 1000 * 60);
  });

  test("fields that are written again and again -> each counts", () => {
    const doubled = "std.foldl(function(a, b) {x: a, y: a}, std.range(1, 14), 'x')";
    assert.ok(stepsOf(doubled) >= 3 * 2 ** 14);
  });

  test("base64 of bytes of all kinds, of any remainder", () => {
    for (const tail of ["", "a", "ab"]) {
      const given = "aé\u0000ÿ".repeat(2500) + tail;
      const value = compile(`std.base64(${JSON.stringify(given)})`).evaluate(undefined);
      assert.equal(value, Buffer.from(given).toString("base64"));
      const back = compile(`std.base64Decode(${JSON.stringify(value)})`).evaluate(undefined);
      assert.equal(back, given);
    }
  });

  test("letters of ASCII among others, of more than one piece", () => {
    const given = "aZ é\ud83d\ude00ß\ud83d z".repeat(1000);
    const caseOf = (name: string): unknown =>
      compile(`std.${name}(Given())`, { natives: { Given: { parameters: [], call: () => given } } }).evaluate(
        0,
      );
    assert.equal(caseOf("asciiUpper"), given.replaceAll("a", "A").replaceAll("z", "Z"));
    assert.equal(caseOf("asciiLower"), given.replaceAll("Z", "z"));
    assert.equal(compile("std.equalsIgnoreCase('aÉz', 'AÉZ')").evaluate(undefined), true);
    assert.equal(compile("std.equalsIgnoreCase('aÉz', 'AéZ')").evaluate(undefined), false);
  });
});
