import assert from "node:assert/strict";
import { test } from "node:test";
import { UsageError } from "./cli-io.ts";
import { joinStreams, parseStreams, Secret } from "./streams-file.ts";

const env = (name: string): string | undefined => ({ HOOK: "s3cret", EMPTY: "" })[name];
const parse = (text: string) => parseStreams(text, "streams.yaml", env);

test("streams file: a document a source; secrets from the environment; nothing is filled in", () => {
  const [orders, other, ...more] = parse(`
source: orders
name: Orders
signature: { scheme: github, secret: { env: HOOK } }
settings: { storage.level.local.encoding.sync.wait: false }
sinks:
  - sink: rows
    table: main.orders
    columns: [{ type: body, name: body }]
    disabled: true
---
source: other
---
`);
  assert.deepEqual(more, []);
  assert.deepEqual(orders, {
    sourceId: "orders",
    fields: { name: "Orders", signature: { scheme: "github", secret: new Secret("HOOK", "s3cret") } },
    settings: { "storage.level.local.encoding.sync.wait": false },
    isDisabled: false,
    sinks: [
      {
        sinkId: "rows",
        fields: {},
        table: { tableId: "main.orders" },
        columns: [{ type: "body", name: "body" }],
        isDisabled: true,
      },
    ],
  });
  assert.deepEqual(other, { sourceId: "other", fields: {}, isDisabled: false, sinks: [] });
});

const BOMB = [
  "a: &a0 [x]",
  ...Array.from({ length: 8 }, (_, n) => `b${n}: &a${n + 1} [${`*a${n},`.repeat(9)}]`),
].join("\n");
const SINK = "source: a\nsinks: [{ sink: b, table: main.t, columns: []";
const column = (text: string): string => `source: a\nsinks: [{ sink: b, table: main.t, columns: [${text}] }]`;
const table = (text: string): string => `source: a\nsinks: [{ sink: b, columns: [], table: { ${text} } }]`;
const NO_ID = "is not an ID as the API has them \\(expected 1 to 48 of a-z and 0-9, with single hyphens";

