// A slot of the scanner has what the parsed body has, and whatever a template is, a record is mapped or refused.
import assert from "node:assert/strict";
import { describe, test } from "node:test";

import fc from "fast-check";

import type { TemplateColumn } from "./definitions.ts";
import { templateProblem } from "./mapping-check.ts";
import type { PathStep } from "./mapping-path.ts";
import { bodiesOf, programsOf, scalar } from "./mapping-arbitraries.ts";
import { map, templateColumn } from "./mapping-testkit.ts";

const column = (content: string, raw: boolean): TemplateColumn => templateColumn("jsonnet", content, raw);

function pathText(steps: readonly PathStep[]): string {
  return steps.map((step) => `[${JSON.stringify(step)}]`).join("");
}

const key = fc.constantFrom("a", "b", "a.b", "", "é", '"', "__proto__", "0", "length");
const leaf = fc.oneof(scalar, fc.string({ unit: "binary", maxLength: 60 }));
const body = bodiesOf(leaf, key, (inner) => [fc.array(inner, { maxLength: 3 })]);
const steps = fc.array(fc.oneof(key, fc.nat({ max: 2 })), { maxLength: 3 });

describe("Body(path)", () => {
  test("known when it is compiled or not, or walked by the template -> the same value, or none", () => {
    fc.assert(
      fc.property(body, steps, fc.boolean(), (body, steps, raw) => {
        const path = pathText(steps);
        const walk = steps.map((step) => `[${JSON.stringify(step)}]`).join("");
        const given = { body: JSON.stringify(body), headers: [["X-Path", path]] as const };
        const known = map([column(`Body(${JSON.stringify(path)}, 'none')`, raw)], given);
        assert.equal(typeof known, "string");
        assert.deepEqual(map([column("Body(Header('X-Path', ''), 'none')", raw)], given), known);
        const isFound = typeof map([column(`Body(${JSON.stringify(path)})`, raw)], given) === "string";
        const isFoundLate = typeof map([column("Body(Header('X-Path', ''))", raw)], given) === "string";
        assert.equal(isFoundLate, isFound);
        // Characters of a string are no items for a path.
        if (isFound) assert.deepEqual(map([column(`Body()${walk}`, raw)], given), known);
      }),
      { numRuns: 400 },
    );
  });

  test("of text that repeats keys and has blanks anywhere -> as JSON.parse reads it", () => {
    const json = fc
      .array(fc.tuple(key, fc.constantFrom("1", " [1, 2 ]", '{"a" :2, "a": {"b":3}}', "null")), {
        maxLength: 5,
      })
      .map(
        (members) =>
          `{ ${members.map(([name, value]) => `${JSON.stringify(name)} : ${value}`).join(" , ")} }`,
      );
    fc.assert(
      fc.property(json, steps, (json, steps) => {
        const given = { body: json, headers: [["X-Path", pathText(steps)]] as const };
        assert.deepEqual(
          map([column(`Body(${JSON.stringify(pathText(steps))}, 'none')`, false)], given),
          map([column("Body(Header('X-Path', ''), 'none')", false)], given),
        );
      }),
      { numRuns: 300 },
    );
  });
});

const LEAVES = [
  "Ip()",
  "Now()",
  "HeaderStr()",
  "Header()",
  "BodyStr()",
  "Body()",
  "1",
  "'x'",
  "null",
  "self",
  "$",
  "x",
];
const program = programsOf(LEAVES, (code) => [
  steps.map((steps) => `Body(${JSON.stringify(pathText(steps))}, 0)`),
  code.map((name) => `Body(${name})`),
  code.map((name) => `Header(${name}, '')`),
  code.map((format) => `Now(${format})`),
  fc
    .tuple(code, fc.constantFrom("+", "-", "*", "/", "%", "==", "<", "&&", "in", "<<"), code)
    .map(([a, operator, b]) => `(${a} ${operator} ${b})`),
  fc.tuple(code, code).map(([a, b]) => `[${a}, ${b}]`),
  fc.tuple(code, code).map(([a, b]) => `{a: ${a}, [${b}]: self.a}`),
  fc.tuple(code, code).map(([a, b]) => `[${a} for x in ${b}]`),
  fc.tuple(code, code).map(([a, b]) => `(local x = ${a}; ${b})`),
  fc.tuple(code, code, code).map(([a, b, c]) => `(if ${a} then ${b} else ${c})`),
  fc.tuple(code, code).map(([a, b]) => `${a}[${b}]`),
  fc
    .tuple(
      fc.constantFrom(
        "toString",
        "length",
        "range",
        "repeat",
        "sort",
        "parseJson",
        "base64",
        "objectFields",
        "join",
      ),
      fc.array(code, { minLength: 1, maxLength: 2 }),
    )
    .map(([name, args]) => `std.${name}(${args.join(", ")})`),
]);

test("random programs over random records -> a row of one JSON value, or 422 with a position", () => {
  fc.assert(
    fc.property(program, body, fc.boolean(), (content, body, raw) => {
      const problem = templateProblem(column(content, raw));
      const outcome = map([column(content, raw)], { body: JSON.stringify(body) });
      if (problem !== undefined) {
        assert.match(problem, /template is invalid: (?:[0-9]+:[0-9]+|\([0-9]+:)/);
        assert.ok(typeof outcome === "object" && outcome.status === 503);
      } else if (typeof outcome === "string") {
        const value = outcome.slice(1, -2).replaceAll('""', '"');
        if (!raw && value !== "") JSON.parse(value);
      } else {
        assert.ok([413, 422].includes(outcome.status));
        if (outcome.status === 422) {
          assert.match(outcome.message, /^Invalid value for column "c": (?:[0-9]+:[0-9]+|\([0-9]+:)/);
        }
      }
    }),
    { numRuns: 1500 },
  );
});
