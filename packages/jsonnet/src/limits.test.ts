// Hostile programs: each ends with an error that says what was exceeded, and soon.
import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { compile, JsonnetError, LIMITS_DEFAULT, type Limits } from "./index.ts";
import { NESTING_MAX, SOURCE_CHARS_MAX } from "./limits.ts";

function errorOf(text: string, limits: Partial<Limits> = {}): JsonnetError {
  try {
    compile(text, { limits }).evaluateText(undefined);
  } catch (error) {
    assert.ok(error instanceof JsonnetError, String(error));
    return error;
  }
  return assert.fail(`${text.slice(0, 100)} gave a value`);
}

const STEPS = /more than 250000 steps/;
const STACK = /max stack frames exceeded\. \((?:500|3500 expressions within each other)\)/;
const BYTES = /more than 16777216 bytes of strings, arrays and objects \([0-9]+\)/;

const HOSTILE: Readonly<Record<string, readonly [RegExp, ...string[]]>> = {
  "without end": [
    STEPS,
    "local f(x) = f(x) tailstrict; f(1)",
    "local f(n) = if n < 0 then 0 else f(n + 1) tailstrict; f(1)",
    "std.foldl(function(a, b) a + 1, std.range(1, 1000000), 0)",
    "[x for a in std.range(1, 2000) for x in std.range(1, 2000) if false]",
    "local xs = std.range(1, 3000); [x for x in xs if std.count(xs, x) < 0]",
    "local xs = std.range(1, 1000); std.all([!std.member(xs, 0) for i in std.range(1, 5000)])",
    "std.split(std.repeat('x,', 1e6), ',')",
    "std.foldl(function(o, i) o + {['k' + i]: i}, std.range(1, 20000), {})",
    "local s = std.repeat('x', 2e6), t = s + '', n = std.range(1, 1e5); std.all([std.startsWith(s, t) for i in n])",
    "local s = std.repeat('x', 2e6); std.all([!std.member(s, 'y') for i in std.range(1, 1e5)])",
    "local s = std.repeat('x', 2e6), t = std.repeat('x', 2e6); std.all([s == t for i in std.range(1, 1e5)])",
    "local s = std.repeat('x', 2e6), t = std.repeat('x', 2e6); std.all([s <= t for i in std.range(1, 1e5)])",
    "local s = std.repeat('x', 2e6); std.all([std.md5(s) != '' for i in std.range(1, 1e5)])",
    "local o = std.foldl(function(o, i) o + {['k' + i]: i}, std.range(1, 1000), {});\n" +
      "std.all([!('x' in o) && !std.objectHas(o, 'x') && o.k1 == 1 for i in std.range(1, 1e5)])",
    "local a = [1, 1], b = [a, a], c = [b, b], d = [c, c], e = [d, d], f = [e, e], g = [f, f], h = [g, g],\n" +
      "i = [h, h], j = [i, i], k = [j, j], l = [k, k], m = [l, l], n = [m, m], o = [n, n], p = [o, o],\n" +
      "q = [p, p], r = [q, q], s = [r, r]; std.manifestJson([s, s, s, s])",
  ],
  recursion: [
    STACK,
    "local f(x) = f(x) + 1; f(1)",
    "local x = x; x",
    "local a = b, b = c, c = a; a",
    "{a: self.a}.a",
    "{a: self}",
    "local a = [a]; a",
    "{a: {b: $}}",
    "local f(x) = [f(x)]; f(1)",
    "local f(x=g(), y=1) = x, g() = f(); f()",
    "local a = {f: a {x: 1}.f}; a.f",
    "local a = [a], b = [b]; a == b",
    "local a = [a], b = [b]; a < b",
    "{assert self.y, y: {assert $.z, z: 1} == self, z: self.y}.y",
    "std.toString(local a = [a]; a)",
    "'%s' % [local a = [a]; [a]]",
    "local a = [a]; std.manifestYamlDoc(a)",
    "local a = {x: a}; std.manifestTomlEx(a, '')",
    "local a = [a]; std.manifestPython(a)",
    "local a = ['t', a]; std.manifestXmlJsonml(a)",
    "local a = [a]; std.prune(a)",
    "local a = {x: a}; std.mergePatch(a, a)",
    "local a = [a]; std.flattenDeepArray(a)",
    "local a = [a]; std.deepJoin(a)",
    "local f = function(x) std.map(f, [x])[0]; f(1)",
    "local f = function(x) std.foldl(function(a, b) f(x), [1], 0); f(1)",
    "local f = function(x) std.sort([2, 1], keyF=f); f(1)",
    "local f(x) = if x then f(x) else f(x); f(true)",
  ],
  memory: [
    BYTES,
    "local f(s, n) = if n == 0 then s else f(s + s, n - 1); f('x', 100)",
    "local f(s, n) = if n == 0 then s else f(s + s, n - 1) tailstrict; f([1], 100)",
    "std.range(1, 9007199254740991)",
    "std.makeArray(9007199254740991, function(i) i)",
    "std.repeat('x', 1e15)",
    "std.repeat([1], 1e15)",
    "'%999999999d' % 1",
    "'%.999999999f' % 1",
    "'%*d' % [1e15, 1]",
    "std.strReplace(std.repeat('a', 1e5), 'a', std.repeat('b', 1e6))",
    "std.join(std.repeat('x', 1e6), std.repeat(['y'], 1000))",
    "local a = std.repeat('x', 1e6); [a + i for i in std.range(1, 100)]",
    "std.manifestJsonEx([[[[[[1]]]]]], std.repeat(' ', 3e6))",
    "std.parseJson(std.repeat(' ', 2e6) + '1')",
    "std.base64(std.repeat('x', 8e6))",
    "std.stringChars(std.repeat('x', 8e6))",
    "local x = std.range(1, 3000); [std.length(a + b) for a in [x] for b in std.repeat([x], 1000)]",
  ],
};

