// Sinks with targets outside the warehouse: what requests may say, what answers show, and what becomes of passwords.
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { Gate, never, WireError } from "@millrace/base";
import { ApiHarness, at, FLIGHTS, SINK, SINKS, SOURCES, type Json } from "./api-testkit.ts";

const SINK_URL = `${SINKS}/flights`;
const LOGIN = { host: "db.example", database: "d", user: "u", password: "hunter2" };

let api: ApiHarness;
beforeEach(async () => {
  api = new ApiHarness();
  await api.open();
  await api.change("POST", SOURCES, FLIGHTS);
});
afterEach(() => api.close());

function sinkWith(target: object): object {
  return { ...SINK, table: { ...SINK.table, ...target } };
}

async function refusal(method: "POST" | "PATCH", url: string, body: object): Promise<string> {
  const { status, body: answer } = await api.call(method, url, body);
  assert.equal(status, 400, JSON.stringify(answer));
  return String(answer["message"]);
}

async function untilAsked(count: number): Promise<void> {
  while (api.asked.length < count) await setImmediate();
}

const patch = (table: object): Promise<Json> => api.change("PATCH", SINK_URL, { table });

test("POST of a sink into PostgreSQL -> asked there, made ready there, shown without its password", async () => {
  await api.change("POST", SINKS, sinkWith({ type: "postgres", connection: LOGIN }));
  assert.deepEqual(api.asked[0], { type: "postgres", connection: LOGIN });
  assert.equal(api.prepared[0]?.tableId, "main.flights");
  const { password: _, ...shown } = LOGIN;
  assert.deepEqual(at(await api.get(SINK_URL), "table", "connection"), shown);
  assert.ok(!JSON.stringify(await api.get(SINKS)).includes("hunter2"));
});

const WRONG: readonly (readonly [object, RegExp])[] = [
  [{ type: "postgres" }, /"connection" is missing from body\.table/],
  [{ type: "postgres", connection: { host: "h" } }, /"database" is missing from body\.table\.connection/],
  [
    { type: "postgres", connection: { ...LOGIN, port: 65_536 } },
    /ody\.table\.connection\.port must be lesser or equal than 65535 but got value 65536/,
  ],
  [
    { type: "postgres", connection: { ...LOGIN, sslMode: "prefer" } },
    /sslMode must be one of "disable" or "require" or "verify-full" but got value "prefer"/,
  ],
  [{ type: "postgres", connection: { ...LOGIN, host: "a b" } }, /onnection\.host "a b" is no name/],
  [{ type: "parquet", connection: { url: "bucket" } }, /onnection\.url is invalid/],
  [{ type: "clickhouse", connection: { url: "http://h/p" } }, /onnection\.url "http:\/\/h\/p" is invalid/],
];

test("POST and PATCH of connections that are none -> 400 with value and bound", async () => {
  for (const [target, message] of WRONG)
    assert.match(await refusal("POST", SINKS, sinkWith(target)), message);
  assert.deepEqual(api.asked, []);
  await api.change("POST", SINKS, SINK);
  api.asked = [];
  for (const [target, message] of WRONG)
    assert.match(await refusal("PATCH", SINK_URL, { table: target }), message);
  assert.deepEqual(api.asked, []);
});

test("a target that cannot be asked -> 400 with which one and why", async () => {
  api.away = new WireError("FORBIDDEN", 'PostgreSQL: password authentication failed for user "u"');
  const body = sinkWith({ type: "postgres", connection: LOGIN });
  const why = 'Postgres db.example:5432/d: PostgreSQL: password authentication failed for user "u".';
  assert.equal(await refusal("POST", SINKS, body), why);
});

test("PATCH without a password -> the one there is stays, unless it would go to another login", async () => {
  await api.change("POST", SINKS, sinkWith({ type: "postgres", connection: LOGIN }));
  const { password: _, ...unlocked } = LOGIN;
  api.asked = [];
  await patch({ connection: { ...unlocked, port: 5432, password: "two" } });
  assert.deepEqual(at(api.asked[0], "connection", "password"), "two");
  await patch({ tableId: "main.other" });
  assert.deepEqual(at(api.asked.at(-1), "connection", "password"), "two");
  const moved = { table: { connection: { ...unlocked, host: "evil.example", port: 5432 } } };
  assert.equal(
    await refusal("PATCH", SINK_URL, moved),
    "Connection.password must be given again when host, port, database, user or TLS change.",
  );
  assert.equal(at(await api.get(SINK_URL), "version", "number"), 3);
});

test("PATCH whose check takes long -> takes nothing back of what was changed meanwhile", async () => {
  await api.change("POST", SINKS, sinkWith({ type: "postgres", connection: LOGIN }));
  const check = new Gate();
  api.held = check.next(never);
  const slow = patch({ tableId: "main.other" });
  await untilAsked(2);
  const columns = [...SINK.table.mapping.columns, { type: "datetime", name: "later" }];
  await patch({ mapping: { columns } });
  await patch({ connection: { ...LOGIN, password: "two" } });
  check.open();
  await slow;
  const sink = await api.get(SINK_URL);
  const names = (at(sink, "table", "mapping", "columns") as Json[]).map(({ name }) => name);
  assert.deepEqual([at(sink, "table", "tableId"), names.at(-1)], ["main.other", "later"]);
  assert.deepEqual(at(api.asked.at(-1), "connection", "password"), "two");
  assert.deepEqual(api.prepared.at(-1), {
    tableId: "main.other",
    columns: at(sink, "table", "mapping", "columns"),
  });
});

test("PATCH to another target and back by a rollback -> with the login of that version", async () => {
  await api.change("POST", SINKS, sinkWith({ type: "postgres", connection: LOGIN }));
  await patch({ type: "parquet", connection: { url: "s3://lake/rows/" } });
  assert.deepEqual(at(await api.get(SINK_URL), "table", "connection"), { url: "s3://lake/rows/" });
  await patch({ type: "duckdb" });
  assert.equal(at(await api.get(SINK_URL), "table", "connection"), undefined);
  api.asked = [];
  await api.change("PUT", `${SINK_URL}/versions/1/rollback`);
  assert.deepEqual(api.asked[0], { type: "postgres", connection: LOGIN });
  assert.equal(at(await api.get(SINK_URL), "table", "connection", "host"), "db.example");
});

test("PATCH of what is no target -> nobody is asked", async () => {
  await api.change("POST", SINKS, sinkWith({ type: "postgres", connection: LOGIN }));
  api.asked = [];
  api.away = new WireError("UNAVAILABLE", "away");
  await api.change("PATCH", SINK_URL, { name: "Other" });
  assert.deepEqual(api.asked, []);
});
