// The tables of programs beside this file. A result that starts with "error " is the message of a JsonnetError.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";

import { compile, JsonnetError } from "./index.ts";

/** What the program gives, as the tables write it. */
function resultOf(program: string): string {
  try {
    return compile(program).evaluateText(undefined);
  } catch (error) {
    if (!(error instanceof JsonnetError)) throw error;
    return `error ${error.message}`;
  }
}

function casesOf(name: string): [program: string, result: string][] {
  const text = readFileSync(new URL(`../src/${name}.golden.txt`, import.meta.url), "utf8");
  const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("# "));
  return Array.from({ length: lines.length / 2 }, (_, i) => [lines[2 * i]!, lines[2 * i + 1]!.slice(2)]);
}

for (const name of ["language", "std", "errors"]) {
  describe(`${name}.golden.txt`, () => {
    for (const [program, result] of casesOf(name)) {
      test(program, () => assert.equal(resultOf(program), result));
    }
  });
}

test("each function of the library is in a table", () => {
  const programs = [...casesOf("std"), ...casesOf("errors")].map(([program]) => program).join("\n");
  const names = JSON.parse(resultOf("std.objectFieldsAll(std)")) as string[];
  const untested = names.filter((name) => !new RegExp(`std\\.${name}\\b`).test(programs));
  assert.deepEqual(
    untested,
    ["escapeStringXml", "extVar"].filter((name) => untested.includes(name)),
  );
});

test("text blocks", () => {
  const block = (text: string): unknown => compile(text).evaluate(undefined);
  assert.equal(block("|||\n  a\n    b\n\n  c\n|||"), "a\n  b\n\nc\n");
  assert.equal(block("|||-\n  a\n  b\n|||"), "a\nb");
  assert.equal(block("|||\n\ta ||| b\n\t|||\n|||"), "a ||| b\n|||\n");
  assert.equal(block("|||\r\n  a\r\n\r\n  b\r\n|||"), "a\r\n\nb\r\n");
  assert.equal(block("{a: |||\n    x\n  |||, b: 1}.a"), "x\n");
});

test("a position that spans lines, and a file's name", () => {
  const wrong = (text: string, file: string): string => {
    try {
      compile(text, { file }).evaluate(undefined);
    } catch (error) {
      if (error instanceof JsonnetError) return error.message;
    }
    return "";
  };
  assert.equal(
    wrong("1 +\n  {}", "map.jsonnet"),
    "map.jsonnet:(1:1)-(2:5) Unexpected type object, expected number",
  );
  assert.equal(
    wrong("local a = 1;\n\nInvalid", "map.jsonnet"),
    "map.jsonnet:3:1-8 Unknown variable: Invalid",
  );
});

test("the trace goes from the error outwards", () => {
  const program = compile("local f(x) = x.y, g(x) = [f(x)];\n{a: g({})[0]}", { file: "t" });
  assert.throws(
    () => program.evaluate(undefined),
    (error) => {
      assert.ok(error instanceof JsonnetError);
      assert.equal(error.kind, "runtime");
      assert.equal(error.reason, "Field does not exist: y");
      assert.deepEqual(
        [error.file, error.line, error.column, error.endLine, error.endColumn],
        ["t", 1, 14, 1, 17],
      );
      assert.deepEqual(
        error.trace.map(({ line, column, what }) => `${line}:${column} ${what}`),
        ["1:14 function <f>", "1:27 function <g>", "2:5 object <anonymous>", "1:1 "],
      );
      return true;
    },
  );
});
