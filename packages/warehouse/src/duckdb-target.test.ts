import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { never, WireError } from "@millrace/base";
import { DuckDBInstance } from "@duckdb/node-api";
import { crc32c } from "@node-rs/crc32";
import type { Column, PartitionLoad, TargetRef } from "@millrace/ingest";
import { DuckDBTarget } from "./duckdb-target.ts";
import { openEngine, type Engine } from "./engine.ts";

const fails = (error: unknown): void => assert.fail(String(error));
const scratch = mkdtempSync(join(tmpdir(), "millrace-target-"));
const columns: readonly Column[] = [
  { type: "uuid", name: "id" },
  { type: "datetime", name: "received at" },
  { type: "body", name: "body" },
];
let engine: Engine;
let target: DuckDBTarget;

before(async () => {
  mkdirSync(join(scratch, "staging"));
  engine = await openEngine({
    file: join(scratch, "w.db"),
    stagingDir: `${scratch}/staging/`,
    tempDir: join(scratch, "tmp"),
    memoryBytes: 256 * 2 ** 20,
    threads: 2,
  });
  target = new DuckDBTarget(engine, (path) => join(scratch, "staging", path), fails, scratch);
});
after(() => {
  engine.closeSync();
  rmSync(scratch, { recursive: true });
});

async function query(sql: string): Promise<unknown[][]> {
  const connection = await engine.connect();
  try {
    return (await connection.runAndReadAll(sql)).getRowsJson();
  } finally {
    connection.closeSync();
  }
}

/** Writes rows of SQL text as a staged object. */
async function stage(path: string, columnCount: number, rows: readonly string[]) {
  const file = join(scratch, "staging", path);
  const names = ["_offset", ...Array.from({ length: columnCount }, (_, i) => `c${i}`)].join(", ");
  const memory = await DuckDBInstance.create(":memory:");
  const connection = await memory.connect();
  await connection.run(`COPY (FROM (VALUES ${rows.join(", ")}) t(${names})) TO '${file}' (FORMAT parquet)`);
  connection.closeSync();
  memory.closeSync();
  const bytes = readFileSync(file);
  return { path, bytes: bytes.length, crc32c: crc32c(bytes), rows: rows.length };
}

function table(tableId: string): TargetRef {
  return { kind: "duckdb", tableId };
}

let objects = 0;
/** A load of `count` rows at offsets begin, begin+1, … */
async function load(
  journal: string,
  begin: number,
  count: number,
  startsTarget = begin === 0,
): Promise<PartitionLoad> {
  const rows = Array.from({ length: count }, (_, i) => {
    const id = `0193a0f0-0000-7000-8000-${String(begin + i).padStart(12, "0")}`;
    return `(${begin + i}::BIGINT, '${id}', '2026-01-02T03:04:05.678Z', 'line 1\nline "2", ${begin + i}')`;
  });
  const object = { ...(await stage(`object-${objects++}.parquet`, 3, rows)), columns, sinkVersion: 1 };
  return { journal, begin, end: begin + count, objects: [object], startsTarget };
}

test("target: rows, offsets and journal stand in the table as staged", async () => {
  const outcome = await target.load(
    { target: table("main.a"), columns, partitions: [await load("j/a", 0, 3)] },
    never,
  );
  assert.deepEqual(outcome, { kind: "loaded", rows: 3 });
  const rows = await query(
    `select "received at"::varchar, body, _journal, _offset from main.a order by _offset`,
  );
  assert.deepEqual(rows[1], ["2026-01-02 03:04:05.678", 'line 1\nline "2", 1', "j/a", "1"]);
});

test("target: the directory cannot be synced after a load -> it failed, and is found done once it can", async () => {
  const request = { target: table("main.synced"), columns, partitions: [await load("j/s", 0, 3)] };
  const gone = new DuckDBTarget(
    engine,
    (path) => join(scratch, "staging", path),
    fails,
    join(scratch, "gone"),
  );
  for (let i = 0; i < 2; i++) {
    await assert.rejects(
      () => gone.load(request, never),
      (error) => error instanceof WireError && error.code === "UNAVAILABLE",
    );
  }
  await gone.close();
  assert.equal((await target.load(request, never)).kind, "already");
});