describe("hostile programs", () => {
  for (const [name, [expected, ...programs]] of Object.entries(HOSTILE)) {
    for (const program of programs) {
      test(`${name}: ${program.slice(0, 60)}`, () => {
        const error = errorOf(program);
        assert.match(error.reason, expected);
        assert.equal(error.kind, "limit");
      });
    }
  }

  test("YAML within YAML", () => {
    for (const [open, count] of [
      ["[", 8000],
      ["- ", 8000],
      ["{a: ", 4000],
      ["? ", 8000],
      ["!a &b ", 2000],
    ] as const) {
      const text = `std.parseYaml(std.repeat(${JSON.stringify(open)}, ${count}))`;
      assert.match(errorOf(text).reason, /failed to parse YAML|more than|max stack/, open);
    }
  });

  test("YAML's aliases that double", () => {
    const levels = Array.from({ length: 30 }, (_, i) => `a${i + 1}: &a${i + 1} [*a${i}, *a${i}]`);
    const yaml = JSON.stringify(`a0: &a0 x\n${levels.join("\n")}`);
    assert.match(errorOf(`std.parseYaml(${yaml})`).reason, /failed to parse YAML/);
  });
});

describe("large programs", () => {
  const deep = (open: string, close: string, count: number): string =>
    open.repeat(count) + "1" + close.repeat(count);

  test("expressions within each other are counted", () => {
    for (const [open, close] of [
      ["(", ")"],
      ["[", "]"],
      ["{a: ", "}"],
      ["-", ""],
      ["!", ""],
      ["local x = 1; ", ""],
      ["if true then ", ""],
      ["function(x) ", ""],
      ["1 + (", ")"],
      ["f(", ")"],
      ["error ", ""],
      ["assert true; ", ""],
      ["1 + if true then ", ""],
      ["{[", "]: 1}"],
    ] as const) {
      const error = errorOf(deep(open, close, 100_000 / open.length));
      assert.equal(error.kind, "limit", open);
      assert.match(error.reason, new RegExp(`more than ${NESTING_MAX} expressions within each other`));
    }
  });

  test("long chains are refused alike, and chains within the bound work", () => {
    assert.match(errorOf(Array.from({ length: 5000 }, () => "1").join(" + ")).reason, /within each other/);
    assert.match(errorOf(`x${".a".repeat(5000)}`).reason, /within each other/);
    assert.match(errorOf(`f${"()".repeat(5000)}`).reason, /within each other/);
    const sum = Array.from({ length: NESTING_MAX }, () => "1").join(" + ");
    assert.equal(compile(sum).evaluate(undefined), NESTING_MAX);
    assert.equal(
      JSON.stringify(compile(deep("[", "]", NESTING_MAX - 1)).evaluate(undefined)).length,
      2 * NESTING_MAX - 1,
    );
  });

  test("the text's length is bounded, before anything is done with it", () => {
    const error = errorOf(" ".repeat(SOURCE_CHARS_MAX + 1));
    assert.equal(
      error.reason,
      `the program has ${SOURCE_CHARS_MAX + 1} characters, the limit is ${SOURCE_CHARS_MAX}`,
    );
    assert.equal(compile(`${" ".repeat(SOURCE_CHARS_MAX - 1)}1`).evaluate(undefined), 1);
  });

  test("a wide program is fine", () => {
    const wide = `[${"'x', ".repeat(100_000)}]`;
    assert.equal((compile(wide).evaluate(undefined) as unknown[]).length, 100_000);
  });
});

test("limits are the caller's", () => {
  assert.match(errorOf("std.range(1, 100)", { bytes: 500 }).reason, /more than 500 bytes/);
  assert.match(errorOf("[i + 1 for i in std.range(1, 100)]", { steps: 50 }).reason, /more than 50 steps/);
  assert.match(
    errorOf("local f(n) = if n == 0 then 0 else 1 + f(n - 1); f(20)", { stack: 20 }).reason,
    /\(20\)/,
  );
  const deep = compile("local f(n) = if n == 0 then 0 else 1 + f(n - 1); f(200)");
  assert.equal(deep.evaluate(undefined), 200);
  assert.equal(LIMITS_DEFAULT.stack, 500);
});

test("bounds are counted anew for each evaluation", () => {
  const program = compile("std.length(std.range(1, 1000))", { limits: { bytes: 10_000, steps: 2000 } });
  for (let i = 0; i < 100; i++) assert.equal(program.evaluate(undefined), 1000);
});

test("a message is bounded, whatever value is in it", () => {
  const error = errorOf("error std.repeat('x', 1e6)");
  assert.equal(error.reason.length, 2001);
});
