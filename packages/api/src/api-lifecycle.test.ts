import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";

import { ApiHarness, at, FLIGHTS, operationAt, SINK, SINKS, SOURCES, type Json } from "./api-testkit.ts";
import { OPERATIONS } from "./operations.ts";

const SOURCE = `${SOURCES}/flights`;
/** Of operations that refuse an empty body. */
const PAYLOADS: Readonly<Record<string, unknown>> = {
  createSink: SINK,
  testMapping: { mapping: SINK.table.mapping, record: {} },
};
const SINK_URL = `${SINKS}/flights`;
const COUNT = "storage.level.staging.upload.trigger.count";
const SIZE = "storage.level.staging.upload.trigger.size";
const INTERVAL = "storage.level.staging.upload.trigger.interval";

let api: ApiHarness;
beforeEach(async () => {
  api = new ApiHarness();
  await api.open();
  await api.change("POST", SOURCES, FLIGHTS);
  await api.change("POST", SINKS, SINK);
});
afterEach(() => api.close());

const ids = (list: unknown, name: string): unknown[] => (list as Json[]).map((one) => one[name]);
const compareText = (a: string, b: string): number => (a < b ? -1 : 1);
const numberOf = (body: Json): unknown => at(body, "version", "number");

for (const [what, url, list, deletedList] of [
  ["Source", SOURCE, SOURCES, `${SOURCES}/deleted`],
  ["Sink", SINK_URL, SINKS, `${SINKS}/deleted`],
] as const) {
  const kind = what.toLowerCase();
  const idName = `${kind}Id`;
  const items = `${kind}s`;

  describe(`API: life cycle of a ${kind}`, () => {
    test("disable, enable: the block comes and goes, each is a version, twice is once", async () => {
      const task = await api.change("PUT", `${url}/disable`);
      assert.equal(task["type"], `api.disable.${kind}`);
      assert.equal(task["result"], `${what} has been disabled successfully.`);
      await api.change("PUT", `${url}/disable`);
      const disabled = await api.get(url);
      assert.equal(at(disabled, "disabled", "reason"), "API");
      assert.equal(numberOf(disabled), 2);
      assert.equal(
        (await api.change("PUT", `${url}/enable`))["result"],
        `${what} has been enabled successfully.`,
      );
      const enabled = await api.get(url);
      assert.deepEqual([enabled["disabled"], numberOf(enabled)], [undefined, 3]);
    });

    test("delete, undelete: it moves to the deleted ones and back, with its next version", async () => {
      assert.equal((await api.change("DELETE", url))["result"], `${what} has been deleted successfully.`);
      assert.equal((await api.call("GET", url)).status, 404);
      assert.deepEqual((await api.get(list))[items], []);
      const deleted = await api.get(deletedList);
      assert.deepEqual(ids(deleted[items], idName), ["flights"]);
      assert.notEqual(at((deleted[items] as Json[])[0], "deleted", "at"), undefined);
      const task = await api.change("PUT", `${url}/undelete`);
      assert.equal(task["result"], `${what} has been undeleted successfully.`);
      const back = await api.get(url);
      assert.deepEqual([back["deleted"], numberOf(back)], [undefined, 2]);
      assert.equal(at(back, "version", "description"), 'Undeleted to version "1".');
      assert.deepEqual((await api.get(deletedList))[items], []);
    });

    test("create after delete: as undeleted, with what is given and the next number", async () => {
      await api.change("DELETE", url);
      await api.change("POST", list, { ...(kind === "source" ? FLIGHTS : SINK), name: "Again" });
      const back = await api.get(url);
      assert.deepEqual([back["name"], numberOf(back)], ["Again", 2]);
    });

    test("update: what is given changes, texts are kept, nothing new is no version", async () => {
      const body = { name: "Renamed", description: "About.", changeDescription: "Because." };
      const task = await api.change("PATCH", url, body);
      assert.equal(task["result"], `${what} has been updated successfully.`);
      const after = await api.get(url);
      assert.deepEqual([after["name"], after["description"], numberOf(after)], ["Renamed", "About.", 2]);
      assert.equal(at(after, "version", "description"), "Because.");
      await api.change("PATCH", url, {});
      await api.change("PATCH", url, { type: after["type"], name: "Renamed" });
      assert.equal(numberOf(await api.get(url)), 2);
      await api.change("PATCH", url, { description: "" });
      assert.equal(at(await api.get(url), "version", "description"), "Updated.");
    });

    test("versions: listed in order, by both notations; one; rolled back to", async () => {
      await api.change("PATCH", url, { name: "Second" });
      await api.change("PATCH", url, { name: "Third" });
      const all = await api.get(`${url}/versions`);
      assert.deepEqual(ids(all["versions"], "number"), [1, 2, 3]);
      assert.deepEqual(all["page"], { limit: 100, totalCount: 3, afterId: "", lastId: "0000000003" });
      for (const afterId of ["2", "0000000002"]) {
        const rest = await api.get(`${url}/versions?afterId=${afterId}&limit=1`);
        assert.deepEqual(ids(rest["versions"], "number"), [3]);
      }
      assert.deepEqual((await api.get(`${url}/versions?afterId=3`))["versions"], []);
      const first = await api.get(`${url}/versions/1`);
      assert.deepEqual([first["number"], first["description"]], [1, `New ${kind}.`]);
      await api.change("PUT", `${url}/disable`);
      const task = await api.change("PUT", `${url}/versions/1/rollback`);
      assert.equal(task["type"], `api.rollback.${kind}Version`);
      assert.equal(task["result"], `${what} version was rolled back successfully.`);
      const back = await api.get(url);
      assert.deepEqual([back["name"], numberOf(back)], ["Flights", 5]);
      assert.equal(at(back, "version", "description"), 'Rollback to version "1".');
      assert.equal(at(back, "disabled", "reason"), "API");
    });

    test("versions: no number -> 400 with both sentences; one that is not there -> 404", async () => {
      for (const [method, path] of [
        ["GET", "versions/{}"],
        ["PUT", "versions/{}/rollback"],
      ] as const) {
        const bad = await api.call(method, `${url}/${path.replace("{}", "asfasf")}`);
        assert.deepEqual(bad.body, {
          statusCode: 400,
          error: "stream.api.invalidFieldType",
          message:
            'Invalid value "asfasf" for "versionNumber", must be a integer; ' +
            "versionNumber must be greater or equal than 1 but got value 0.",
        });
        const missing = await api.call(method, `${url}/${path.replace("{}", "12345")}`);
        const where = kind === "source" ? "branch" : "source";
        assert.deepEqual(missing.body, {
          statusCode: 404,
          error: `stream.api.${kind}VersionNotFound`,
          message: `${what} version "flights/0000012345" not found in the ${where}.`,
        });
      }
    });

    test("undelete of what is not deleted -> 404", async () => {
      const { status, body } = await api.call("PUT", `${list}/other/undelete`);
      const where = kind === "source" ? "branch" : "source";
      assert.deepEqual([status, body["error"]], [404, `stream.api.deleted${what}NotFound`]);
      assert.equal(body["message"], `Deleted ${kind} "other" not found in the ${where}.`);
    });
  });
}

