import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { concatBytes, never, systemClock, text, WireError } from "@millrace/base";
import { openEngine, type Engine } from "./engine.ts";
import { QueryRunner, DEFAULT_LIMITS, type Query } from "./query-runner.ts";
import { HeldBytes, ResultBytes } from "./result-bytes.ts";
import { encoderFor, OFFERED_TYPES, type MakeEncoder } from "./result-encoders.ts";

const fails = (error: unknown): void => assert.fail(String(error));
const scratch = mkdtempSync(join(tmpdir(), "millrace-sql-"));
const staged = join(scratch, "staging", "a.csv");
let engine: Engine;
let runner: QueryRunner;

before(async () => {
  const stagingDir = `${join(scratch, "staging")}/`;
  (await import("node:fs")).mkdirSync(stagingDir);
  writeFileSync(staged, '1,"secret"\n');
  engine = await openEngine({
    file: join(scratch, "w.db"),
    stagingDir,
    tempDir: join(scratch, "tmp"),
    memoryBytes: 256 * 2 ** 20,
    threads: 2,
  });
  const connection = await engine.connect();
  await connection.run("create table main.t as select i as n, i::varchar as s from range(10) r(i)");
  connection.closeSync();
  runner = new QueryRunner(engine, { clock: systemClock, onLost: fails }, { concurrency: 2, queue: 2 });
});
after(() => {
  engine.closeSync();
  rmSync(scratch, { recursive: true });
});

const ENDLESS = "select count(*) from range(100000000000) a(x) where hash(x) = 1";

async function run(sql: string, query: Partial<Query> = {}, accept = "application/json"): Promise<string> {
  const make = encoderFor(accept);
  assert.ok(make !== undefined);
  const result = await runner.run({ sql, parameters: [], limits: DEFAULT_LIMITS, ...query }, make, never);
  const body = text(concatBytes(result.body));
  result.release();
  return body;
}

const ALLOWED: readonly [string, RegExp][] = [
  ["select count(*) as n from main.t", /"columns":\[\{"name":"n","type":"BIGINT"\}\],"rows":\[\{"n":10\}\]/],
  ["with x as (select 1 a) select * from x", /\{"a":1\}/],
  ["from t limit 1", /\{"n":0,"s":"0"\}/],
  ["values (1), (2)", /"rowCount":2/],
  ["show tables", /"name":"t"/],
  ["describe t", /column_name/],
  ["explain select * from t", /explain_value/],
  [
    "select 9007199254740993 as big, 1.5 as d, null as x, 'a\"b' as q",
    /"big":"9007199254740993","d":1.5,"x":null,"q":"a\\"b"/,
  ],
  ["select sum(n) as n from t", /\{"n":45\}/],
  ["select [1,2] as l, {'a': 1} as s", /"l":\[1,2\],"s":\{"a":1\}/],
  ["select timestamp '2026-01-02 03:04:05.678' as at", /2026-01-02 03:04:05.678/],
];
for (const [sql, expected] of ALLOWED) {
  test(`sql: ${sql} -> answered`, async () => assert.match(await run(sql), expected));
}

const REFUSED: readonly [string, RegExp][] = [
  ["insert into t values (1, 'x')", /only one SELECT/],
  ["drop table t", /only one SELECT/],
  ["select 1; select 2", /expected one statement, got 2/],
  ["select 1; drop table t", /only one SELECT/],
  ["", /expected one statement|only one SELECT|syntax/],
  ["copy t to 'x.csv'", /only one SELECT/],
  ["attach 'x.db'", /only one SELECT/],
  ["install httpfs", /only one SELECT/],
  ["set threads = 1", /only one SELECT/],
  ["pragma database_list", /only one SELECT/],
  ["explain copy t to 'x.csv'", /only one SELECT/],
  ["explain analyze insert into t values (1, 'x')", /only one SELECT/],
  ["begin", /only one SELECT/],
  [`select * from read_csv('${staged}')`, /table function "read_csv" is not allowed/],
  [`select * from '${staged}'`, /names a file/],
  [`select (select max(content) from read_text('${staged}'))`, /table function "read_text"/],
  [`with x as (from read_blob('${staged}')) select * from x`, /table function "read_blob"/],
  [`describe select * from read_csv('${staged}')`, /table function "read_csv"/],
  [`explain analyze select * from read_text('${staged}')`, /table function "read_text"/],
  [`select * from glob('${scratch}/*')`, /table function "glob"/],
  ["select * from query('select 1')", /table function "query"/],
  ["select current_setting('allowed_directories')", /function "current_setting"/],
  ["select * from duckdb_settings()", /table function "duckdb_settings"/],
  ["select nope from t", /Referenced column "nope" not found/],
  ["selec 1", /syntax error/],
];
for (const [sql, expected] of REFUSED) {
  test(`sql: ${sql.replace(scratch, "…")} -> refused`, async () => {
    await assert.rejects(
      run(sql),
      (error: unknown) => error instanceof WireError && expected.test(error.message),
    );
  });
}

