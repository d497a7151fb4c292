// The table of the stream service's tests (docs/stream-tests.md) names files and tests: they are there, by those names.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { tableFaults } from "./test-table.ts";

const ROOT = new URL("../", import.meta.url);
const TABLE = { column: "Keboola", verdicts: ["not yet", "about volumes"] };

test("table of the stream service's tests: every file and test that it names -> is there; the counts are right", () => {
  const document = readFileSync(new URL("docs/stream-tests.md", ROOT), "utf8");
  assert.deepEqual(tableFaults(document, TABLE, ROOT), []);
});
