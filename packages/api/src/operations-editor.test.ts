import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";

import { ApiHarness, at, FLIGHTS, SINK, SINKS, SOURCES, type Json } from "./api-testkit.ts";

const SOURCE = `${SOURCES}/flights`;
const SINK_URL = `${SINKS}/flights`;
const TEST_MAPPING = `${SOURCE}/test-mapping`;

const compareText = (a: string, b: string): number => (a < b ? -1 : 1);

let api: ApiHarness;
beforeEach(async () => {
  api = new ApiHarness();
  await api.open();
  await api.change("POST", SOURCES, FLIGHTS);
  await api.change("POST", SINKS, SINK);
});
afterEach(() => api.close());

describe("API: what an editor needs", () => {
  test("definition of a version: what it said, of a source without its address", async () => {
    await api.change("PATCH", SOURCE, { name: "Second" });
    const first = await api.get(`${SOURCE}/versions/1/definition`);
    assert.deepEqual(
      [first["name"], at(first, "version", "number"), first["http"]],
      ["Flights", 1, undefined],
    );
    const columns = [{ type: "body", name: "body" }];
    await api.change("PATCH", SINK_URL, { table: { mapping: { columns } } });
    const numbers = async (version: number): Promise<unknown> =>
      (
        (at(await api.get(`${SINK_URL}/versions/${version}/definition`), "table", "mapping", "columns") ??
          []) as Json[]
      ).length;
    assert.deepEqual([await numbers(1), await numbers(2)], [4, 1]);
    for (const url of [SOURCE, SINK_URL]) {
      const { status } = await api.call("GET", `${url}/versions/9/definition`);
      assert.equal(status, 404);
    }
  });

  test("test-mapping: rows of columns that no sink has; a batch has more", async () => {
    const columns = [
      { type: "path", name: "item", path: "a.b", rawString: true },
      { type: "template", name: "twice", template: { language: "jsonnet", content: "Body('n') * 2" } },
      { type: "template", name: "thrice", template: { language: "jsonata", content: "n * 3" } },
    ];
    const { status, body } = await api.call("POST", TEST_MAPPING, {
      mapping: { columns },
      record: {
        headers: { "content-type": "application/x-ndjson" },
        body: '{"a":{"b":"x"},"n":2}\n{"a":{"b":"y"},"n":3}',
      },
    });
    assert.equal(status, 200, JSON.stringify(body));
    const values = (body["rows"] as Json[]).map((row) =>
      (row["columns"] as Json[]).map((column) => column["value"]),
    );
    assert.deepEqual(values, [
      ["x", "4", "6"],
      ["y", "6", "9"],
    ]);
  });

  test("test-mapping: text that the table cannot have -> 422; without its type -> a row", async () => {
    const columns = [{ type: "path", name: "p", path: "a", rawString: true }];
    const record = { headers: { "content-type": "application/json" }, body: '{"a":"\\u0000"}' };
    const ask = (more: Json) => api.call("POST", TEST_MAPPING, { mapping: { columns }, record, ...more });
    const refused = await ask({ tableType: "postgres" });
    assert.equal(refused.status, 422);
    assert.match(String(refused.body["message"]), /column "p": it has the character NUL/);
    const statuses = [(await ask({ tableType: "duckdb" })).status, (await ask({})).status];
    assert.deepEqual(statuses, [200, 200]);
    assert.equal((await ask({ tableType: "excel" })).status, 400);
  });

  test("test-mapping: a record that does not fit -> 422; a template that does not compile -> 400", async () => {
    const ask = (
      column: Json,
      record: Json = { body: "{}", headers: { "content-type": "application/json" } },
    ) => api.call("POST", TEST_MAPPING, { mapping: { columns: [column] }, record });
    const missing = await ask({ type: "path", name: "item", path: "a.b" });
    assert.deepEqual([missing.status, missing.body["error"]], [422, "stream.api.unprocessableContent"]);
    const broken = await ask({
      type: "template",
      name: "t",
      template: { language: "jsonnet", content: "{\n  a: }" },
    });
    assert.equal(broken.status, 400);
    assert.match(String(broken.body["message"]), /2:6/);
    const language = "jsonata";
    const wrong = await ask({ type: "template", name: "t", template: { language, content: "{\n  a: }" } });
    assert.equal(wrong.status, 400);
    assert.match(String(wrong.body["message"]), /2:6 /);
    const nothing = await ask({ type: "template", name: "t", template: { language, content: "a" } });
    assert.equal(nothing.status, 422);
    const charset = await ask(
      { type: "body", name: "b" },
      { body: "x", headers: { "content-type": "text/plain; charset=nope" } },
    );
    assert.equal(charset.status, 415);
  });

  test("tasks: the newest first, as many as are asked for", async () => {
    await api.change("PUT", `${SINK_URL}/disable`);
    const all = (await api.get("/v1/tasks"))["tasks"] as Json[];
    assert.deepEqual(all.map((task) => String(task["type"])).sort(compareText), [
      "api.create.sink",
      "api.create.source",
      "api.disable.sink",
    ]);
    const times = all.map((task) => Date.parse(String(task["createdAt"])));
    assert.deepEqual(
      times,
      [...times].sort((a, b) => b - a),
    );
    assert.equal(((await api.get("/v1/tasks?limit=1"))["tasks"] as Json[]).length, 1);
    assert.equal((await api.call("GET", "/v1/tasks?limit=0")).status, 400);
  });
});