test("sql: an error knows its position, counted from 1", async () => {
  for (const [sql, position] of [
    ["select nope from t", 8],
    ["select n,\n  nope from t", 13],
    ["selec 1", 1],
    ["select * from glob('x')", 15],
  ] as const) {
    await assert.rejects(run(sql), (error: unknown) => {
      assert.ok(error instanceof WireError);
      assert.equal(error.facts["position"], position, `${sql}: ${error.message}`);
      return true;
    });
  }
});

test("sql: a result over the row limit is an error, never shortened", async () => {
  const limits = { ...DEFAULT_LIMITS, rows: 5 };
  await assert.rejects(run("select * from t", { limits }), /more than 5 rows/);
  assert.match(await run("select * from t limit 5", { limits }), /"rowCount":5/);
});

for (const accept of OFFERED_TYPES) {
  for (const [name, sql] of [
    ["many rows", "select repeat('x', 100) as s, i from range(100) t(i)"],
    ["one value", "select repeat('x', 10000) as s"],
    ["many chunks", "select i from range(100000) t(i)"],
  ] as const) {
    test(`sql: ${name} over the limit in bytes as ${accept} -> an error that says so`, async () => {
      const limits = { ...DEFAULT_LIMITS, bytes: 5000 };
      const says = { code: "TOO_LARGE", message: "the result has more than 5000 bytes" };
      await assert.rejects(run(sql, { limits }, accept), says);
    });
  }
}

test("sql: a value that no string can hold -> over the limit", async () => {
  const make: MakeEncoder = () => ({
    contentType: "",
    chunk: () => void "x".repeat(2 ** 29).repeat(2 ** 29),
    end: () => Promise.resolve(),
  });
  const query = { sql: "select 1", parameters: [], limits: DEFAULT_LIMITS };
  await assert.rejects(runner.run(query, make, never), { code: "TOO_LARGE", message: /more than \d+ bytes/ });
});

test("sql: lists that would fill the memory -> an error that says so", async () => {
  await assert.rejects(run("select list(i) from range(5000000) t(i)"), {
    code: "TOO_LARGE",
    message: /5000000 items/,
  });
});

test("sql: large values -> refused before they fill the memory", async () => {
  const before = process.resourceUsage().maxRSS;
  const limits = { ...DEFAULT_LIMITS, bytes: 1024 * 1024 };
  const sql = "select repeat('x', 20000) || i as s from range(100000) t(i)";
  await assert.rejects(run(sql, { limits }), { code: "TOO_LARGE" });
  const grownKiB = process.resourceUsage().maxRSS - before;
  assert.ok(grownKiB < 500 * 1024, `${grownKiB} KiB more`);
});

test("sql: results that nobody fetches -> others are told to come again", () => {
  const held = new HeldBytes(1000);
  const [first, second] = [new ResultBytes(1000, held), new ResultBytes(1000, held)];
  first.text("x".repeat(600));
  first.end();
  second.text("x".repeat(600));
  assert.throws(() => second.end(), { code: "OVERLOADED" });
  first.release();
  first.release();
  second.add(new Uint8Array(1000));
  assert.throws(() => new ResultBytes(1000, held).add(new Uint8Array(1)), { code: "OVERLOADED" });
});

test("sql: a query over its time is interrupted", async () => {
  await assert.rejects(run(ENDLESS, { limits: { ...DEFAULT_LIMITS, timeMs: 50 } }), /longer than 50 ms/);
  assert.match(await run("select 1 as one"), /"one":1/);
});