test("target: the loaded end decides (D23)", async () => {
  const run = (partition: PartitionLoad) =>
    target.load({ target: table("main.b"), columns, partitions: [partition] }, never);
  const first = await load("j/b", 0, 3);
  assert.equal((await run(first)).kind, "loaded");
  assert.equal((await run(first)).kind, "already", "a repeated load does nothing");
  assert.equal((await run(await load("j/b", 1, 4, false))).kind, "refused", "an overlap is refused");
  assert.equal((await run(await load("j/b", 5, 1, false))).kind, "refused", "a gap is refused");
  assert.equal(
    (await run(await load("j/other", 7, 1, false))).kind,
    "refused",
    "a middle of an unknown partition is refused",
  );
  assert.equal(
    (await run(await load("j/other", 7, 1, true))).kind,
    "loaded",
    "unless the target starts there",
  );
  assert.equal((await run(await load("j/b", 3, 2))).kind, "loaded");
  assert.deepEqual(await query("select count(*), count(distinct _journal || _offset) from main.b"), [
    ["6", "6"],
  ]);
  assert.deepEqual(
    await target.loadedEnds("main.b", never),
    new Map([
      ["j/b", 5],
      ["j/other", 8],
    ]),
  );
});

test("target: a partition that comes back -> goes on behind what went elsewhere, never below its end", async () => {
  const run = (partition: PartitionLoad) =>
    target.load({ target: table("main.back"), columns, partitions: [partition] }, never);
  assert.equal((await run(await load("j/back", 0, 3))).kind, "loaded");
  assert.equal(
    (await run(await load("j/back", 10, 2, false))).kind,
    "refused",
    "no rotation chose this table",
  );
  const again = await load("j/back", 10, 2, true);
  assert.equal((await run(again)).kind, "loaded");
  assert.equal((await run(again)).kind, "already");
  assert.equal((await run(await load("j/back", 5, 4, true))).kind, "already", "an older load that slept");
  assert.equal((await run(await load("j/back", 11, 4, true))).kind, "refused", "an overlap");
  assert.equal((await run(await load("j/back", 12, 1, false))).kind, "loaded");
  assert.deepEqual(await query("select _offset from main.back order by 1"), [
    ["0"],
    ["1"],
    ["2"],
    ["10"],
    ["11"],
    ["12"],
  ]);
});

test("target: partitions of one load commit together or not at all", async () => {
  const bad = await load("j/c2", 0, 2);
  const short = { ...bad, objects: [{ ...bad.objects[0]!, rows: 3 }] };
  const request = { target: table("main.c"), columns, partitions: [await load("j/c1", 0, 2), short] };
  await assert.rejects(target.load(request, never), /hold 2 rows instead of 3/);
  assert.deepEqual(await query("select count(*) from main.c"), [["0"]]);
  assert.deepEqual(await target.loadedEnds("main.c", never), new Map());
});

test("target: rows of two sink versions stand under their own columns (D22)", async () => {
  const one: readonly Column[] = [{ type: "path", name: "a", path: "a" }];
  const two: readonly Column[] = [{ type: "path", name: "b", path: "b" }, ...one];
  const partition: PartitionLoad = {
    journal: "j/d",
    begin: 0,
    end: 30,
    startsTarget: true,
    objects: [
      { ...(await stage("v1.parquet", 1, ["(0::BIGINT, 'a0')", "(10, '')"])), columns: one, sinkVersion: 1 },
      { ...(await stage("v2.parquet", 2, ["(20::BIGINT, 'b2', 'a2')"])), columns: two, sinkVersion: 2 },
    ],
  };
  await target.load({ target: table("main.d"), columns: two, partitions: [partition] }, never);
  const rows = await query("select a, b from main.d order by _offset");
  assert.deepEqual(rows, [
    ["a0", null],
    ["", null],
    ["a2", "b2"],
  ]);
});

test("target: a staged object of other bytes -> CORRUPT, nothing loaded", async () => {
  const partition = await load("j/e", 0, 2);
  writeFileSync(join(scratch, "staging", partition.objects[0]!.path), "0,a,b,c\n");
  await assert.rejects(
    target.load({ target: table("main.e"), columns, partitions: [partition] }, never),
    /not what was staged/,
  );
  assert.deepEqual(await query("select count(*) from main.e"), [["0"]]);
});

test("target: a staged object that is gone -> NOT_FOUND, so that it is staged again", async () => {
  const partition = await load("j/f", 0, 2);
  rmSync(join(scratch, "staging", partition.objects[0]!.path));
  const request = { target: table("main.f"), columns, partitions: [partition] };
  await assert.rejects(target.load(request, never), (error: WireError) => error.code === "NOT_FOUND");
});

