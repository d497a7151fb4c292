// The configuration API of a real platform: the lines of the specification's list of tests (section 11; where each is:
// docs/stream-tests.md). One platform for all, every test has sources of its own.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { at, ids, testApi, type Json, type Method } from "./test-api.ts";
import { ask, post } from "./test-http.ts";
import { scratch, TestPlatform, until } from "./test-platform.ts";
import { atDoor, sql, waitForRows, type Row } from "./test-streams.ts";

const SOURCES = "/v1/branches/default/sources";

let platform: TestPlatform;
before(async () => {
  platform = await TestPlatform.start(scratch());
});
after(() => platform.stop());

const { call, get, change, refused } = testApi(() => platform.endpoints);

const COLUMNS = [
  { type: "uuid", name: "id" },
  { type: "path", name: "n", path: "n", rawString: true },
];

const PROTECTED = "storage.level.local.volume.assignment.count";
const SOURCE_SETTINGS = ["source.limit.bytes", "source.limit.records"];
const SETTINGS = [
  "storage.level.local.deadLetters.enabled",
  "storage.level.local.deadLetters.retention",
  "storage.level.local.deadLetters.size",
  "storage.level.local.encoding.compression.type",
  "storage.level.local.encoding.encoder.type",
  "storage.level.local.encoding.sync.mode",
  "storage.level.local.encoding.sync.wait",
  "storage.level.local.quota",
  "storage.level.staging.upload.minInterval",
  "storage.level.staging.upload.trigger.count",
  "storage.level.staging.upload.trigger.interval",
  "storage.level.staging.upload.trigger.size",
  "storage.level.target.import.minInterval",
  "storage.level.target.import.trigger.count",
  "storage.level.target.import.trigger.interval",
  "storage.level.target.import.trigger.size",
  "storage.level.target.import.trigger.slicesCount",
];

async function createSource(sourceId: string): Promise<string> {
  await change("POST", SOURCES, { type: "http", name: sourceId, sourceId });
  return `${SOURCES}/${sourceId}`;
}

/** A source with a sink of the same name into `main.<id>`. */
async function createBoth(id: string): Promise<{ source: string; sink: string; table: string }> {
  const source = await createSource(id);
  const table = { type: "duckdb", tableId: `main.${id}`, mapping: { columns: COLUMNS } };
  await change("POST", `${source}/sinks`, { type: "table", name: id, sinkId: id, table });
  return { source, sink: `${source}/sinks/${id}`, table: `main.${id}` };
}

async function send(source: string, record: unknown): Promise<number> {
  const url = atDoor(platform.endpoints, String(at(await get(source), "http", "url")));
  return (await post(url, record)).status;
}

