// Whatever text comes: a value, or a JsonnetError with a position within the text, within the limits.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";

import fc from "fast-check";

import { compile, JsonnetError, type Json, type Limits } from "./index.ts";
import { randomProgram } from "./random-programs.ts";

const LIMITS: Limits = { steps: 20_000, stack: 150, bytes: 1_000_000 };

/** The program's value as text; an error of its own is checked and gives undefined. */
function tryProgram(text: string): string | undefined {
  try {
    return compile(text, { limits: LIMITS }).evaluateText(undefined);
  } catch (error) {
    assert.ok(
      error instanceof JsonnetError,
      `${text}\n${error instanceof Error ? error.stack : String(error)}`,
    );
    const lines = text.split("\n");
    const line = lines[error.line - 1];
    assert.ok(line !== undefined, `${error.message} is beyond the text`);
    assert.ok(error.column >= 1 && error.column <= line.length + 1, `${error.message} is beyond the line`);
    assert.ok(error.endLine >= error.line && error.endLine <= lines.length, error.message);
    // Only the program's own words may be none: `error ""`, `assert false : ""`.
    assert.ok(error.reason !== "" || /error|assert/.test(text), text);
    return undefined;
  }
}

const TOKENS = (
  "assert else error false for function if import importstr importbin in local null tailstrict then self super true " +
  "{ } [ ] ( ) , . ; : :: ::: +: = == != < > <= >= << >> + - * / % & | ^ ~ ! && || $ " +
  'x y f std std.length std.map std.format __proto__ constructor 0 1 2.5 1e3 "a" \'b\' @"c" ||| # // /* */ \n'
).split(" ");

const tokenSoup = fc
  .array(fc.tuple(fc.constantFrom(...TOKENS), fc.constantFrom(" ", " ", " ", "")), { maxLength: 40 })
  .map((pairs) => pairs.map(([token, blank]) => token + blank).join(""));

const KNOWN = ["language", "std", "errors"].flatMap((name) =>
  readFileSync(new URL(`../src/${name}.golden.txt`, import.meta.url), "utf8")
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("  ") && !line.startsWith("# ")),
);

/** A known program with a piece of it replaced by a piece of another. */
const mutated = fc
  .tuple(
    fc.constantFrom(...KNOWN),
    fc.constantFrom(...KNOWN),
    fc.nat(200),
    fc.nat(12),
    fc.nat(200),
    fc.nat(20),
  )
  .map(([program, other, at, length, from, taken]) => {
    const begin = at % (program.length + 1);
    const piece = other.slice(from % (other.length + 1)).slice(0, taken);
    return program.slice(0, begin) + piece + program.slice(begin + length);
  });

describe("any text", () => {
  test("of random characters", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 60 }), (text) => void tryProgram(text)),
      { numRuns: 2000 },
    );
  });

  test("of random bytes", () => {
    const bytes = fc.uint8Array({ maxLength: 100 }).map((array) => new TextDecoder().decode(array));
    fc.assert(
      fc.property(bytes, (text) => void tryProgram(text)),
      { numRuns: 1000 },
    );
  });

  test("of tokens in any order", () => {
    fc.assert(
      fc.property(tokenSoup, (text) => void tryProgram(text)),
      { numRuns: 5000 },
    );
  });

  test("of programs with a piece of another", () => {
    fc.assert(
      fc.property(mutated, (text) => void tryProgram(text)),
      { numRuns: 5000 },
    );
  });
});

test("most random programs that are well-formed give a value, twice the same", () => {
  let values = 0;
  const count = 1000;
  fc.assert(
    fc.property(fc.integer(), (seed) => {
      const text = randomProgram(seed);
      const value = tryProgram(text);
      if (value !== undefined) values++;
      assert.equal(tryProgram(text), value);
    }),
    { numRuns: count },
  );
  assert.ok(values > count / 3, `${values} of ${count}`);
});

test("JSON is a program, and its own value", () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 5 }), (value) => {
      const text = JSON.stringify(value);
      if (/[^\\]\\ud[89a-f]/i.test(text)) return;
      const result = compile(text).evaluate(undefined);
      assert.deepEqual(JSON.parse(JSON.stringify(result)), JSON.parse(text));
      assert.deepEqual(JSON.parse(compile(text).evaluateText(undefined)), JSON.parse(text));
    }),
  );
});

test("what a host gives comes back as it was", () => {
  const program = compile("Give()", {
    natives: { Give: { parameters: [], call: (_, value: Json) => value } },
  });
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 5 }), (value) => {
      const result = program.evaluate(value as Json);
      assert.deepEqual(JSON.parse(JSON.stringify(result)), JSON.parse(JSON.stringify(value)));
    }),
  );
});

test("texts in other languages are read back as they were", () => {
  const program = compile(
    `local v = Give(), pairs = [
      [std.parseJson(std.manifestJson(v)), v],
      [std.parseJson(std.toString(v)), v],
      [std.parseJson(std.manifestJsonEx(v, "\\t")), v],
      [std.decodeUTF8(std.encodeUTF8(std.toString(v))), std.toString(v)],
      [std.join("", std.stringChars(std.toString(v))), std.toString(v)],
    ]; std.all([p[0] == p[1] for p in pairs])`,
    { natives: { Give: { parameters: [], call: (_, value: Json) => value } } },
  );
  const value = fc.jsonValue({ maxDepth: 3 }).filter((one) => typeof one === "object" && one !== null);
  fc.assert(fc.property(value, (one) => assert.equal(program.evaluate(one as Json), true)));
});
