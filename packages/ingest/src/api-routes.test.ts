import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";

import { never, silentLogger, systemClock, WireError } from "@millrace/base";
import { seededRandom } from "@millrace/base/testkit";
import { openMemoryStore } from "@millrace/metadata/testkit";
import fastify, { type FastifyInstance } from "fastify";

import { apiRoutes } from "./api-routes.ts";
import { DefinitionMirror } from "./definition-mirror.ts";
import { DefinitionRepository } from "./definition-repository.ts";
import { DEFAULT_CONDITIONS, type Column } from "./definitions.ts";
import { TaskStore } from "./task-store.ts";

const FLIGHTS = { type: "http", name: "Flights", sourceId: "flights" };
const SINK = {
  type: "table",
  name: "Flights",
  sinkId: "flights",
  table: {
    type: "duckdb",
    tableId: "main.flights",
    mapping: {
      columns: [
        { type: "uuid", name: "id" },
        { type: "datetime", name: "received_at" },
        { type: "path", name: "origin", path: "origin", rawString: true },
        { type: "body", name: "body" },
      ],
    },
  },
};
const SOURCES = "/v1/branches/default/sources";
const SINKS = `${SOURCES}/flights/sinks`;

interface Json {
  readonly [name: string]: unknown;
}

/** What stands at a path of members; undefined when nothing does. */
function at(value: unknown, ...path: string[]): unknown {
  return path.reduce<unknown>((inner, name) => (inner as Json | undefined)?.[name], value);
}

class Harness {
  app!: FastifyInstance;
  mirror!: DefinitionMirror;
  repository!: DefinitionRepository;
  prepared: { tableId: string; columns: readonly Column[] }[] = [];
  refusePrepare: WireError | undefined;
  readonly #closers: (() => Promise<unknown>)[] = [];

  async open(): Promise<void> {
    const clock = systemClock;
    const random = seededRandom("api");
    const store = await openMemoryStore(clock, random);
    const ports = { store, clock, random, logger: silentLogger };
    this.mirror = new DefinitionMirror(ports);
    const stop = new AbortController();
    await this.mirror.load(never);
    const running = this.mirror.run(stop.signal);
    this.repository = new DefinitionRepository(ports);
    const tasks = new TaskStore(ports);
    this.app = fastify();
    await this.app.register(
      apiRoutes({
        repository: this.repository,
        tasks,
        statistics: { total: () => ({ total: null, levels: {} }) },
        target: {
          prepare: (tableId, columns) => {
            if (this.refusePrepare !== undefined) return Promise.reject(this.refusePrepare);
            this.prepared.push({ tableId, columns });
            return Promise.resolve();
          },
        },
        settled: (revision, signal) => this.mirror.waitForRevision(revision, signal),
        urls: () => ({ api: "http://api.test", httpSource: "http://in.test" }),
        random,
        logger: silentLogger,
        signal: never,
      }),
    );
    this.#closers.push(
      () => this.app.close(),
      () => tasks.close(),
      async () => {
        stop.abort();
        await running;
      },
      () => store.close(),
    );
  }

  async close(): Promise<void> {
    for (const close of this.#closers) await close();
  }

  async call(
    method: "GET" | "POST",
    url: string,
    payload?: unknown,
  ): Promise<{ status: number; body: Json }> {
    const response = await this.app.inject({
      method,
      url,
      ...(payload === undefined ? {} : { payload: payload as object }),
    });
    assert.match(String(response.headers["x-request-id"]), /^[0-9A-Za-z]{15}$/);
    return { status: response.statusCode, body: response.json<Json>() };
  }
}