describe("target: what no table can be made of", () => {
  const id: Column = { type: "uuid", name: "id" };
  for (const [tableId, problem] of [
    ["temp.x", 'schema "temp" is reserved'],
    ["System.x", 'schema "System" is reserved'],
    ["W.x", 'schema "W" is reserved'],
    ["INFORMATION_SCHEMA.t", 'schema "INFORMATION_SCHEMA" is reserved'],
    ["_MILLRACE.loaded", 'schema "_MILLRACE" is reserved'],
    ["a.b.c", 'table "a.b.c" is not a table name'],
  ] as const) {
    test(`${tableId} -> check says so, prepare refuses`, async () => {
      assert.ok((await target.check(tableId, [id], never))?.includes(problem));
      await assert.rejects(target.prepare(tableId, [id], never), { code: "INVALID_ARGUMENT" });
    });
  }
});

test("target: a table that grows -> takes the columns that it lacks, keeps others, refuses other types", async () => {
  const id: Column = { type: "uuid", name: "id" };
  const body: Column = { type: "body", name: "body" };
  const ip: Column = { type: "ip", name: "ip" };
  await target.prepare("main.grows", [id, body], never);
  assert.equal(await target.check("main.grows", [id, ip], never, "growing"), undefined);
  await target.prepare("main.grows", [id, ip], never, "growing");
  assert.deepEqual(
    await query("select column_name from duckdb_columns() where table_name = 'grows' order by 1"),
    [["_journal"], ["_offset"], ["body"], ["id"], ["ip"]],
  );
  assert.equal(
    await target.check("main.grows", [{ type: "body", name: "ID" }], never, "growing"),
    'columns of the table "main.grows" do not match expected: "ID" is UUID in the table and would be VARCHAR',
  );
});

test("target: a load takes long -> a check is answered meanwhile, a table is made before other loads", async () => {
  const id: Column = { type: "uuid", name: "id" };
  const body: Column = { type: "body", name: "body" };
  // Nobody reads a pipe to its end before somebody writes.
  const pipe = { path: "pipe.parquet", bytes: 1, crc32c: 1, rows: 1, columns, sinkVersion: 1 };
  execFileSync("mkfifo", [join(scratch, "staging", pipe.path)]);
  const partitions = [{ journal: "j/pipe", begin: 0, end: 1, objects: [pipe], startsTarget: true }];
  const order: string[] = [];
  const slow = target
    .load({ target: table("main.slow"), columns, partitions }, never)
    .catch(() => order.push("slow"));
  const next = { target: table("main.next"), columns, partitions: [await load("j/next", 0, 3)] };
  const behind = target.load(next, never).then(({ kind }) => order.push(kind));
  const ready = target.prepare("main.ready", [id, body], never).then(() => order.push("ready"));
  assert.equal(await target.check("main.ready", [id, body], never), undefined);
  assert.deepEqual(order, []);
  await (await open(join(scratch, "staging", pipe.path), "w")).close();
  await Promise.all([slow, behind, ready]);
  assert.deepEqual(order, ["slow", "ready", "loaded"]);
});

test("target: a table that is there -> a sink must have exactly its columns", async () => {
  const expected = 'columns of the table "main.fit" do not match expected: ';
  const check = (...mapping: Column[]) => target.check("main.fit", mapping, never);
  const id: Column = { type: "uuid", name: "id" };
  const body: Column = { type: "body", name: "body" };
  assert.equal(await check(id, body), undefined, "nothing is there yet");
  await target.prepare("main.fit", [id, body], never);
  assert.equal(await check(id, body), undefined);
  assert.equal(await check({ type: "headers", name: "BODY" }, { ...id, name: "ID" }), undefined);
  assert.equal(
    await check({ type: "body", name: "id" }, body),
    `${expected}"id" is UUID in the table and would be VARCHAR`,
  );
  assert.equal(await check(id), `${expected}"body" VARCHAR of the table is not in the mapping`);
  const wide: Column = { type: "ip", name: "ip" };
  assert.equal(await check(id, body, wide), `${expected}"ip" VARCHAR is not in the table`);
  await assert.rejects(target.prepare("main.fit", [id, body, wide], never), { code: "INVALID_ARGUMENT" });
  assert.deepEqual(
    await query("select column_name from duckdb_columns() where table_name = 'fit' order by 1"),
    [["_journal"], ["_offset"], ["body"], ["id"]],
  );
});
