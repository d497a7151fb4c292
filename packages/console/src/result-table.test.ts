import assert from "node:assert/strict";
import { test } from "node:test";
import { cellText, csvOf, parseAnswer, tableColumns } from "./result-table.ts";

for (const [type, isNumber] of [
  ["BIGINT", true],
  ["INTEGER", true],
  ["UINTEGER", true],
  ["UTINYINT", true],
  ["HUGEINT", true],
  ["DECIMAL(18,3)", true],
  ["DOUBLE", true],
  ["FLOAT", true],
  ["VARCHAR", false],
  ["UUID", false],
  ["TIMESTAMP", false],
  ["BIGINT[]", false],
  ["INTERVAL", false],
  ["BOOLEAN", false],
] as const) {
  test(`result: ${type} is ${isNumber ? "a" : "no"} number`, () => {
    assert.equal(tableColumns([{ name: "x", type }])[0]?.isNumber, isNumber);
  });
}

test("result: equal names -> members as the server names them", () => {
  const columns = ["a", "b", "a", "a"].map((name) => ({ name, type: "INTEGER" }));
  assert.deepEqual(
    tableColumns(columns).map((column) => column.key),
    ["a", "b", "a_1", "a_2"],
  );
});

for (const [value, expected] of [
  [null, null],
  [undefined, null],
  ["NULL", "NULL"],
  ["", ""],
  [0, "0"],
  [false, "false"],
  ["9007199254740993", "9007199254740993"],
  [{ a: [1, null] }, '{"a":[1,null]}'],
] as const) {
  test(`result: cell ${JSON.stringify(value)} -> ${JSON.stringify(expected)}`, () => {
    assert.equal(cellText(value), expected);
  });
}

test("result: CSV quotes what needs it and keeps NULL and the empty string apart", () => {
  const answer = parseAnswer({
    columns: [
      { name: "a,b", type: "VARCHAR" },
      { name: "n", type: "BIGINT" },
    ],
    rows: [
      { "a,b": 'say "hi"\nthere', n: 1 },
      { "a,b": null, n: "9007199254740993" },
      { "a,b": "", n: null },
      { "a,b": " blank", n: 0 },
    ],
    rowCount: 4,
    elapsedMs: 1,
  });
  const lines = ['"a,b",n', '"say ""hi""\nthere",1', ",9007199254740993", '"",', '" blank",0', ""];
  assert.equal(csvOf(answer), lines.join("\r\n"));
});

test("result: what is no answer -> says so", () => {
  for (const body of [null, 7, "x", {}, { columns: [] }]) assert.throws(() => parseAnswer(body), TypeError);
  assert.deepEqual(parseAnswer({ columns: [], rows: [{}] }), {
    columns: [],
    rows: [{}],
    rowCount: 1,
    elapsedMs: 0,
  });
});