describe("API of a platform: sources", () => {
  test("create: ID from the name, as it is given, or normalised; the URL has a secret", async () => {
    await change("POST", SOURCES, { type: "http", name: "My First Source" });
    const body = await get(`${SOURCES}/my-first-source`);
    assert.equal(at(body, "version", "number"), 1);
    assert.match(String(at(body, "http", "url")), /\/stream\/1\/my-first-source\/[0-9a-zA-Z]{48}$/);
    await change("POST", SOURCES, {
      type: "http",
      name: "x",
      sourceId: "!!!!~~~~weird|||id##",
      description: "d",
    });
    assert.equal((await get(`${SOURCES}/weird-id`))["description"], "d");
  });

  test("create: wrong bodies -> 400 with the specification's texts", async () => {
    const cases: [body: Json, error: string, message: string][] = [
      [
        { type: "foo", name: "x" },
        "invalidEnumValue",
        'Value of body.type must be one of "http" or "otlp" but got value "foo".',
      ],
      [
        { type: "http", name: "x", sourceId: "" },
        "invalidLength",
        'Length of body.sourceId must be greater or equal than 1 but got value "" (len=0).',
      ],
      [
        { type: "http", name: "x", sourceId: "i".repeat(49) },
        "invalidLength",
        `Length of body.sourceId must be lesser or equal than 48 but got value "${"i".repeat(49)}" (len=49).`,
      ],
      [
        { type: "http", name: "" },
        "invalidLength",
        'Length of body.name must be greater or equal than 1 but got value "" (len=0).',
      ],
      [
        { type: "http", name: "n".repeat(41) },
        "invalidLength",
        `Length of body.name must be lesser or equal than 40 but got value "${"n".repeat(41)}" (len=41).`,
      ],
    ];
    for (const [body, error, message] of cases) {
      assert.equal(await refused("POST", SOURCES, body, 400, error), message);
    }
  });

  test("create: an ID that is there -> 409; what is not there -> 404 for every request", async () => {
    await createSource("taken");
    const body = { type: "http", name: "x", sourceId: "taken" };
    const text = await refused("POST", SOURCES, body, 409, "sourceAlreadyExists");
    assert.equal(text, 'Source "taken" already exists in the branch.');
    const missing: [Method, string][] = [
      ["GET", ""],
      ["PATCH", ""],
      ["DELETE", ""],
      ["PUT", "/disable"],
      ["PUT", "/enable"],
      ["POST", "/rotate-secret"],
      ["GET", "/versions"],
      ["GET", "/versions/1"],
      ["PUT", "/versions/1/rollback"],
      ["GET", "/settings"],
      ["GET", "/sinks"],
      ["GET", "/sinks/deleted"],
    ];
    for (const [method, path] of missing) {
      const given = method === "PATCH" ? { name: "x" } : undefined;
      const found = await refused(method, `${SOURCES}/nobody${path}`, given, 404, "sourceNotFound");
      assert.equal(found, 'Source "nobody" not found in the branch.');
    }
    const undelete = `${SOURCES}/nobody/undelete`;
    const deleted = await refused("PUT", undelete, undefined, 404, "deletedSourceNotFound");
    assert.equal(deleted, 'Deleted source "nobody" not found in the branch.');
  });

  test("disabled: takes no records; enabled again: takes them; the block says why", async () => {
    const { source, sink, table } = await createBoth("switched");
    await change("PUT", `${source}/disable`);
    assert.equal(at(await get(source), "disabled", "reason"), "API");
    assert.equal(at(await get(sink), "disabled", "reason"), "Auto-disabled with the parent source.");
    assert.equal(await send(source, { n: 1 }), 404);
    await change("PUT", `${source}/versions/1/rollback`);
    assert.equal(at(await get(source), "disabled", "reason"), "API");
    await change("PUT", `${source}/enable`);
    const enabled = await get(source);
    assert.deepEqual([enabled["disabled"], at(enabled, "version", "number")], [undefined, 4]);
    assert.equal(await send(source, { n: 2 }), 200);
    await waitForRows(platform.endpoints, table, 1);
  });

  test("deleted: moved to the deleted ones, undeleted: takes records again with its next version", async () => {
    const { source, table } = await createBoth("moved");
    await change("DELETE", source);
    await refused("GET", source, undefined, 404, "sourceNotFound");
    assert.ok(ids((await get(`${SOURCES}/deleted`))["sources"], "sourceId").includes("moved"));
    await change("PUT", `${source}/undelete`);
    assert.ok(!ids((await get(`${SOURCES}/deleted`))["sources"], "sourceId").includes("moved"));
    assert.equal(at(await get(source), "version", "description"), 'Undeleted to version "1".');
    assert.equal(await send(source, { n: 1 }), 200);
    await waitForRows(platform.endpoints, table, 1);
  });

  test("rotate-secret: 200 at once, the old URL is not known, the new one is", async () => {
    const { source } = await createBoth("rotated");
    const old = atDoor(platform.endpoints, String(at(await get(source), "http", "url")));
    assert.equal((await post(old, { n: 1 })).status, 200);
    const { status, body } = await call("POST", `${source}/rotate-secret`);
    assert.deepEqual([status, at(body, "version", "description")], [200, "Rotated secret."]);
    assert.equal((await post(old, { n: 2 })).status, 404);
    assert.equal(await send(source, { n: 3 }), 200);
  });

  test("lists: pages of five, and past the end", async () => {
    const source = await createSource("paged");
    const table = { type: "duckdb", tableId: "main.paged", mapping: { columns: COLUMNS } };
    for (const sinkId of ["e", "c", "a", "d", "b"]) {
      await change("POST", `${source}/sinks`, { type: "table", name: sinkId, sinkId, table });
    }
    const pages: [query: string, expected: string[], lastId: string][] = [
      ["", ["a", "b", "c", "d", "e"], "e"],
      ["?limit=2", ["a", "b"], "b"],
      ["?limit=2&afterId=b", ["c", "d"], "d"],
      ["?limit=2&afterId=d", ["e"], "e"],
      ["?limit=2&afterId=e", [], ""],
    ];
    for (const [query, expected, lastId] of pages) {
      const list = await get(`${source}/sinks${query}`);
      assert.deepEqual(ids(list["sinks"], "sinkId"), expected);
      assert.deepEqual([at(list, "page", "totalCount"), at(list, "page", "lastId")], [5, lastId]);
    }
    for (const sinkId of ["a", "c"]) await change("DELETE", `${source}/sinks/${sinkId}`);
    const deleted = await get(`${source}/sinks/deleted?limit=1&afterId=a`);
    assert.deepEqual(ids(deleted["sinks"], "sinkId"), ["c"]);
    await change("PUT", `${source}/sinks/a/undelete`);
    assert.deepEqual(ids((await get(`${source}/sinks`))["sinks"], "sinkId"), ["a", "b", "d", "e"]);
    const aggregated = await get("/v1/branches/default/aggregation/sources?limit=100");
    const own = (aggregated["sources"] as Json[]).find((one) => one["sourceId"] === "paged");
    assert.deepEqual(ids(own?.["sinks"], "sinkId"), ["a", "b", "d", "e"]);
  });

  test("versions: listed, one of them, rolled back; a number that is none, one that is not there", async () => {
    const source = await createSource("versioned");
    await change("PATCH", source, { name: "Second", changeDescription: "Mine." });
    await change("PATCH", source, { name: "Third" });
    const rest = await get(`${source}/versions?afterId=0000000001`);
    assert.deepEqual(ids(rest["versions"], "description"), ["Mine.", "Updated."]);
    assert.deepEqual(ids((await get(`${source}/versions?afterId=2`))["versions"], "number"), [3]);
    await change("PUT", `${source}/versions/1/rollback`);
    assert.equal((await get(source))["name"], "versioned");
    assert.equal((await get(`${source}/versions/4`))["description"], 'Rollback to version "1".');
    const bad = await refused("GET", `${source}/versions/asfasf`, undefined, 400, "invalidFieldType");
    assert.match(
      bad,
      /^Invalid value "asfasf" for "versionNumber", must be a integer; versionNumber must be greater/,
    );
    const missing = `${source}/versions/12345/rollback`;
    const text = await refused("PUT", missing, undefined, 404, "sourceVersionNotFound");
    assert.equal(text, 'Source version "versioned/0000012345" not found in the branch.');
  });
});