for (const [what, text, message] of [
  ["no YAML", "source: [", /^streams\.yaml: /],
  ["no fields", "- a", /document 1: expected fields: source, type, /],
  ["no ID", "name: a", /document 1: source: expected an ID/],
  ["an unknown field", "source: a\nnmae: b", /document 1: "nmae" is not a field \(expected source, type, /],
  ["an unknown field of a sink", `${SINK}, colums: 1 }]`, /sinks\[0\]: "colums" is not a field/],
  ["a sink without columns", "source: a\nsinks: [{ sink: b, table: t }]", /\(b\): columns: expected a list/],
  ["a sink without a table", "source: a\nsinks: [{ sink: b, columns: [] }]", /\(b\): table: expected fields/],
  [
    "the mapping twice",
    "source: a\nsinks: [{ sink: b, columns: [], table: { mapping: 1 } }]",
    /the sink's columns/,
  ],
  [
    "one sink twice",
    `${SINK} }, { sink: b, table: main.t, columns: [] }]`,
    /source a: sink b is there twice/,
  ],
  ["a secret in the file", "source: a\nsignature: { secret: x }", /secret: expected \{ env: NAME \}/],
  ["no such variable", "source: a\nsignature: { secret: { env: NO } }", /variable NO is not set/],
  ["an empty variable", "source: a\nsignature: { secret: { env: EMPTY } }", /variable EMPTY is not set/],
  [
    "a setting that is a list",
    "source: a\nsettings: { k: [] }",
    /settings: k: expected a text, a number or a flag/,
  ],
  ["a flag that is none", "source: a\ndisabled: 1", /disabled: expected true or false/],
  [
    "an unknown field of a column",
    column("{ type: uuid, name: id }, { type: path, name: x, path: x, rawStrin: true }"),
    /^streams\.yaml: document 1: source a: sinks\[0\] \(b\): columns\[1\]: "rawStrin" is not a field of type path \(/,
  ],
  [
    "a field of another column",
    column("{ type: body, name: x, path: x }"),
    /"path" is not a field of type body/,
  ],
  [
    "an unknown field of a column of no kind",
    column("{ typ: path, name: x }"),
    /columns\[0\]: "typ" is not a field \(expected type, name, path, defaultValue, rawString, template\)$/,
  ],
  [
    "an unknown field of a template",
    column("{ type: template, name: x, template: { lang: jsonnet, content: x } }"),
    /columns\[0\]: template: "lang" is not a field \(expected language, content\)$/,
  ],
  [
    "an unknown field of a signature",
    "source: a\nsignature: { scheme: github, secret: { env: HOOK }, tolerance: 5 }",
    /source a: signature: "tolerance" is not a field \(expected scheme, secret, toleranceSeconds\)$/,
  ],
  [
    "an unknown field of a table",
    table("tableId: main.t, typ: postgres"),
    /\(b\): table: "typ" is not a field of type duckdb \(expected type, tableId, mapping\)$/,
  ],
  [
    "a connection of no type",
    table("tableId: t, connection: {}"),
    /"connection" is not a field of type duckdb/,
  ],
  [
    "an unknown field of a connection",
    table("type: postgres, tableId: main.t, connection: { host: h, databse: d }"),
    /\(b\): table: connection: "databse" is not a field \(expected host, port, database, /,
  ],
  [
    "a field with a name of JavaScript's",
    column("{ type: uuid, name: x, constructor: 1 }"),
    /"constructor" is not/,
  ],
  ["an ID with a space", "source: My Source", new RegExp(`source: "My Source" ${NO_ID}`)],
  ["an ID with a hyphen behind", "source: a-", new RegExp(`"a-" ${NO_ID}`)],
  ["the ID of a list", "source: deleted", /"deleted" is no ID/],
  ["an ID that is too long", `source: ${"i".repeat(49)}`, new RegExp(`"i{49}" ${NO_ID}`)],
  [
    "an ID of a sink with an upper case letter",
    "source: a\nsinks: [{ sink: Rows, table: t, columns: [] }]",
    new RegExp(`sinks\\[0\\]: sink: "Rows" ${NO_ID}`),
  ],
  ["an empty file", "", /: there is no source in it \(expected one document for each\)$/],
  ["nothing but a comment and dashes", "# of a template\n---\n---\n", /there is no source in it/],
  ["aliases that explode", BOMB, /document 1: .*alias/i],
] as const) {
  test(`streams file: ${what} -> bad usage that says where`, () => {
    assert.throws(
      () => parse(text),
      (error: unknown) => error instanceof UsageError && message.test(error.message),
    );
  });
}

test("streams file: a field that is null -> not given, but for a signature", () => {
  const [source] = parse(`
source: a
name:
description: null
signature: null
sinks:
  - sink: b
    name: null
    table: { type: postgres, tableId: main.t, connection: { host: h, port: null } }
    columns: [{ type: path, name: x, path: x, defaultValue: null }]
`);
  assert.deepEqual(source?.fields, { signature: null });
  assert.deepEqual(source?.sinks, [
    {
      sinkId: "b",
      fields: {},
      table: { type: "postgres", tableId: "main.t", connection: { host: "h" } },
      columns: [{ type: "path", name: "x", path: "x" }],
      isDisabled: false,
    },
  ]);
});

test("streams file: signals in any order, one of them twice -> as the API gives them", () => {
  const [source] = parse(`
source: tele
sinks: [{ sink: logs, table: main.t, columns: [], allowedSignals: [traces, logs, traces] }]
`);
  assert.deepEqual(source?.sinks[0]?.fields, { allowedSignals: ["logs", "traces"] });
});

test("streams file: a source in two files -> bad usage", () => {
  const [one] = [parse("source: a")];
  assert.throws(() => joinStreams([one, parse("source: b"), one]), /source a is there twice/);
});