describe("API: sources and their sinks", () => {
  test("a sink of a source that is deleted -> 404 about the source; it comes back with it", async () => {
    await api.change("POST", SINKS, { ...SINK, sinkId: "gone" });
    await api.change("DELETE", `${SINKS}/gone`);
    await api.change("DELETE", SOURCE);
    const { status, body } = await api.call("PUT", `${SINK_URL}/undelete`);
    assert.deepEqual([status, body["error"]], [404, "stream.api.sourceNotFound"]);
    await api.change("PUT", `${SOURCE}/undelete`);
    assert.deepEqual(ids((await api.get(SINKS))["sinks"], "sinkId"), ["flights"]);
    assert.equal(numberOf(await api.get(SINK_URL)), 1);
  });

  test("aggregation: sources page by page, with their sinks and what these have", async () => {
    api.lag = { bytes: 5, ms: 7000 };
    for (const sourceId of ["a", "b"]) await api.change("POST", SOURCES, { ...FLIGHTS, sourceId });
    const url = SOURCES.replace("/sources", "/aggregation/sources");
    const all = await api.get(url);
    assert.deepEqual(ids(all["sources"], "sourceId"), ["a", "b", "flights"]);
    const [sink] = at(all["sources"], "2", "sinks") as Json[];
    assert.deepEqual(sink?.["statistics"], {
      total: null,
      levels: {},
      lag: { seconds: 7, bytes: 5 },
      files: [],
    });
    assert.deepEqual(at(all["sources"], "0", "sinks"), []);
    const rest = await api.get(`${url}?limit=2&afterId=b`);
    assert.deepEqual(rest["page"], { limit: 2, totalCount: 3, afterId: "b", lastId: "flights" });
  });

  test("a source that is disabled -> its sinks say so, and only those that were not come back", async () => {
    await api.change("POST", SINKS, { ...SINK, sinkId: "own" });
    await api.change("PUT", `${SINKS}/own/disable`);
    await api.change("PUT", `${SOURCE}/disable`);
    const reasons = async (): Promise<unknown[]> =>
      ((await api.get(SINKS))["sinks"] as Json[]).map((sink) => at(sink, "disabled", "reason"));
    assert.deepEqual(await reasons(), ["Auto-disabled with the parent source.", "API"]);
    assert.equal(numberOf(await api.get(SINK_URL)), 1);
    await api.change("PUT", `${SOURCE}/enable`);
    assert.deepEqual(await reasons(), [undefined, "API"]);
  });

  test("signatures: shown without their secret, kept, changed, taken away; of plain sources alone", async () => {
    const secret = "a person's choice";
    const signature = { scheme: "stripe", secret };
    await api.change("PATCH", SOURCE, { signature });
    assert.deepEqual((await api.get(SOURCE))["signature"], { scheme: "stripe", toleranceSeconds: 300 });
    await api.change("PATCH", SOURCE, { name: "Other" });
    await api.change("PATCH", SOURCE, { signature: { ...signature, toleranceSeconds: 60 } });
    assert.equal(at(await api.get(SOURCE), "signature", "toleranceSeconds"), 60);
    assert.ok(!JSON.stringify(await api.get(`${SOURCE}/versions/4`)).includes(secret));
    await api.change("PATCH", SOURCE, { signature: null });
    assert.equal((await api.get(SOURCE))["signature"], undefined);
    const otlp = { ...FLIGHTS, sourceId: "otel", type: "otlp" };
    const refused = await api.call("POST", SOURCES, { ...otlp, signature });
    assert.deepEqual(
      [refused.status, refused.body["message"]],
      [400, 'A source of type "otlp" has no "signature".'],
    );
    await api.change("POST", SOURCES, { ...FLIGHTS, sourceId: "signed", signature });
    await api.change("PATCH", `${SOURCES}/signed`, { type: "otlp" });
    assert.equal((await api.get(`${SOURCES}/signed`))["signature"], undefined);
    for (const wrong of [
      { scheme: "none", secret },
      { scheme: "slack" },
      { ...signature, toleranceSeconds: 3601 },
    ]) {
      assert.equal((await api.call("PATCH", SOURCE, { signature: wrong })).status, 400);
    }
  });

  test("rotate the secret: another URL at once, and a version that says so", async () => {
    const before = await api.get(SOURCE);
    const { status, body } = await api.call("POST", `${SOURCE}/rotate-secret`);
    assert.equal(status, 200);
    assert.notEqual(at(body, "http", "url"), at(before, "http", "url"));
    assert.match(String(at(body, "http", "url")), /\/stream\/1\/flights\/[0-9a-zA-Z]{48}$/);
    assert.deepEqual([numberOf(body), at(body, "version", "description")], [2, "Rotated secret."]);
    assert.deepEqual(await api.get(SOURCE), body);
    assert.equal(api.mirror.source({ projectId: 1, branchId: 1, sourceId: "flights" })?.version.number, 2);
  });

  test("every operation on something that is not there -> 404 that says what", async () => {
    for (const { method, path, errors, id } of OPERATIONS) {
      const isOfSink = path.includes("{sinkId}");
      const expected = errors.find((name) => name.endsWith("NotFound") && !name.includes("Version"));
      if (expected === undefined || !path.includes("{sourceId}")) continue;
      const url = `/v1${path}`
        .replace("{branchId}", "default")
        .replace("{sourceId}", isOfSink ? "flights" : "nothing")
        .replace("{sinkId}", "nothing")
        .replace("{versionNumber}", "1");
      const payload = PAYLOADS[id] ?? (method === "PATCH" ? {} : undefined);
      const { status, body } = await api.call(method, url, payload);
      assert.equal(status, 404, `${method} ${url}: ${JSON.stringify(body)}`);
      const what = isOfSink ? "ink" : "ource";
      assert.match(String(body["error"]), new RegExp(`^stream\\.api\\.(deletedS|s)${what}NotFound$`), url);
    }
  });

  test("requests find their operation: what is spelled out goes before a parameter", () => {
    assert.equal(operationAt("GET", `${SOURCES}/deleted`)?.id, "listDeletedSources");
    assert.equal(operationAt("GET", SOURCE)?.id, "getSource");
  });
});