describe("API of a platform: sinks", () => {
  test("a mapping changed to a template that is no program -> 400 with the place, nothing changes", async () => {
    const { source, sink, table } = await createBoth("notemplate");
    const columns = (language: string, content: string): Json => ({
      table: { mapping: { columns: [{ type: "template", name: "n", template: { language, content } }] } },
    });
    const cases: [language: string, content: string, problem: string][] = [
      ["jsonnet", "Invalid", "1:1-8 Unknown variable: Invalid."],
      ["jsonnet", "local a = 1;\n  Body(", "2:8 Unexpected end of file."],
      ["jsonata", "a.b.\n  (c", '2:4 Expected ")" before end of expression.'],
    ];
    for (const [language, content, problem] of cases) {
      const message = await refused("PATCH", sink, columns(language, content), 400, "badRequest");
      assert.equal(message, `Column "n" template is invalid: ${problem}`);
    }
    assert.equal(at(await get(sink), "version", "number"), 1);
    assert.equal(await send(source, { n: 1 }), 200);
    await waitForRows(platform.endpoints, table, 1);
  });

  test("a mapping in JSONata: versions, a sample, rows of what it makes, and 422 for what it does not", async () => {
    const { source, sink, table } = await createBoth("jsonata");
    const template = (content: string): Json => ({ language: "jsonata", content });
    const column = (content: string): Json => ({
      type: "template",
      name: "t",
      template: template(content),
      rawString: true,
    });
    const columns = [...COLUMNS, column("$uppercase(m) & '-' & $now('[Y]')")];
    await change("PATCH", sink, { table: { mapping: { columns } } });
    assert.equal(at(await get(sink), "version", "number"), 2);
    assert.equal(await send(source, { n: 1, m: "a" }), 200);
    assert.equal(await send(source, { n: 2, m: { no: "text" } }), 422);
    await change("PATCH", sink, { table: { mapping: { columns: [...COLUMNS, column("m")] } } });
    assert.equal(await send(source, { n: 3, m: "c" }), 200);
    await change("PUT", `${sink}/versions/2/rollback`);
    assert.equal(await send(source, { n: 4, m: "d" }), 200);
    await waitForRows(platform.endpoints, table, 3);
    const rows = await sql(
      platform.endpoints,
      `SELECT n, regexp_replace(t, '[0-9]{4}$', 'year') AS t FROM ${table} ORDER BY n`,
    );
    assert.deepEqual(rows, [
      { n: "1", t: "A-year" },
      { n: "3", t: "c" },
      { n: "4", t: "D-year" },
    ]);
  });

  test("a mapping that is changed and rolled back: each row has the columns of its version", async () => {
    const { source, sink, table } = await createBoth("mapped");
    assert.equal(await send(source, { n: 1, m: "a" }), 200);
    const columns = [...COLUMNS, { type: "path", name: "m", path: "m", rawString: true }];
    await change("PATCH", sink, { table: { mapping: { columns } } });
    assert.deepEqual([at(await get(sink), "table", "tableId")], [table]);
    assert.equal(await send(source, { n: 2, m: "b" }), 200);
    await change("PUT", `${sink}/versions/1/rollback`);
    assert.equal(await send(source, { n: 3, m: "c" }), 200);
    await waitForRows(platform.endpoints, table, 3);
    const rows: readonly Row[] = await sql(platform.endpoints, `select n, m from ${table} order by n`);
    assert.deepEqual(rows, [
      { n: "1", m: null },
      { n: "2", m: "b" },
      { n: "3", m: null },
    ]);
    const other = [{ type: "path", name: "id", path: "n" }];
    const text = await refused("PATCH", sink, { table: { mapping: { columns: other } } }, 400, "badRequest");
    assert.match(text, /"id" is UUID in the table and would be VARCHAR\.$/);
  });

  test("disabled, then deleted and undeleted: what it had taken becomes rows, and the rest", async () => {
    const { source, sink, table } = await createBoth("paused");
    await change("PATCH", `${sink}/settings`, {
      settings: [{ key: "storage.level.staging.upload.trigger.interval", value: "2s" }],
    });
    assert.equal(await send(source, { n: 1 }), 200);
    await change("PUT", `${sink}/disable`);
    assert.equal(await send(source, { n: 2 }), 200); // of no sink
    await change("DELETE", sink);
    await waitForRows(platform.endpoints, table, 1);
    await change("PUT", `${sink}/undelete`);
    await change("PUT", `${sink}/enable`);
    assert.equal(await send(source, { n: 3 }), 200);
    await waitForRows(platform.endpoints, table, 2);
    const rows = await sql(platform.endpoints, `select n from ${table} order by n`);
    assert.deepEqual(ids(rows, "n"), ["1", "3"]);
  });

  test("a sink of a source that is deleted -> 404 sourceNotFound, also for undelete", async () => {
    const { source, sink } = await createBoth("orphan");
    await change("DELETE", sink);
    await refused("PUT", `${source}/sinks/nobody/undelete`, undefined, 404, "deletedSinkNotFound");
    await refused("PUT", `${source}/sinks/nobody/disable`, undefined, 404, "sinkNotFound");
    await refused("PATCH", `${source}/sinks/nobody`, {}, 404, "sinkNotFound");
    await change("DELETE", source);
    await refused("PUT", `${sink}/undelete`, undefined, 404, "sourceNotFound");
  });

  test("three sinks at the same time -> all are made", async () => {
    const source = await createSource("parallel");
    const tasks = ["a", "b", "c"].map((sinkId) => {
      const table = { type: "duckdb", tableId: `main.parallel_${sinkId}`, mapping: { columns: COLUMNS } };
      return change("POST", `${source}/sinks`, { type: "table", name: sinkId, sinkId, table });
    });
    await Promise.all(tasks);
    assert.deepEqual(ids((await get(`${source}/sinks`))["sinks"], "sinkId"), ["a", "b", "c"]);
  });

  for (const [name, owner] of [
    [
      "settings of a source: all listed, an empty patch, a valid one, wrong values, a protected key",
      "source",
    ],
    ["settings of a sink: all listed, an empty patch, a valid one, wrong values, a protected key", "sink"],
  ] as const) {
    test(name, async () => {
      const both = await createBoth(`settings${owner}`);
      const settings = `${both[owner]}/settings`;
      const count = "storage.level.staging.upload.trigger.count";
      const size = "storage.level.staging.upload.trigger.size";
      const all = async (): Promise<Json[]> => (await get(settings))["settings"] as Json[];
      const one = async (): Promise<unknown[]> => {
        const { value, overwritten } = (await all()).find(({ key }) => key === count) ?? {};
        return [value, overwritten];
      };
      assert.deepEqual(ids(await all(), "key"), [
        ...(owner === "source" ? SOURCE_SETTINGS : []),
        ...SETTINGS,
      ]);
      assert.ok((await all()).every(({ overwritten }) => overwritten === false));
      assert.deepEqual(await one(), [10_000, false]);
      await change("PATCH", settings, { settings: [] });
      assert.equal(at(await get(both[owner]), "version", "number"), 1);
      await change("PATCH", settings, { settings: [{ key: count, value: 5 }] });
      assert.deepEqual(await one(), [5, true]);
      const refusals: [changes: readonly [key: string, value: unknown][], status: number, text: string][] = [
        [
          [
            [count, 0],
            [size, "bar"],
          ],
          400,
          `- Invalid "${count}" value "0": must be between 1 and 10000000.\n` +
            `- Invalid "${size}" value "bar": invalid syntax.`,
        ],
        [[["foo", 1]], 400, 'Key not found: "foo".'],
        [
          [
            [count, 6],
            [count, 7],
          ],
          400,
          `Key is given twice: "${count}".`,
        ],
        [[[PROTECTED, 2]], 403, `Cannot modify protected keys: "${PROTECTED}".`],
      ];
      for (const [changes, status, text] of refusals) {
        const body = { settings: changes.map(([key, value]) => ({ key, value })) };
        const error = status === 403 ? "forbidden" : "badRequest";
        assert.equal(await refused("PATCH", settings, body, status, error), text);
      }
      assert.deepEqual(await one(), [5, true]);
      await change("PATCH", settings, { settings: [{ key: count, value: null }] });
      assert.deepEqual(await one(), [10_000, false]);
    });
  }

  test("statistics: nothing, then what was loaded, in total and by file; cleared", async () => {
    const { source, sink, table } = await createBoth("counted");
    const nothing = { total: null, levels: {}, lag: { seconds: 0, bytes: 0 } };
    assert.deepEqual(await get(`${sink}/statistics/total`), nothing);
    for (const n of [1, 2, 3]) assert.equal(await send(source, { n }), 200);
    await waitForRows(platform.endpoints, table, 3);
    await until("three are in the table", 10_000, async () => {
      return at(await get(`${sink}/statistics/total`), "levels", "target", "recordsCount") === 3;
    });
    const files = (await get(`${sink}/statistics/files`))["files"] as Json[];
    assert.ok(files.some(({ state }) => state === "imported"));
    assert.deepEqual((await get(`${sink}/statistics/files?failedFiles=true`))["files"], []);
    for (const url of [sink, source]) {
      assert.equal((await call("DELETE", `${url}/statistics/clear`)).status, 200);
      const { total, levels } = await get(`${sink}/statistics/total`);
      assert.deepEqual({ total, levels }, { total: null, levels: {} });
      // The next file may be open already.
      const listed = (await get(`${sink}/statistics/files`))["files"] as Json[];
      assert.ok(listed.every((file) => at(file, "statistics", "total") === null));
      assert.equal(await send(source, { n: 4 }), 200);
      await until("the new one is counted", 10_000, async () => {
        return at(await get(`${sink}/statistics/total`), "total", "recordsCount") === 1;
      });
    }
    await refused("DELETE", `${source}/sinks/nobody/statistics/clear`, undefined, 404, "sinkNotFound");
    await refused("DELETE", `${SOURCES}/nobody/statistics/clear`, undefined, 404, "sourceNotFound");
    await refused("GET", `${source}/sinks/nobody/statistics/total`, undefined, 404, "sinkNotFound");
    await refused("GET", `${source}/sinks/nobody/statistics/files`, undefined, 404, "sinkNotFound");
  });
});

