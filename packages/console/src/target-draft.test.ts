import assert from "node:assert/strict";
import { test } from "node:test";
import type { Sink } from "./stream-definitions.ts";
import { tableIdFor, targetChange, targetDraft } from "./target-draft.ts";

const mapping = { columns: [] };
const DUCKDB: Sink["table"] = { type: "duckdb", tableId: "main.t", mapping };
const POSTGRES: Sink["table"] = {
  type: "postgres",
  tableId: "public.t",
  mapping,
  connection: { host: "db", port: 5433, database: "d", user: "u", sslMode: "verify-full" },
};

test("target: as it was -> no change, and a password that was never shown is not sent", () => {
  for (const table of [DUCKDB, POSTGRES]) assert.deepEqual(targetChange(table, targetDraft(table)), {});
});

test("target: of a new sink -> its kind and what its kind has of fields, numbers as numbers", () => {
  assert.deepEqual(targetChange(undefined, targetDraft(undefined)), { type: "duckdb" });
  const connection = {
    host: " db ",
    port: "5432",
    database: "d",
    user: "u",
    password: " p ",
    url: "left from another",
  };
  assert.deepEqual(targetChange(undefined, { type: "postgres", connection }), {
    type: "postgres",
    connection: { host: "db", port: 5432, database: "d", user: "u", password: " p " },
  });
});

test("target: one field is changed -> the connection as a whole, without a password that nobody gave", () => {
  const draft = targetDraft(POSTGRES);
  assert.deepEqual(
    targetChange(POSTGRES, { ...draft, connection: { ...draft.connection, user: "v", port: "" } }),
    {
      connection: { host: "db", database: "d", user: "v" },
    },
  );
  assert.deepEqual(
    targetChange(POSTGRES, { ...draft, connection: { ...draft.connection, password: "new" } }),
    {
      connection: { host: "db", port: 5433, database: "d", user: "u", password: "new" },
    },
  );
});

test("target: another kind -> said with its connection, if that kind has one", () => {
  assert.deepEqual(targetChange(POSTGRES, { type: "duckdb", connection: {} }), { type: "duckdb" });
  assert.deepEqual(targetChange(DUCKDB, { type: "parquet", connection: { url: "s3://b/" } }), {
    type: "parquet",
    connection: { url: "s3://b/" },
  });
  assert.deepEqual(targetChange(DUCKDB, { type: "parquet", connection: {} }), {
    type: "parquet",
    connection: {},
  });
});

test("target: what is no number goes as it is, for the API to say so", () => {
  const connection = { host: "db", database: "d", user: "u", port: "five" };
  const { connection: sent } = targetChange(undefined, { type: "postgres", connection });
  assert.equal((sent as { port: unknown }).port, "five");
});

test("target: another one -> its usual schema, unless somebody has chosen", () => {
  assert.equal(tableIdFor("main.orders", "duckdb", "postgres"), "public.orders");
  assert.equal(tableIdFor("shop.orders", "duckdb", "postgres"), "shop.orders");
});