let api: Harness;
beforeEach(async () => {
  api = new Harness();
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
    assert.deepEqual(total, { total: null, levels: {} });
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

describe("API refusals", () => {
  const name41 = "n".repeat(41);
  const cases: [
    name: string,
    method: "GET" | "POST",
    url: string,
    body: unknown,
    status: number,
    error: string,
    message: string,
  ][] = [
    [
      "unknown source",
      "GET",
      `${SOURCES}/x`,
      undefined,
      404,
      "sourceNotFound",
      'Source "x" not found in the branch.',
    ],
    [
      "unknown sink",
      "GET",
      `${SINKS}/x`,
      undefined,
      404,
      "sinkNotFound",
      'Sink "x" not found in the source.',
    ],
    ["unknown task", "GET", "/v1/tasks/a/b", undefined, 404, "taskNotFound", 'Task "a/b" not found.'],
    [
      "unknown path",
      "GET",
      "/v1/foo/bar",
      undefined,
      404,
      "endpointNotFound",
      'No endpoint found for path "/v1/foo/bar".',
    ],
    [
      "sink of an unknown source",
      "POST",
      `${SOURCES}/x/sinks`,
      SINK,
      404,
      "sourceNotFound",
      'Source "x" not found in the branch.',
    ],
    [
      "taken source ID",
      "POST",
      SOURCES,
      FLIGHTS,
      409,
      "sourceAlreadyExists",
      'Source "flights" already exists in the branch.',
    ],
    [
      "branch of letters",
      "GET",
      "/v1/branches/x/sources",
      undefined,
      400,
      "badRequest",
      'Invalid branch: expected "default" or <int>.',
    ],
    [
      "another branch",
      "GET",
      "/v1/branches/7/sources",
      undefined,
      400,
      "badRequest",
      'Currently only default branch is supported, branch "7" is not default.',
    ],
    ["no name", "POST", SOURCES, { type: "http" }, 400, "missingField", '"name" is missing from body.'],
    [
      "nothing",
      "POST",
      SOURCES,
      {},
      400,
      "missingField",
      '- "type" is missing from body.\n- "name" is missing from body.',
    ],
    [
      "wrong type",
      "POST",
      SOURCES,
      { type: "otlp", name: "x" },
      400,
      "invalidEnumValue",
      'Value of body.type must be one of "http" but got value "otlp".',
    ],
    [
      "name of a number",
      "POST",
      SOURCES,
      { type: "http", name: 1 },
      400,
      "invalidFieldType",
      'Invalid value 1 for "body.name", must be a string.',
    ],
    [
      "long ID",
      "POST",
      SOURCES,
      { type: "http", name: "x", sourceId: "i".repeat(49) },
      400,
      "invalidLength",
      `Length of body.sourceId must be lesser or equal than 48 but got value "${"i".repeat(49)}" (len=49).`,
    ],
    [
      "empty ID",
      "POST",
      SOURCES,
      { type: "http", name: "x", sourceId: "" },
      400,
      "invalidLength",
      'Length of body.sourceId must be greater or equal than 1 but got value "" (len=0).',
    ],
    [
      "ID of nothing",
      "POST",
      SOURCES,
      { type: "http", name: "x", sourceId: "##" },
      400,
      "badRequest",
      '"sourceId" must not be empty.',
    ],
    [
      "long name",
      "POST",
      SOURCES,
      { type: "http", name: name41 },
      400,
      "invalidLength",
      `Length of body.name must be lesser or equal than 40 but got value "${name41}" (len=41).`,
    ],
    [
      "page of 0",
      "GET",
      `${SOURCES}?limit=0`,
      undefined,
      400,
      "invalidRange",
      "Limit must be greater or equal than 1 but got value 0.",
    ],
    [
      "page of 101",
      "GET",
      `${SOURCES}?limit=101`,
      undefined,
      400,
      "invalidRange",
      "Limit must be lesser or equal than 100 but got value 101.",
    ],
    [
      "page of letters",
      "GET",
      `${SOURCES}?limit=x`,
      undefined,
      400,
      "invalidFieldType",
      'Invalid value "x" for "limit", must be a integer.',
    ],
    [
      "table type",
      "POST",
      SINKS,
      withTable({ type: "keboola" }),
      400,
      "invalidEnumValue",
      'Value of body.table.type must be one of "duckdb" but got value "keboola".',
    ],
    [
      "table ID",
      "POST",
      SINKS,
      withTable({ tableId: "a.b.c" }),
      400,
      "badRequest",
      'Table ID "a.b.c" is invalid: expected <schema>.<table>, each 1 to 63 of [A-Za-z0-9_], not starting with a digit.',
    ],
    [
      "no table",
      "POST",
      SINKS,
      { ...SINK, table: undefined },
      400,
      "missingField",
      '"table" is missing from body.',
    ],
    [
      "no columns",
      "POST",
      SINKS,
      withColumns([]),
      400,
      "invalidLength",
      "Length of body.table.mapping.columns must be greater or equal than 1 but got len=0.",
    ],
    [
      "path column without path",
      "POST",
      SINKS,
      withColumns([{ type: "path", name: "x" }]),
      400,
      "badRequest",
      'Column "x" is missing path.',
    ],
    [
      "path that is none",
      "POST",
      SINKS,
      withColumns([{ type: "path", name: "x", path: "a..b" }]),
      400,
      "badRequest",
      'Column "x" path "a..b" is invalid: empty step.',
    ],
    [
      "column twice",
      "POST",
      SINKS,
      withColumns([
        { type: "ip", name: "x" },
        { type: "uuid", name: "X" },
      ]),
      400,
      "badRequest",
      'Column name "X" is not unique.',
    ],
    [
      "column type",
      "POST",
      SINKS,
      withColumns([{ type: "foo", name: "x" }]),
      400,
      "invalidEnumValue",
      'Value of body.table.mapping.columns[0].type must be one of "uuid" or "datetime" or "ip" or "body" or "headers" or "path" but got value "foo".',
    ],
    [
      "unknown setting",
      "POST",
      SINKS,
      { ...SINK, settings: { foo: 1 } },
      400,
      "badRequest",
      'Key not found: "foo".',
    ],
    [
      "settings out of range",
      "POST",
      SINKS,
      {
        ...SINK,
        settings: {
          "storage.level.staging.upload.trigger.interval": "99ms",
          "storage.level.staging.upload.trigger.size": "bar",
        },
      },
      400,
      "badRequest",
      '- Invalid "storage.level.staging.upload.trigger.interval" value "99ms": must be between 100ms and 30m0s.\n- Invalid "storage.level.staging.upload.trigger.size" value "bar": invalid syntax.',
    ],
  ];
  for (const [name, method, url, body, status, error, message] of cases) {
    test(`${name} -> ${status} ${error}`, async () => {
      await api.call("POST", SOURCES, FLIGHTS);
      const answer = await api.call(method, url, body);
      assert.deepEqual(answer.body, { statusCode: status, error: `stream.api.${error}`, message });
      assert.equal(answer.status, status);
    });
  }

  test("a body that is no JSON -> 400; another type -> 415", async () => {
    const post = (contentType: string) =>
      api.app.inject({
        method: "POST",
        url: SOURCES,
        headers: { "content-type": contentType },
        payload: "{",
      });
    assert.equal((await post("application/json")).statusCode, 400);
    assert.equal((await post("text/xml")).statusCode, 415);
    assert.equal((await post("application/json")).json<Json>()["error"], "stream.api.badRequest");
  });

  test("the 101st source -> 409", async () => {
    for (let i = 0; i < 100; i++) {
      const input = { projectId: 1, branchId: 1, sourceId: `s${i}`, name: "n", description: "" };
      await api.repository.createSource(input, { type: "system" }, never);
    }
    const { status, body } = await api.call("POST", SOURCES, FLIGHTS);
    assert.deepEqual([status, body["error"]], [409, "stream.api.sourceCountLimitReached"]);
  });

  test("two creations of one ID at the same time -> one task succeeds", async () => {
    const answers = await Promise.all([
      api.call("POST", SOURCES, FLIGHTS),
      api.call("POST", SOURCES, FLIGHTS),
    ]);
    const ends = answers.map(({ body }) => body["status"] ?? body["statusCode"]);
    assert.equal(ends.filter((end) => end === "success").length, 1, String(ends));
  });
});

test("API: auxiliary routes", async () => {
  const health = await api.app.inject({ method: "GET", url: "/health-check" });
  assert.deepEqual([health.statusCode, health.body], [200, "OK"]);
  assert.match(String(health.headers["content-type"]), /^text\/plain/);
  const index = await api.call("GET", "/v1");
  assert.deepEqual(index.body, { api: "stream", documentation: "http://api.test/v1/documentation" });
});

function withTable(table: Json): Json {
  return { ...SINK, table: { ...SINK.table, ...table } };
}

function withColumns(columns: Json[]): Json {
  return withTable({ mapping: { columns } });
}
