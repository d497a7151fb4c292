// A path in JSONata has the value that the same path has in Jsonnet, and what is no program or fails is a refusal.
import assert from "node:assert/strict";
import { test } from "node:test";

import fc from "fast-check";

import { bodiesOf, objectsOf, programsOf, scalar } from "./mapping-arbitraries.ts";
import { map, mapEvaluated, templateColumn as column } from "./mapping-testkit.ts";

const NAMES = ["a", "b", "a.b", "é", '"', "__proto__", "constructor", "0", "length", "toString", "$"];
const key = fc.constantFrom(...NAMES);
/** No objects in arrays: JSONata's paths go through those. */
const leaf = fc.oneof(
  scalar,
  fc.string({ unit: "grapheme", maxLength: 60 }),
  fc.array(fc.oneof(fc.integer(), fc.array(fc.boolean(), { maxLength: 2 })), { maxLength: 3 }),
);
const body = bodiesOf(leaf, key);

test("a path through objects -> the value that Jsonnet's Body(path) has, or none where that has none", async () => {
  await fc.assert(
    fc.asyncProperty(
      objectsOf(key, body),
      fc.array(key, { minLength: 1, maxLength: 3 }),
      fc.boolean(),
      async (body, path, raw) => {
        const given = { body: JSON.stringify(body) };
        const jsonata = path.map((name) => `\`${name}\``).join(".");
        const jsonnet = `Body(${JSON.stringify(path.map((name) => `[${JSON.stringify(name)}]`).join(""))})`;
        const ours = await mapEvaluated([column("jsonata", jsonata, raw)], given);
        const theirs = map([column("jsonnet", jsonnet, raw)], given);
        if (typeof theirs === "object") {
          assert.ok(typeof ours === "object", `Jsonnet has none, JSONata ${JSON.stringify(ours)}`);
          assert.deepEqual([ours.status, ours.name], [theirs.status, theirs.name]);
          return;
        }
        assert.ok(typeof ours === "string", JSON.stringify(ours));
        if (ours !== theirs) assert.deepEqual(parsed(ours), parsed(theirs)); // the order of members
      },
    ),
    { numRuns: 400 },
  );
});

function parsed(row: string): unknown {
  return JSON.parse(row.slice(1, -2).replaceAll('""', '"'));
}

const LEAVES = [
  "a",
  "b",
  "$",
  "$$",
  "1",
  "'x'",
  "null",
  "$ip()",
  "$now()",
  "$header()",
  "$bodyStr()",
  "*",
  "**",
  "$x",
];
const program = programsOf(LEAVES, (code) => [
  fc
    .tuple(
      code,
      fc.constantFrom("+", "-", "*", "/", "&", "=", "<", "and", "in", "..", ".", "~>", "??", "%"),
      code,
    )
    .map(([a, operator, b]) => `(${a} ${operator} ${b})`),
  fc.tuple(code, code).map(([a, b]) => `[${a}, ${b}]`),
  fc.tuple(code, code).map(([a, b]) => `{'a': ${a}, ${b}: 1}`),
  fc.tuple(code, code).map(([a, b]) => `${a}[${b}]`),
  fc.tuple(code, code).map(([a, b]) => `($x := ${a}; ${b})`),
  fc.tuple(code, code, code).map(([a, b, c]) => `(${a} ? ${b} : ${c})`),
  fc.tuple(code, code).map(([a, b]) => `(${a})^(${b})`),
  code.map((body) => `function($x) { ${body} }`),
  fc
    .tuple(
      fc.constantFrom(
        "string",
        "length",
        "map",
        "filter",
        "sum",
        "keys",
        "lookup",
        "merge",
        "eval",
        "each",
        "sort",
      ),
      fc.array(code, { minLength: 1, maxLength: 2 }),
    )
    .map(([name, args]) => `$${name}(${args.join(", ")})`),
]);

test("random programs over random records -> a row of one JSON value, or a refusal; twice the same", async () => {
  const before = Object.getOwnPropertyNames(Object.prototype).sort();
  await fc.assert(
    fc.asyncProperty(program, body, fc.boolean(), async (content, body, raw) => {
      const given = { body: JSON.stringify(body) };
      const outcome = await mapEvaluated([column("jsonata", content, raw)], given);
      assert.deepEqual(await mapEvaluated([column("jsonata", content, raw)], given), outcome);
      if (typeof outcome === "object") return assert.ok([413, 422].includes(outcome.status), outcome.message);
      const value = outcome.slice(1, -2).replaceAll('""', '"');
      if (!raw && value !== "") JSON.parse(value);
    }),
    { numRuns: 1000 },
  );
  assert.deepEqual(Object.getOwnPropertyNames(Object.prototype).sort(), before);
});