test("API of a platform: a record that is tried -> its row, or 422 with the reason; nothing is stored", async () => {
  const { source, table } = await createBoth("tried");
  const missing = await refused("POST", `${source}/test`, { m: 1 }, 422, "unprocessableContent");
  assert.equal(missing, 'Invalid value for column "n": path "n" not found in the body.');
  const { status, body } = await call("POST", `${source}/test`, { n: 7 });
  assert.equal(status, 200, JSON.stringify(body));
  const [tried] = body["tables"] as Json[];
  assert.deepEqual([tried?.["sinkId"], tried?.["tableId"]], ["tried", table]);
  assert.deepEqual(at(tried, "rows", "0", "columns", "1"), { name: "n", value: "7" });
  await refused("POST", `${SOURCES}/nobody/test`, {}, 404, "sourceNotFound");
  assert.equal(await send(source, { n: 8 }), 200);
  await waitForRows(platform.endpoints, table, 1);
});

test("API of a platform: auxiliary paths, and one that is not there", async () => {
  const root = await ask(`${platform.endpoints.api}/`);
  assert.deepEqual([root.status, root.headers.location], [301, "/v1"]);
  assert.equal((await get("/v1"))["api"], "stream");
  assert.equal((await get("/v1/documentation/openapi3.json"))["openapi"], "3.1.0");
  const text = await refused("GET", "/v1/foo/bar", undefined, 404, "endpointNotFound");
  assert.equal(text, 'No endpoint found for path "/v1/foo/bar".');
});
