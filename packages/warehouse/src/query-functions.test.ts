// Scalar functions, aggregates and macros are refused by a short list, so each that the engine has must have been
// looked at: whatever an upgrade adds fails here until somebody has.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { DuckDBInstance } from "@duckdb/node-api";
import { REFUSED_FUNCTIONS } from "./query-guard.ts";

const REVIEWED = new URL("../src/query-functions.golden.txt", import.meta.url);

/** Collations are many and all alike; what is internal cannot be called by a user. */
const NAMES = `select distinct lower(function_name) as name from duckdb_functions()
  where function_type in ('scalar', 'aggregate', 'macro')
  and not starts_with(function_name, 'icu_collate_') and not starts_with(function_name, '__internal_')`;

test("query functions: those of the engine -> exactly the reviewed ones", async () => {
  const instance = await DuckDBInstance.create(":memory:", {
    autoinstall_known_extensions: "false",
    autoload_known_extensions: "false",
  });
  const connection = await instance.connect();
  const rows = (await connection.runAndReadAll(NAMES)).getRows();
  connection.closeSync();
  instance.closeSync();
  const reviewed = new Set(readFileSync(REVIEWED, "utf8").trim().split("\n"));
  const names = new Set(rows.map(([name]) => String(name)));
  assert.deepEqual(
    [...names].filter((name) => !reviewed.has(name)),
    [],
    "new functions: does one read files, the network, settings or the environment, or change the process? Then " +
      "refuse it in query-guard.ts; either way add it to query-functions.golden.txt",
  );
  assert.deepEqual(
    [...reviewed].filter((name) => !names.has(name)),
    [],
    "gone: take them from query-functions.golden.txt",
  );
});

test("query functions: those that are refused -> stand in lower case, as they are compared", () => {
  for (const name of REFUSED_FUNCTIONS) assert.equal(name, name.toLowerCase());
});
