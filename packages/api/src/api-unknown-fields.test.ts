// Bodies with fields that no operation knows: misspelt ones are not dropped in silence.
import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";

import { ApiHarness, FLIGHTS, SINKS, SOURCES, type Json } from "./api-testkit.ts";

let api: ApiHarness;
beforeEach(async () => {
  api = new ApiHarness();
  await api.open();
});
afterEach(() => api.close());

describe("fields that there are not", () => {
  const FIELDS = "type, sourceId, name, description, signature";

  test("a misspelt field of a body -> 400 that names it, and nothing is made", async () => {
    const misspelt = { type: "http", name: "x", descripton: "y", nmae: null };
    const { status, body } = await api.call("POST", SOURCES, misspelt);
    assert.deepEqual([status, body["error"]], [400, "stream.api.badRequest"]);
    const said = (name: string): string => `"${name}" is not a field of body (expected ${FIELDS})`;
    assert.equal(body["message"], `- ${said("descripton")}.\n- ${said("nmae")}.`);
    const fields = (body["problems"] as Json[]).map(({ field }) => field);
    assert.deepEqual(fields, ["body.descripton", "body.nmae"]);
    assert.equal((await api.call("GET", `${SOURCES}/x`)).status, 404);
  });

  test("beside a missing field -> that first; within tables, columns and templates -> by their kinds", async () => {
    const missing = await api.call("POST", SOURCES, { type: "http", nmae: "x" });
    assert.equal(missing.body["error"], "stream.api.missingField");
    await api.call("POST", SOURCES, FLIGHTS);
    const template = { language: "jsonnet", content: "1", strict: true };
    const columns = [
      { type: "path", name: "a", path: "a", default: "0" },
      { type: "template", name: "t", template },
      { type: "body", name: "b", path: "x" },
    ];
    const table = {
      type: "duckdb",
      tableId: "main.t",
      mapping: { columns, primaryKey: "a" },
      schema: "main",
    };
    const { status, body } = await api.call("POST", SINKS, { type: "table", name: "t", table });
    assert.equal(status, 400);
    const fields = (body["problems"] as Json[]).map(({ field }) => field);
    assert.deepEqual(fields, [
      "body.table.mapping.columns[0].default",
      "body.table.mapping.columns[1].template.strict",
      "body.table.mapping.columns[2].path",
      "body.table.mapping.primaryKey",
      "body.table.schema",
    ]);
  });

  test("a hundred thousand of them, or long ones -> the first ten, cut", async () => {
    const names = Array.from({ length: 50_000 }, (_, i) => [`x${i}`, 1] as const);
    const { body } = await api.call("POST", SOURCES, {
      ["y".repeat(1000)]: 1,
      ...Object.fromEntries(names),
      type: "http",
      name: "x",
    });
    assert.equal((body["problems"] as Json[]).length, 10);
    assert.ok(String(body["message"]).length < 2000);
  });
});
