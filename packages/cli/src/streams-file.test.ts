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
  assert.deepEqual(parse(""), []);
});

const BOMB = [
  "a: &a0 [x]",
  ...Array.from({ length: 8 }, (_, n) => `b${n}: &a${n + 1} [${`*a${n},`.repeat(9)}]`),
].join("\n");
const SINK = "source: a\nsinks: [{ sink: b, table: main.t, columns: []";

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
  ["aliases that explode", BOMB, /document 1: .*alias/i],
] as const) {
  test(`streams file: ${what} -> bad usage that says where`, () => {
    assert.throws(
      () => parse(text),
      (error: unknown) => error instanceof UsageError && message.test(error.message),
    );
  });
}

test("streams file: a source in two files -> bad usage", () => {
  const [one] = [parse("source: a")];
  assert.throws(() => joinStreams([one, parse("source: b"), one]), /source a is there twice/);
});
