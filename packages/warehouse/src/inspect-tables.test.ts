// Looking into the warehouse's file: what stands in it, also in the engine's log, and that no byte changes.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { WireError } from "@millrace/base";
import { openEngine } from "./engine.ts";
import { inspectTables } from "./inspect-tables.ts";

const never = new AbortController().signal;
const BUCKET = 100;

/** A directory with a file that has rows in the engine's own log, as after a kill. */
async function warehouse(t: TestContext): Promise<string> {
  const root = mkdtempSync(join(tmpdir(), "inspect-tables-"));
  t.after(() => rmSync(root, { recursive: true }));
  const [live, killed] = [join(root, "live"), join(root, "killed")];
  cpSync(new URL("../package.json", import.meta.url), join(live, "staging", "none"));
  const options = {
    stagingDir: `${live}/staging/`,
    tempDir: `${live}/tmp`,
    memoryBytes: 2 ** 27,
    threads: 1,
  };
  const engine = await openEngine({ file: join(live, "w.duckdb"), ...options });
  const connection = await engine.connect();
  for (const sql of [
    `CREATE TABLE main.flights ("_journal" VARCHAR, "_offset" BIGINT)`,
    `INSERT INTO main.flights SELECT 'a', 10 * range FROM range(25)`,
    `INSERT INTO main.flights VALUES ('a', 110), ('b', 5)`,
    `INSERT INTO "_millrace"."loaded" VALUES ('main.flights', 'a', 250), ('main.gone', 'b', 7)`,
  ]) {
    await connection.run(sql);
  }
  cpSync(live, killed, { recursive: true });
  connection.closeSync();
  engine.closeSync();
  return killed;
}

function hashOf(dir: string): string {
  const hash = createHash("sha1");
  for (const name of readdirSync(dir, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))) {
    hash.update(name.name);
    if (name.isFile()) hash.update(readFileSync(join(dir, name.name)));
  }
  return hash.digest("hex");
}

test("inspect: a file whose process was killed -> its rows by journal and bucket, nothing changed", async (t) => {
  const dir = await warehouse(t);
  const before = hashOf(dir);
  const tables = await inspectTables(join(dir, "w.duckdb"), never);
  assert.deepEqual(await tables.loadedEnds(), [
    { table: "main.flights", journal: "a", end: 250 },
    { table: "main.gone", journal: "b", end: 7 },
  ]);
  assert.deepEqual(
    [...(await tables.rowsByJournal("main.flights"))],
    [
      ["a", 26],
      ["b", 1],
    ],
  );
  const span = { journal: "a", begin: 20, end: 200 };
  assert.deepEqual(await tables.buckets("main.flights", span, BUCKET), [
    { bucket: 0, rows: 8, distinctOffsets: 8, offsetSum: 440 },
    { bucket: 1, rows: 11, distinctOffsets: 10, offsetSum: 460 },
  ]);
  const isNotFound = (error: unknown): boolean => error instanceof WireError && error.code === "NOT_FOUND";
  await assert.rejects(tables.rowsByJournal("main.gone"), isNotFound);
  await assert.rejects(tables.buckets("main.gone", span, BUCKET), isNotFound);
  tables.close();
  assert.equal(hashOf(dir), before);
});

test("inspect: a file that is no database -> CORRUPT, naming it", async (t) => {
  const dir = await warehouse(t);
  const file = join(dir, "other.duckdb");
  writeFileSync(file, "x".repeat(10_000));
  await assert.rejects(inspectTables(file, never), (error: unknown) => {
    assert.ok(error instanceof WireError);
    return error.code === "CORRUPT" && error.message.startsWith(`${file}: `) && !error.message.includes("\n");
  });
});
