// What a program sees of its record, what becomes of its value, and what a hostile one cannot do in the language.
import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { Evaluation } from "./evaluation.ts";
import type { ProgramResult, RecordInput } from "./evaluator.ts";
import { EVALUATION_LIMITS, PROGRAMS_KEPT_MAX } from "./limits.ts";
import { decodeResult } from "./messages.ts";

const BODY = '{"s":"text","n":12.5,"big":1e400,"t":true,"nil":null,"o":{"b":[1,{"c":"d"}]},"list":[3,1,2]}';
const RECORD: RecordInput = {
  atMs: Date.UTC(2026, 0, 2, 3, 4, 5, 67),
  ip: "203.0.113.7",
  body: BODY,
  bodyText: BODY,
  headers: { Accept: "a, b", "Content-Type": "application/json" },
  headerText: "Accept: a, b\nContent-Type: application/json\n",
};
const { steps } = EVALUATION_LIMITS;

async function resultOf(program: string, given: Partial<RecordInput> = {}): Promise<ProgramResult> {
  return decodeResult(await new Evaluation().run({ program, record: { ...RECORD, ...given }, steps }));
}

async function reasonOf(program: string, given: Partial<RecordInput> = {}): Promise<string> {
  const result = await resultOf(program, given);
  assert.ok(result.kind === "failed", JSON.stringify(result));
  return result.reason;
}

describe("a value", () => {
  const rows: readonly (readonly [program: string, json: string])[] = [
    ["s", '"text"'],
    ["o.b[1].c", '"d"'],
    ["o.b[0]", "1"],
    ["n * 2", "25"],
    ["nil", "null"],
    ["t and n > 3", "true"],
    ["list^($)", "[1,2,3]"],
    ["{'id': s, 'sum': $sum(list), 'gone': gone}", '{"id":"text","sum":6}'],
    ["gone ?? 'none'", '"none"'],
    ["$ip()", '"203.0.113.7"'],
    ["$now()", '"2026-01-02T03:04:05.067Z"'],
    ["$now('[D01]/[M01]/[Y]')", '"02/01/2026"'],
    ["$now('[H01]:[m01]', '+0200')", '"05:04"'],
    ["$millis()", "1767323045067"],
    ["$fromMillis($toMillis('05:06', '[H01]:[m01]'))", '"2026-01-02T05:06:00.000Z"'],
    ["$header('accept')", '"a, b"'],
    ["$header('content-TYPE')", '"application/json"'],
    ["$header()", '{"Accept":"a, b","Content-Type":"application/json"}'],
    ["$split($headerStr(), '\\n')[0]", '"Accept: a, b"'],
    ["$length($bodyStr())", String(BODY.length)],
    ["$eval('n + 1')", "13.5"],
  ];
  for (const [program, json] of rows) {
    test(`${program} -> ${json}`, async () =>
      assert.deepEqual(await resultOf(program), { kind: "value", json }));
  }

  for (const program of ["gone", "$header('X-None')", "o.b[7]", "list[$ > 9]", "$header('__proto__')"]) {
    test(`${program} -> nothing`, async () => assert.deepEqual(await resultOf(program), { kind: "nothing" }));
  }

  test("longer than any row -> large", async () => {
    const program = "$pad('x', 3000000)";
    assert.deepEqual(await resultOf(program), { kind: "large" });
  });
});

describe("a failure", () => {
  const rows: readonly (readonly [program: string, reason: RegExp])[] = [
    ["$header(", /^1:8 /],
    ["{\n 'a': )", /^2:7 The symbol "\)" cannot be used as a unary operator$/],
    ["'a' + 1", /^1:5 The left side of the "\+" operator must evaluate to a number$/],
    ["$error('no such item')", /^1:7 no such item$/],
    ["$x()", /^1:3 Attempted to invoke a non-function$/],
    ["big", /Infinity is no number of JSON|Number out of range/],
    ["{'f': function($x) { $x }}", /a function is no value/],
    ["$sum", /a function is no value/],
    ["/a/", /a function is no value/],
    ["$header(1)", /^1:8 Argument 1 of function "header" does not match function signature$/],
    ["$random()", /\$random is not available/],
    ["$shuffle(list)", /\$shuffle is not available/],
  ];
  for (const [program, reason] of rows) {
    test(`${program} -> ${reason.source}`, async () => assert.match(await reasonOf(program), reason));
  }

  test("bytes that are no text -> told where they are asked for", async () => {
    assert.match(await reasonOf("$bodyStr()", { bodyText: undefined }), /the body is not UTF-8/);
  });
});