test("sql: those who asked have gone -> their queries neither run nor wait, and others are answered", async () => {
  const gone = new AbortController();
  const ask = { sql: ENDLESS, parameters: [], limits: DEFAULT_LIMITS };
  const make = encoderFor(undefined)!;
  // Two run and two wait; a fifth would be one too many.
  const asked = Array.from({ length: 4 }, () => runner.run(ask, make, gone.signal));
  const ended = Promise.allSettled(asked);
  await assert.rejects(run("select 1 as one"), { code: "OVERLOADED" });
  gone.abort(new WireError("REQUEST_TIMEOUT", "gone"));
  const others = [run("select 1 as one"), run("select 2 as one")];
  for (const outcome of await ended) assert.equal(outcome.status, "rejected");
  assert.deepEqual(
    (await Promise.all(others)).map((text) => /"one":\d/.exec(text)?.[0]),
    ['"one":1', '"one":2'],
  );
});

test("sql: given up at any moment of its start -> interrupted all the same", async () => {
  const make = encoderFor(undefined)!;
  for (let turns = 0; turns < 40; turns += 3) {
    const gone = new AbortController();
    const ask = { sql: ENDLESS, parameters: [], limits: DEFAULT_LIMITS };
    const asked = assert.rejects(runner.run(ask, make, gone.signal), { code: "REQUEST_TIMEOUT" });
    for (let turn = 0; turn < turns; turn++) await new Promise((next) => setImmediate(next));
    gone.abort(new WireError("REQUEST_TIMEOUT", "gone"));
    await asked;
  }
});

const [JSON_TYPE, NDJSON, CSV, ARROW] = OFFERED_TYPES;
const ACCEPTED: readonly [accept: string, type: string | undefined][] = [
  ["", JSON_TYPE],
  ["*/*", JSON_TYPE],
  ["text/*", CSV],
  ["text/csv;q=0.5, application/x-ndjson", NDJSON],
  ["text/csv; q=0.5 , application/x-ndjson;q=0.4", CSV],
  ["text/csv, application/x-ndjson", CSV],
  ["*/*, text/csv", CSV],
  ["application/*;q=0.9, */*;q=0.1", JSON_TYPE],
  ["application/json;q=0, application/*", NDJSON],
  ["text/html, application/xml;q=0.9, */*;q=0.8", JSON_TYPE],
  ["Application/VND.apache.arrow.stream", ARROW],
  ["image/png", undefined],
  ["text/csv;q=0", undefined],
];
for (const [accept, type] of ACCEPTED) {
  test(`sql: Accept "${accept}" -> ${type}`, () => {
    assert.equal(encoderFor(accept), type === undefined ? undefined : encoderFor(type));
  });
}

test("sql: parameters by position and by name", async () => {
  assert.match(await run("select count(*) as n from t where n < ?", { parameters: [3] }), /"n":3/);
  assert.match(await run("select $a || $b as s", { parameters: { a: "x", b: "y" } }), /"s":"xy"/);
});

test("sql: columns of equal names -> names of their own, the same in columns, rows and every format", async () => {
  const sql = "select 1 as a, 2 as a";
  const columns = '[{"name":"a","type":"INTEGER"},{"name":"a_1","type":"INTEGER"}]';
  assert.ok((await run(sql)).startsWith(`{"columns":${columns},"rows":[{"a":1,"a_1":2}]`));
  assert.equal(await run(sql, {}, "text/csv"), "a,a_1\r\n1,2\r\n");
  assert.equal(
    await run("select 1 as a, 2 as a, 3 as a_1", {}, "application/x-ndjson"),
    '{"a":1,"a_2":2,"a_1":3}\n',
  );
});

test("sql: NDJSON, CSV and Arrow by Accept", async () => {
  assert.equal(
    await run("select n, s from t limit 2", {}, "application/x-ndjson"),
    '{"n":0,"s":"0"}\n{"n":1,"s":"1"}\n',
  );
  assert.equal(
    await run("select n, '' as e, null as x from t limit 1", {}, "text/csv"),
    'n,e,x\r\n0,"",\r\n',
  );
  const make = encoderFor("application/vnd.apache.arrow.stream");
  assert.ok(make !== undefined);
  const query = {
    sql: "select n, s, 1.5::double as d from t order by n",
    parameters: [],
    limits: DEFAULT_LIMITS,
  };
  const { body } = await runner.run(query, make, never);
  const { tableFromIPC } = await import("apache-arrow");
  const table = tableFromIPC(concatBytes(body));
  assert.equal(table.numRows, 10);
  assert.equal(table.get(3)?.["n"], 3n);
  assert.equal(table.get(3)?.["s"], "3");
  assert.equal(table.get(3)?.["d"], 1.5);
});
