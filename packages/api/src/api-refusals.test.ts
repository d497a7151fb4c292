import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";

import { never, utf8 } from "@millrace/base";

import { ApiHarness, at, FLIGHTS, SINK, SINKS, SOURCES, type Json } from "./api-testkit.ts";

const TYPES = '"uuid" or "datetime" or "ip" or "body" or "headers" or "path" or "template"';

let api: ApiHarness;
beforeEach(async () => {
  api = new ApiHarness();
  await api.open();
});
afterEach(() => api.close());

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
      { type: "mqtt", name: "x" },
      400,
      "invalidEnumValue",
      'Value of body.type must be one of "http" or "otlp" but got value "mqtt".',
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
      "ID of a list",
      "POST",
      SOURCES,
      { type: "http", name: "Deleted" },
      400,
      "badRequest",
      '"sourceId" must not be "deleted".',
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
      'Value of body.table.type must be one of "duckdb" or "postgres"' +
        ' or "clickhouse" or "parquet" but got value "keboola".',
    ],
    [
      "table ID",
      "POST",
      SINKS,
      withTable({ tableId: "a.b.c" }),
      400,
      "badRequest",
      'Table ID "a.b.c" is invalid: expected <schema>.<table>, ' +
        "each 1 to 63 of [A-Za-z0-9_], not starting with a digit.",
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
      'Column "x" path "a..b" is invalid: empty step at 2.',
    ],
    [
      "template without program",
      "POST",
      SINKS,
      withColumns([{ type: "template", name: "x", template: { language: "jsonnet" } }]),
      400,
      "missingField",
      '"content" is missing from body.table.mapping.columns[0].template.',
    ],
    [
      "template of another language",
      "POST",
      SINKS,
      withColumns([{ type: "template", name: "x", template: { language: "lua", content: "1" } }]),
      400,
      "invalidEnumValue",
      "Value of body.table.mapping.columns[0].template.language must be one of " +
        '"jsonnet" or "jsonata" but got value "lua".',
    ],
    [
      "template that is no program",
      "POST",
      SINKS,
      withColumns([{ type: "template", name: "x", template: { language: "jsonnet", content: "Invalid" } }]),
      400,
      "badRequest",
      'Column "x" template is invalid: 1:1-8 Unknown variable: Invalid.',
    ],
    [
      "template that is no expression",
      "POST",
      SINKS,
      withColumns([{ type: "template", name: "x", template: { language: "jsonata", content: "a +" } }]),
      400,
      "badRequest",
      'Column "x" template is invalid: 1:3 Unexpected end of expression.',
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
      "column name with NUL",
      "POST",
      SINKS,
      withColumns([{ type: "body", name: "a\u0000b" }]),
      400,
      "badRequest",
      'Column name "a\\u0000b" is invalid: it must not contain control characters or halves of surrogate pairs.',
    ],
    [
      "column name that is half a character",
      "POST",
      SINKS,
      withColumns([{ type: "body", name: "\ud800" }]),
      400,
      "badRequest",
      'Column name "\\ud800" is invalid: it must not contain control characters or halves of surrogate pairs.',
    ],
    [
      "column type",
      "POST",
      SINKS,
      withColumns([{ type: "foo", name: "x" }]),
      400,
      "invalidEnumValue",
      `Value of body.table.mapping.columns[0].type must be one of ${TYPES} but got value "foo".`,
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
      '- Invalid "storage.level.staging.upload.trigger.interval" value "99ms": must be between 100ms and 30m0s.\n' +
        '- Invalid "storage.level.staging.upload.trigger.size" value "bar": invalid syntax.',
    ],
  ];
  for (const [name, method, url, body, status, error, message] of cases) {
    test(`${name} -> ${status} ${error}`, async () => {
      await api.call("POST", SOURCES, FLIGHTS);
      const answer = await api.call(method, url, body);
      const { problems: _, ...envelope } = answer.body;
      assert.deepEqual(envelope, { statusCode: status, error: `stream.api.${error}`, message });
      assert.equal(answer.status, status);
    });
  }

  test("a table that the target refuses -> 400 with its reason, no task, no sink", async () => {
    await api.call("POST", SOURCES, FLIGHTS);
    api.tableProblem =
      'columns of the table "main.flights" do not match expected: "x" VARCHAR is not in the table';
    const { status, body } = await api.call("POST", SINKS, SINK);
    assert.equal(status, 400);
    assert.equal(body["error"], "stream.api.badRequest");
    assert.match(String(body["message"]), /^Columns of the table "main.flights" do not match expected: /);
    assert.deepEqual(api.prepared, []);
    assert.equal((await api.call("GET", `${SINKS}/flights`)).status, 404);
  });

  test("a field that is nested deeply -> 400", async () => {
    const deep = `${"[".repeat(50_000)}${"]".repeat(50_000)}`;
    const answer = await api.app.inject({
      method: "POST",
      url: SOURCES,
      headers: { "content-type": "application/json" },
      payload: `{"type":"http","name":"x","description":${deep}}`,
    });
    const message = 'Invalid value […] for "body.description", must be a string.';
    assert.deepEqual([answer.statusCode, answer.json<Json>()["message"]], [400, message]);
  });

  test("a body that is no JSON -> 400; of another type -> 415; too large -> 413 with the bound", async () => {
    for (const [contentType, payload, status, error, message] of [
      ["application/json", "{", 400, "badRequest", /./],
      ["text/xml", "{", 415, "unsupportedMediaType", /expected application\/json\.$/],
      [
        "application/json",
        `{"name":"${"x".repeat(1024 * 1024)}"}`,
        413,
        "payloadTooLarge",
        / 1048576 bytes /,
      ],
    ] as const) {
      const headers = { "content-type": contentType };
      const answer = await api.app.inject({ method: "POST", url: SOURCES, headers, payload });
      assert.deepEqual([answer.statusCode, answer.json<Json>()["error"]], [status, `stream.api.${error}`]);
      assert.match(String(answer.json<Json>()["message"]), message);
    }
  });

  test("the 101st source -> 422", async () => {
    for (let i = 0; i < 100; i++) {
      const input = { projectId: 1, branchId: 1, sourceId: `s${i}`, name: "n", description: "" };
      await api.repository.createSource(input, { type: "system" }, never);
    }
    const { status, body } = await api.call("POST", SOURCES, FLIGHTS);
    assert.deepEqual([status, body["error"]], [422, "stream.api.resourceLimitReached"]);
    assert.equal(body["message"], "Source count limit reached in the branch, the maximum is 100.");
  });

  test("wrong bodies of a PATCH -> 400 as those of a POST", async () => {
    await api.call("POST", SOURCES, FLIGHTS);
    await api.call("POST", SINKS, SINK);
    for (const url of [`${SOURCES}/flights`, `${SINKS}/flights`]) {
      for (const [name, message] of [
        ["", 'Length of body.name must be greater or equal than 1 but got value "" (len=0).'],
        [name41, `Length of body.name must be lesser or equal than 40 but got value "${name41}" (len=41).`],
      ]) {
        const { status, body } = await api.call("PATCH", url, { name });
        const problems = [{ field: "body.name", message }];
        assert.deepEqual(body, { statusCode: 400, error: "stream.api.invalidLength", message, problems });
        assert.equal(status, 400);
      }
    }
  });

  test("invalid template of a PATCH -> 400 with its place, and the sink stays as it was", async () => {
    await api.call("POST", SOURCES, FLIGHTS);
    await api.call("POST", SINKS, SINK);
    for (const [language, content, problem] of [
      ["jsonnet", "Invalid", "1:1-8 Unknown variable: Invalid."],
      ["jsonata", "{\n 'a': )", '2:7 The symbol ")" cannot be used as a unary operator.'],
    ]) {
      const columns = [{ type: "template", name: "x", template: { language, content } }];
      const { status, body } = await api.call("PATCH", `${SINKS}/flights`, {
        table: { mapping: { columns } },
      });
      const message = `Column "x" template is invalid: ${problem}`;
      const problems = [{ field: "body.table.mapping.columns[0].template.content", message }];
      assert.deepEqual(body, { statusCode: 400, error: "stream.api.badRequest", message, problems });
      assert.equal(status, 400);
    }
    assert.equal(at(await api.get(`${SINKS}/flights`), "version", "number"), 1);
  });

  test("a thousand versions -> changes of content are 422, of state are not", async () => {
    await api.change("POST", SOURCES, FLIGHTS);
    await api.change("POST", SINKS, SINK);
    for (const [key, url, what] of [
      ["stream/definition/source/active/1/1/flights", `${SOURCES}/flights`, "source"],
      ["stream/definition/sink/active/1/1/flights/flights", `${SINKS}/flights`, "sink"],
    ] as const) {
      const { kvs } = await api.store.range({ key }, never);
      const stored = JSON.parse(new TextDecoder().decode(kvs[0]?.value)) as { version: { number: number } };
      stored.version.number = 1000;
      const put = { kind: "put", key, value: utf8(JSON.stringify(stored)) } as const;
      await api.store.txn({ compare: [], success: [put] }, never);
      for (const [method, path, payload] of [
        ["PATCH", "", { name: "Other" }],
        ["PATCH", "/settings", { settings: [] }],
        ["PUT", "/versions/1/rollback", undefined],
      ] as const) {
        const { status, body } = await api.call(method, url + path, payload);
        const message = `Version count limit reached in the ${what}, the maximum is 1000.`;
        const expected = { statusCode: 422, error: "stream.api.resourceLimitReached", message };
        assert.deepEqual([status, body], [422, expected], path);
      }
      await api.change("PUT", `${url}/disable`);
      await api.change("PUT", `${url}/enable`);
    }
  });

  for (const [what, url, body] of [
    ["source", SOURCES, FLIGHTS],
    ["sink", SINKS, SINK],
  ] as const) {
    test(`two creations of a ${what} of one ID at the same time -> one task succeeds, the other is 409`, async () => {
      if (what === "sink") await api.change("POST", SOURCES, FLIGHTS);
      const answers = await Promise.all([api.call("POST", url, body), api.call("POST", url, body)]);
      const [made, refused, ...more] = answers.sort((a, b) => a.status - b.status);
      assert.deepEqual([made?.status, made?.body["status"], more], [202, "success", []]);
      assert.deepEqual([refused?.status, refused?.body["error"]], [409, `stream.api.${what}AlreadyExists`]);
    });
  }
});

function withTable(table: Json): Json {
  return { ...SINK, table: { ...SINK.table, ...table } };
}

function withColumns(columns: Json[]): Json {
  return withTable({ mapping: { columns } });
}
