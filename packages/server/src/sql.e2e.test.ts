// SQL at the warehouse of a real platform: formats and limits, and mistakes told with their position.
import assert from "node:assert/strict";
import { connect } from "node:net";
import { after, before, test } from "node:test";
import { ask, post, type Answer } from "./test-http.ts";
import { scratch, TestPlatform, until } from "./test-platform.ts";
import { createStream, waitForRows } from "./test-streams.ts";

const JSON_TYPE = { "content-type": "application/json" };

let platform: TestPlatform;
let url = "";

before(async () => {
  platform = await TestPlatform.start(scratch());
  url = `${platform.endpoints.warehouse}/sql`;
});

after(() => platform.stop());

function as(accept: string, body: object): Promise<Answer> {
  return ask(url, { method: "POST", headers: { ...JSON_TYPE, accept }, body: JSON.stringify(body) });
}

const REFUSED: readonly [name: string, query: string, says: RegExp, position: number | undefined][] = [
  ["a syntax error", "selec 1", /syntax error/i, 1],
  ["an unknown column", "select 1 as a, nonsense from (select 1)", /nonsense/, 16],
  ["an unknown table", "select * from main.nowhere", /nowhere/, 15],
  ["two statements", "select 1; select 2", /one statement/, undefined],
  ["a write", "create table t (a int)", /SELECT/, undefined],
  ["a file", "select * from '/etc/passwd'", /file/, 15],
  ["a file by a function", "select * from read_csv('/etc/passwd')", /read_csv/, 15],
  ["a setting", "set memory_limit = '1GB'", /SELECT/, undefined],
  ["the platform's staging", "select * from read_parquet('staging/*')", /read_parquet/, 15],
];
for (const [name, query, says, position] of REFUSED) {
  test(`SQL: ${name} -> 400 with message and position`, async () => {
    const answer = await post(url, { query });
    assert.equal(answer.status, 400, answer.text);
    const { error, message, position: at } = answer.json();
    assert.equal(error, "INVALID_ARGUMENT");
    assert.match(String(message), says);
    assert.equal(at, position, answer.text);
  });
}

test("SQL: a result over the limit -> an error that says so, not a shortened result", async () => {
  const query = "select * from range(1001)";
  const refused = await post(url, { query, limits: { rows: 1000 } });
  assert.equal(refused.status, 413, refused.text);
  assert.match(refused.text, /1000/);
  const whole = (await post(url, { query, limits: { rows: 1001 } })).json() as { rows: unknown[] };
  assert.equal(whole.rows.length, 1001);
  const million = await as("text/csv", { query: "select * from range(1000000)" });
  assert.equal(million.text.trimEnd().split("\n").length, 1_000_001);
});

test("SQL: parameters, and integers beyond 2^53 -> as text, in every format", async () => {
  const query = `select $1::varchar as "text", 9007199254740993::bigint as large, 7::bigint as small, null as nothing`;
  const body = { query, parameters: ["it's"] };
  const row = { text: "it's", large: "9007199254740993", small: 7, nothing: null };
  const json = (await as("application/json", body)).json() as { columns: unknown[]; rows: unknown[] };
  assert.deepEqual(json.rows, [row]);
  assert.deepEqual(json.columns.slice(0, 3), [
    { name: "text", type: "VARCHAR" },
    { name: "large", type: "BIGINT" },
    { name: "small", type: "BIGINT" },
  ]);
  assert.deepEqual((await as("application/x-ndjson", body)).json(), row);
  const csv = (await as("text/csv", body)).text.replaceAll("\r", "");
  assert.equal(csv, "text,large,small,nothing\nit's,9007199254740993,7,\n");
  const arrow = await as("application/vnd.apache.arrow.stream", body);
  assert.equal(arrow.status, 200, arrow.text);
  assert.equal(arrow.bytes.readUInt32LE(0), 0xffffffff, "a stream of Arrow begins with its marker");
});

test("SQL: four analytical queries at a time -> no record waits for them (D7)", async () => {
  const source = await createStream(platform.endpoints, "quick", [{ type: "body", name: "body" }]);
  await post(source, { n: 0 });
  const heavy = "select count(*) as n from range(30000) a, range(3000) b where (a.range * b.range) % 7 = 3";
  const queries = Array.from({ length: 4 }, () => post(url, { query: heavy }));
  const busy = { is: true };
  const finished = Promise.all(queries).finally(() => (busy.is = false));
  let slowestMs = 0;
  let sent = 1;
  for (; busy.is && sent < 500; sent++) {
    const beganMs = performance.now();
    assert.equal((await post(source, { n: sent })).status, 200);
    slowestMs = Math.max(slowestMs, performance.now() - beganMs);
  }
  for (const answer of await finished) assert.equal(answer.status, 200, answer.text);
  assert.ok(slowestMs < 2000, `a record waited ${Math.round(slowestMs)} ms`);
  await waitForRows(platform.endpoints, "main.quick", sent);
});

test("SQL: a request whose head does not come to its end -> 408 in time", async () => {
  const socket = connect(Number(new URL(url).port), "127.0.0.1");
  let text = "";
  socket.on("data", (data) => (text += data));
  socket.write("POST /sql HTTP/1.1\r\nhost: localhost\r\n");
  await until("it is told", 20_000, () => text.includes(" 408 "));
  socket.destroy();
});

test("SQL: the warehouse's process is killed -> not ready, records are taken, then all is there", async () => {
  const { endpoints } = platform;
  const source = await createStream(endpoints, "orphans", [{ type: "body", name: "body" }]);
  await post(source, { n: 0 });
  await waitForRows(endpoints, "main.orphans", 1);
  const [warehouse] = platform.children();
  process.kill(warehouse!, "SIGKILL");
  for (let n = 1; n < 100; n++) assert.equal((await post(source, { n })).status, 200);
  const readiness = new Set<number>();
  await until("the platform says that it was not ready, and is again", 30_000, async () => {
    readiness.add((await ask(`${endpoints.broker}/readyz`)).status);
    return readiness.size === 2;
  });
  await until("there is a warehouse again, at the same address", 30_000, () =>
    ask(`${endpoints.warehouse}/readyz`).then(
      ({ status }) => status === 200,
      () => false,
    ),
  );
  await waitForRows(endpoints, "main.orphans", 100);
  assert.notDeepEqual(platform.children(), [warehouse]);
});
