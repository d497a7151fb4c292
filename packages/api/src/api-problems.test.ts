import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";
import { ApiHarness, FLIGHTS, SINK, SINKS, SOURCES, type Json } from "./api-testkit.ts";

let api: ApiHarness;
beforeEach(async () => {
  api = new ApiHarness();
  await api.open();
});
afterEach(() => api.close());

describe("API: what is wrong, by field", () => {
  const postgres = { type: "postgres", tableId: "public.t", mapping: SINK.table.mapping };
  const path = (name: string, path: string) => ({ type: "path", name, path });
  const fields: readonly (readonly [url: string, body: Json, fields: readonly string[]])[] = [
    [SOURCES, { type: "http", name: "", sourceId: "x".repeat(49) }, ["body.sourceId", "body.name"]],
    [SOURCES, { ...FLIGHTS, sourceId: "flights" }, ["body.sourceId"]],
    [SOURCES, { ...FLIGHTS, sourceId: "other", signature: { scheme: "github" } }, ["body.signature.secret"]],
    [SOURCES, { type: "otlp", name: "x", signature: { scheme: "github", secret: "s" } }, ["body.signature"]],
    [SINKS, { ...SINK, table: { ...SINK.table, tableId: "t" } }, ["body.table.tableId"]],
    [SINKS, { ...SINK, table: postgres }, ["body.table.connection"]],
    [
      SINKS,
      { ...SINK, table: { ...postgres, connection: { host: "a b", database: "d", user: "u" } } },
      ["body.table.connection.host"],
    ],
    [
      SINKS,
      { ...SINK, table: { ...SINK.table, mapping: { columns: [path("a", "b["), path("A", "b")] } } },
      ["body.table.mapping.columns[0].path"],
    ],
    [
      SINKS,
      { ...SINK, table: { ...SINK.table, mapping: { columns: [path("a", "b"), path("A", "b")] } } },
      ["body.table.mapping.columns[1].name"],
    ],
    [
      SINKS,
      { ...SINK, settings: { "storage.level.local.quota": "much" } },
      ["body.settings.storage.level.local.quota"],
    ],
  ];
  for (const [url, body, expected] of fields) {
    test(`${expected.join(", ")} -> said by field, each with its part of the message`, async () => {
      await api.call("POST", SOURCES, FLIGHTS);
      const answer = await api.call("POST", url, body);
      const problems = answer.body["problems"] as readonly Json[];
      assert.deepEqual(
        problems.map(({ field }) => field),
        expected,
      );
      for (const { message } of problems) assert.ok(String(answer.body["message"]).includes(String(message)));
    });
  }

  test("settings of a PATCH -> said by their place in the list", async () => {
    await api.call("POST", SOURCES, FLIGHTS);
    const settings = [
      { key: "storage.level.local.quota", value: "1GB" },
      { key: "source.limit.records", value: -1 },
    ];
    const { body } = await api.call("PATCH", `${SOURCES}/flights/settings`, { settings });
    const message = 'Invalid "source.limit.records" value "-1": must be between 0 and 10000000.';
    assert.deepEqual(
      [body["message"], body["problems"]],
      [message, [{ field: "body.settings[1]", message }]],
    );
  });

  test("what is about no field -> no problems by field", async () => {
    assert.ok(!("problems" in (await api.call("GET", `${SOURCES}/nowhere`)).body));
  });
});
