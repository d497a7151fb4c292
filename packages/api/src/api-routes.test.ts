import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";

import { never, WireError } from "@millrace/base";
import { DEFAULT_CONDITIONS } from "@millrace/ingest";

import { ApiHarness, at, FLIGHTS, SINK, SINKS, SOURCES, type Json } from "./api-testkit.ts";

let api: ApiHarness;
beforeEach(async () => {
  api = new ApiHarness();
  await api.open();
});
afterEach(() => api.close());

describe("API", () => {
  test("create and get a source: as the documentation says it", async () => {
    const { status, body: task } = await api.call("POST", SOURCES, FLIGHTS);
    assert.equal(status, 202);
    assert.equal(task["isFinished"], true);
    assert.equal(task["status"], "success");
    assert.match(
      String(task["url"]),
      /^http:\/\/api\.test\/v1\/tasks\/api\.create\.source\/1\/flights\/[0-9TZ:.-]+_[0-9a-z]{5}$/,
    );
    assert.equal(task["result"], "Source has been created successfully.");
    const polled = await api.call("GET", String(task["url"]).slice("http://api.test".length));
    assert.deepEqual(polled.body, task);

    const { body: source } = await api.call("GET", `${SOURCES}/flights`);
    assert.match(
      String(at(source, "http", "url")),
      /^http:\/\/in\.test\/stream\/1\/flights\/[0-9a-zA-Z]{48}$/,
    );
    assert.equal(at(source, "version", "number"), 1);
    assert.equal(at(source, "version", "description"), "New source.");
    assert.match(String(at(source, "version", "hash")), /^[0-9a-f]{16}$/);
    assert.match(String(at(source, "created", "at")), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    assert.deepEqual([source["projectId"], source["branchId"], source["sourceId"]], [1, 1, "flights"]);
    assert.equal(source["secret"], undefined);
    assert.equal(api.mirror.sources().length, 1, "the doors know it by the time of the answer");
  });

  test("create and get a sink: the table is prepared, conditions are Millrace's", async () => {
    await api.call("POST", SOURCES, FLIGHTS);
    const { status, body: task } = await api.call("POST", SINKS, SINK);
    assert.deepEqual([status, task["isFinished"], task["status"]], [202, true, "success"]);
    assert.deepEqual(api.prepared, [{ tableId: "main.flights", columns: SINK.table.mapping.columns }]);
    const { body: sink } = await api.call("GET", `${SINKS}/flights`);
    assert.deepEqual(sink["table"], SINK.table);
    assert.equal(sink["conditions"], undefined);
    const key = { projectId: 1, branchId: 1, sourceId: "flights", sinkId: "flights" };
    assert.deepEqual(api.mirror.sink(key)?.conditions, DEFAULT_CONDITIONS);
    assert.equal(api.mirror.sink(key)?.waitForAppend, true);
    assert.deepEqual(await api.mirror.columns(key, 1, never), SINK.table.mapping.columns);
    await assert.rejects(api.mirror.columns(key, 2, never), { code: "NOT_FOUND" });
    const { body: total } = await api.call("GET", `${SINKS}/flights/statistics/total`);
    assert.deepEqual(total, { total: null, levels: {}, lag: { seconds: 0, bytes: 0 } });
    api.lag = { bytes: 1234, ms: 61_999 };
    const { body: behind } = await api.call("GET", `${SINKS}/flights/statistics/total`);
    assert.deepEqual(behind["lag"], { seconds: 61, bytes: 1234 });
  });

  test("create a sink with settings: taken over in their units", async () => {
    await api.call("POST", SOURCES, FLIGHTS);
    const settings = {
      "storage.level.staging.upload.trigger.count": 5,
      "storage.level.staging.upload.trigger.size": "1KB",
      "storage.level.staging.upload.trigger.interval": "1m30s",
      "storage.level.target.import.trigger.interval": "100ms",
      "storage.level.target.import.minInterval": "0s",
      "storage.level.local.encoding.sync.wait": false,
    };
    await api.call("POST", SINKS, { ...SINK, settings });
    const sink = api.mirror.sink({ projectId: 1, branchId: 1, sourceId: "flights", sinkId: "flights" });
    assert.deepEqual(sink?.conditions.upload, {
      count: 5,
      bytes: 1024,
      intervalMs: 90_000,
      minIntervalMs: 0,
    });
    assert.equal(sink?.conditions.import.intervalMs, 100);
    assert.equal(sink?.waitForAppend, false);
    assert.deepEqual(sink?.settings, settings);
    assert.deepEqual((await api.call("GET", `${SINKS}/flights`)).body["settings"], settings);
  });

  test("the target refuses a sink's table: the task says why, nothing is created", async () => {
    await api.call("POST", SOURCES, FLIGHTS);
    api.refusePrepare = new WireError("UNPROCESSABLE", 'columns of the table "main.flights" do not match');
    const { status, body: task } = await api.call("POST", SINKS, SINK);
    assert.deepEqual([status, task["isFinished"], task["status"]], [202, true, "error"]);
    assert.equal(task["error"], 'columns of the table "main.flights" do not match');
    assert.equal((await api.call("GET", `${SINKS}/flights`)).status, 404);
  });

  test("IDs: made from the name, normalised when given", async () => {
    const cases: [given: Json, id: string][] = [
      [{ name: "My Source" }, "my-source"],
      [{ name: "someHTTPSource" }, "some-http-source"],
      [{ name: "x", sourceId: "!!!!~~~~weird|||id##" }, "weird-id"],
      [{ name: "Příliš žluťoučký" }, "prilis-zlutoucky"],
    ];
    for (const [given, id] of cases) {
      const { body } = await api.call("POST", SOURCES, { type: "http", ...given });
      assert.equal(at(body, "outputs", "sourceId"), id);
    }
  });

  test("lists: ordered by ID, page by page", async () => {
    for (const name of ["c", "a", "b"]) await api.call("POST", SOURCES, { type: "http", name });
    const page = async (query: string): Promise<Json> => (await api.call("GET", `${SOURCES}${query}`)).body;
    const ids = (body: Json): string[] =>
      (body["sources"] as Json[]).map((source) => String(source["sourceId"]));
    const first = await page("?limit=2");
    assert.deepEqual(ids(first), ["a", "b"]);
    assert.deepEqual(first["page"], { limit: 2, totalCount: 3, afterId: "", lastId: "b" });
    const second = await page("?limit=2&afterId=b");
    assert.deepEqual(ids(second), ["c"]);
    assert.deepEqual(second["page"], { limit: 2, totalCount: 3, afterId: "b", lastId: "c" });
    assert.deepEqual((await page("?afterId=c"))["page"], {
      limit: 100,
      totalCount: 3,
      afterId: "c",
      lastId: "",
    });
    assert.deepEqual((await api.call("GET", `${SOURCES}/a/sinks`)).body["sinks"], []);
  });
});

for (const { what, path, status, message } of [
  { what: "that cannot be decoded", path: "%ff", status: 400, message: "is not a valid url component." },
  {
    what: "of 101 characters",
    path: "x".repeat(101),
    status: 414,
    message: "is exceeding the max param length.",
  },
]) {
  test(`API: an ID ${what} -> ${status} in the envelope`, async () => {
    const response = await api.app.inject({ method: "GET", url: `${SOURCES}/${path}` });
    const body = response.json<unknown>();
    assert.deepEqual(body, {
      statusCode: status,
      error: "stream.api.badRequest",
      message: `'${SOURCES}/${path}' ${message}`,
    });
    assert.equal(response.statusCode, status);
    assert.match(String(response.headers["x-request-id"]), /^[0-9A-Za-z]{15}$/);
  });
}

test("API: auxiliary routes", async () => {
  const health = await api.app.inject({ method: "GET", url: "/health-check" });
  assert.deepEqual([health.statusCode, health.body], [200, "OK"]);
  assert.match(String(health.headers["content-type"]), /^text\/plain/);
  const index = await api.call("GET", "/v1");
  assert.deepEqual(index.body, { api: "stream", documentation: "http://api.test/v1/documentation" });
  const root = await api.app.inject({ method: "GET", url: "/" });
  assert.deepEqual([root.statusCode, root.headers.location], [301, "/v1"]);
  const { status, body } = await api.call("GET", "/nowhere?x=1");
  assert.deepEqual([status, body["error"]], [404, "stream.api.endpointNotFound"]);
  assert.equal(body["message"], 'No endpoint found for path "/nowhere".');
});