describe("a body that cannot be looked into", () => {
  for (const program of [
    "s",
    "$.s",
    "$$.o.b",
    "*",
    "**.c",
    "{'a': s}",
    "[1].$$.s",
    "$count(s)",
    "$",
    "[$$]",
    "{'a': $}",
    "$string($)",
  ]) {
    test(`${program} -> unreadable`, async () => {
      assert.deepEqual(await resultOf(program, { body: undefined }), { kind: "unreadable" });
    });
  }

  test("a program that does not look into it -> its value", async () => {
    const result = await resultOf("{'a': $ip() & $header('accept')}.a", { body: undefined });
    assert.deepEqual(result, { kind: "value", json: '"203.0.113.7a, b"' });
  });
});

describe("a hostile program", () => {
  const rows: readonly (readonly [program: string, reason: RegExp])[] = [
    ["($f := function($x) { $f($x + 1) }; $f(1))", /^more than 50000 steps$/],
    ["$map([1..90000], function($x) { $x + 1 })", /^more than 50000 steps$/],
    ["($f := function($x) { 1 + $f($x + 1) }; $f(1))", /Stack overflow|stack depth/],
    ["$sum([1..100000000])", /size of the sequence/],
    ["$sum([1..1000000])", /maximum sequence length/],
    ["($f := function($s, $n) { $n = 0 ? $s : $f($s & $s, $n - 1) }; $f('x', 40))", /Invalid string length/],
    ["(".repeat(2000) + "1" + ")".repeat(2000), /Stack overflow|stack/],
    ["$eval('$eval(\"($f := function() { $f() }; $f())\")')", /steps/],
  ];
  for (const [program, reason] of rows) {
    test(`${program.slice(0, 60)} -> an error`, async () => assert.match(await reasonOf(program), reason));
  }

  const harmless: readonly string[] = [
    "constructor",
    "$.constructor",
    "__proto__",
    "$.__proto__.polluted",
    "toString",
    "list.constructor",
    "s.constructor",
    "$lookup($, 'constructor')",
    "$lookup({}, '__proto__')",
    "$header().constructor",
  ];
  for (const program of harmless) {
    test(`${program} -> nothing`, async () => assert.deepEqual(await resultOf(program), { kind: "nothing" }));
  }

  test("members with names of the engine's -> members, and nothing of it stays", async () => {
    const before = Object.getOwnPropertyNames(Object.prototype).sort();
    const programs = [
      "$ ~> |$|{'__proto__': {'polluted': 1}, 'constructor': {'prototype': {'polluted': 1}}}|",
      "$merge([$, {'__proto__': {'polluted': 1}}])",
      "{'__proto__': {'polluted': 1}, 'hasOwnProperty': 2}",
      "o ~> |b[1]|{'polluted': 1}|",
      '$eval(\'{"__proto__": {"polluted": 1}}\')',
    ];
    const evaluation = new Evaluation();
    const body = '{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}},"o":{"b":[1,{}]}}';
    for (const program of programs) {
      await evaluation.run({ program, record: { ...RECORD, body }, steps });
      const after = await evaluation.run({ program: "polluted", record: { ...RECORD, body: "{}" }, steps });
      assert.equal(after, "n", program);
    }
    assert.deepEqual(Object.getOwnPropertyNames(Object.prototype).sort(), before);
    assert.equal(({} as Record<string, unknown>)["polluted"], undefined);
  });

  test("variables of one evaluation are not those of the next", async () => {
    const evaluation = new Evaluation();
    const run = (program: string): Promise<string> => evaluation.run({ program, record: RECORD, steps });
    assert.equal(await run("($kept := 1; $now := 2; $kept)"), "v1");
    assert.equal(await run("$kept"), "n");
    assert.equal(await run("($kept := $kept + 1)"), "n");
    assert.equal(await run("($kept := $kept + 1)"), "n");
  });
});

test("more programs than are kept -> each has its value", async () => {
  const evaluation = new Evaluation();
  for (let i = 0; i <= PROGRAMS_KEPT_MAX; i++) {
    assert.equal(await evaluation.run({ program: `n + ${i}`, record: RECORD, steps }), `v${12.5 + i}`);
  }
  assert.equal(await evaluation.run({ program: "n + 0", record: RECORD, steps }), "v12.5");
});
