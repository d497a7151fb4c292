import assert from "node:assert/strict";
import { test } from "node:test";
import { tableFaults } from "./test-table.ts";

const ROOT = new URL("../", import.meta.url);
const HERE = "`scripts/test-table.test.ts`";
const OTHERS = "| Word | Meaning |\n| ---- | ------- |\n| a    | not of it |\n";

function faults(counts: string, ...rows: string[]): readonly string[] {
  const table = ["| Theirs | Here |", "| ------ | ---- |", ...rows].join("\n");
  const document = `${OTHERS}\n${counts}\n\n${table}\n\n${OTHERS}`;
  return tableFaults(document, { column: "Theirs", verdicts: ["not yet"] }, ROOT);
}

test("table of tests: files, tests and verdicts that are there, and counted -> no fault", () => {
  const named = `| TestB | ${HERE}: table of tests: wrong counts -> said as they should be |`;
  const rows = [`| TestA | ${HERE} |`, named, "| TestC | not yet |"];
  assert.deepEqual(faults("Of 3: 2 tested, 1 not yet.", ...rows), []);
});

test("table of tests: wrong counts -> said as they should be", () => {
  for (const said of ["Of 2: 1 tested, 0 not yet.", "Of 1: 1 tested, 1 not yet.", ""])
    assert.deepEqual(faults(said, "| TestA | not yet |"), ["it does not say: Of 1: 0 tested, 1 not yet."]);
});

test("table of tests: no such file, no such test, another verdict -> each is a fault", () => {
  const rows = [
    "| TestA | `scripts/x.ts` |",
    "| TestB | `scripts/test-table.ts`: a name |",
    "| TestC | later |",
  ];
  assert.deepEqual(faults("Of 3: 2 tested, 0 not yet.", ...rows), [
    "TestA: no file scripts/x.ts",
    'scripts/test-table.ts: no test "a name"',
    "TestC: later",
  ]);
});