describe("API: settings of a sink", () => {
  const list = async (): Promise<Json[]> => (await api.get(`${SINK_URL}/settings`))["settings"] as Json[];
  const one = async (key: string): Promise<Json | undefined> =>
    (await list()).find((each) => each["key"] === key);

  test("list: all, ordered by key, with types, defaults and descriptions", async () => {
    const all = await list();
    assert.deepEqual(ids(all, "key"), ids(all, "key").map(String).sort(compareText));
    assert.ok(all.every((each) => each["description"] !== ""));
    assert.deepEqual(await one(COUNT), {
      key: COUNT,
      type: "int",
      description: "A slice of so many records is uploaded.",
      value: 10_000,
      defaultValue: 10_000,
      overwritten: false,
      protected: false,
      validation: "minimum 1, maximum 10000000",
    });
    assert.equal((await one("storage.level.local.encoding.compression.type"))?.["protected"], true);
  });

  test("patch: taken over as a version, shown as overwritten, in force; null takes it away", async () => {
    await api.change("PATCH", `${SINK_URL}/settings`, { settings: [] });
    assert.equal(numberOf(await api.get(SINK_URL)), 1);
    const task = await api.change("PATCH", `${SINK_URL}/settings`, {
      settings: [
        { key: COUNT, value: 5 },
        { key: INTERVAL, value: "1m0s" },
      ],
    });
    assert.equal(task["result"], "Sink settings have been updated successfully.");
    assert.equal(task["type"], "api.update.sinkSettings");
    const after = await api.get(SINK_URL);
    assert.deepEqual([numberOf(after), at(after, "version", "description")], [2, "Updated settings."]);
    const listed = await one(COUNT);
    assert.deepEqual([listed?.["value"], listed?.["overwritten"]], [5, true]);
    await api.change("PATCH", `${SINK_URL}/settings`, {
      changeDescription: "Back.",
      settings: [{ key: COUNT, value: null }],
    });
    assert.equal((await one(COUNT))?.["overwritten"], false);
    assert.equal((await one(INTERVAL))?.["value"], "1m0s");
    assert.equal(at(await api.get(SINK_URL), "version", "description"), "Back.");
  });

  test("of a source: in force for its sinks that have none of their own, which show it as their default", async () => {
    const task = await api.change("PATCH", `${SOURCE}/settings`, { settings: [{ key: COUNT, value: 7 }] });
    assert.equal(task["result"], "Source settings have been updated successfully.");
    assert.equal(at(await api.get(SOURCE), "version", "description"), "Updated settings.");
    const own = (await api.get(`${SOURCE}/settings`))["settings"] as Json[];
    const count = own.find((each) => each["key"] === COUNT);
    assert.deepEqual([count?.["value"], count?.["defaultValue"], count?.["overwritten"]], [7, 10_000, true]);
    const seen = await one(COUNT);
    assert.deepEqual([seen?.["value"], seen?.["defaultValue"], seen?.["overwritten"]], [7, 7, false]);
    const key = { projectId: 1, branchId: 1, sourceId: "flights", sinkId: "flights" };
    assert.equal(api.mirror.sink(key)?.conditions.upload.count, 7);
    await api.change("PATCH", `${SINK_URL}/settings`, { settings: [{ key: COUNT, value: 8 }] });
    assert.equal(api.mirror.sink(key)?.conditions.upload.count, 8);
  });

  const refusals: [name: string, settings: Json[], status: number, error: string, message: RegExp][] = [
    ["unknown key", [{ key: "foo", value: 1 }], 400, "badRequest", /^Key not found: "foo"\.$/],
    [
      "a key twice",
      [
        { key: COUNT, value: 1 },
        { key: COUNT, value: 2 },
      ],
      400,
      "badRequest",
      /^Key is given twice: "storage\.level\.staging\.upload\.trigger\.count"\.$/,
    ],
    [
      "values out of range",
      [
        { key: COUNT, value: 0 },
        { key: SIZE, value: "bar" },
      ],
      400,
      "badRequest",
      /^- Invalid ".*count" value "0": must be between 1 and 10000000\.\n- Invalid ".*size" value "bar": invalid.*\.$/,
    ],
    [
      "a protected key",
      [{ key: "storage.level.local.volume.assignment.count", value: 2 }],
      403,
      "forbidden",
      /^Cannot modify protected keys: "storage\.level\.local\.volume\.assignment\.count"\.$/,
    ],
    ["no value", [{ key: COUNT }], 400, "missingField", /^"value" is missing from body\.settings\[0\]\.$/],
    [
      "a list as a value",
      [{ key: COUNT, value: [1] }],
      400,
      "invalidFieldType",
      /^Invalid value \[…\] for "body\.settings\[0\]\.value", must be a string, number or boolean\.$/,
    ],
  ];
  for (const [name, settings, status, error, message] of refusals) {
    test(`patch: ${name} -> ${status} ${error}`, async () => {
      const answer = await api.call("PATCH", `${SINK_URL}/settings`, { settings });
      assert.deepEqual([answer.status, answer.body["error"]], [status, `stream.api.${error}`]);
      assert.match(String(answer.body["message"]), message);
      assert.equal(numberOf(await api.get(SINK_URL)), 1);
    });
  }
});

test("API: a table that the target refuses at PATCH or rollback -> 400, no version", async () => {
  const columns = [{ type: "body", name: "body" }];
  await api.change("PATCH", SINK_URL, { table: { mapping: { columns } } });
  assert.equal(at(await api.get(SINK_URL), "table", "tableId"), "main.flights");
  api.tableProblem = "no such table can be made";
  for (const [method, url, body] of [
    ["PATCH", SINK_URL, { table: { tableId: "main.other" } }],
    ["PUT", `${SINK_URL}/versions/1/rollback`, undefined],
  ] as const) {
    const answer = await api.call(method, url, body);
    assert.deepEqual([answer.status, answer.body["message"]], [400, "No such table can be made."]);
  }
  assert.equal(numberOf(await api.get(SINK_URL)), 2);
});
