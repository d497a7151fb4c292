import assert from "node:assert/strict";
import { test } from "node:test";
import type { Sink, Source } from "@millrace/api-client";
import { parseStreams } from "./streams-file.ts";
import { planStreams, type CurrentSource, type PlanOptions } from "./streams-plan.ts";
import { actionText, planText } from "./streams-text.ts";

const CHANGE = { at: "2026-01-01T00:00:00.000Z", by: { type: "system" } } as const;
const VERSION = { number: 1, hash: "0".repeat(16), description: "New.", ...CHANGE };
const KEY = { projectId: 1, branchId: 1, sourceId: "orders" };
const SOURCE: Source = {
  ...KEY,
  type: "http",
  name: "Orders",
  description: "",
  signature: { scheme: "github", toleranceSeconds: 300 },
  version: VERSION,
  created: CHANGE,
};
const SINK: Sink = {
  ...KEY,
  sinkId: "rows",
  type: "table",
  name: "Rows",
  description: "old",
  table: {
    type: "duckdb",
    tableId: "main.orders",
    mapping: { columns: [{ type: "path", name: "item", path: "item" }] },
  },
  settings: { a: 1, b: "x" },
  version: VERSION,
  created: CHANGE,
};
const CURRENT: readonly CurrentSource[] = [{ source: SOURCE, settings: { w: true }, sinks: [SINK] }];
const SAME = `
source: orders
name: Orders
signature: { scheme: github, secret: { env: HOOK } }
settings: { w: true }
sinks:
  - sink: rows
    table: main.orders
    columns: [{ name: item, path: item, type: path, rawString: false }]
    settings: { b: x, a: 1 }
`;
const DEFAULTS: PlanOptions = { prune: false, resendSecrets: false };

function plan(text: string, current = CURRENT, options: Partial<PlanOptions> = {}) {
  return planStreams(
    parseStreams(text, "f", () => "s3cret"),
    current,
    { ...DEFAULTS, ...options },
  );
}

const shown = (...args: Parameters<typeof plan>): readonly string[] => plan(...args).actions.map(actionText);

test("plan: what is so already, however it is written -> nothing to do", () => {
  assert.deepEqual(plan(SAME), { actions: [], strangers: [] });
  assert.equal(planText(plan(SAME), { isDetailed: true, isPruned: false }), "nothing to do\n");
});

test("plan: nothing there -> created with its defaults, settings, state; secrets are sent and not shown", () => {
  const text = `${SAME}    disabled: true\ndisabled: true\n`;
  const made = plan(text, []);
  assert.deepEqual(made.actions.map(actionText), [
    "create source orders",
    "change settings of source orders: w",
    "disable source orders",
    "create sink orders/rows",
    "disable sink orders/rows",
  ]);
  const [source, , , sink] = made.actions;
  assert.deepEqual(source?.verb === "create" && source.body, {
    sourceId: "orders",
    name: "Orders",
    type: "http",
    description: "",
    signature: { scheme: "github", secret: "s3cret" },
  });
  assert.equal((sink?.verb === "create" && sink.body)["name" as never], "rows");
  const detail = planText(made, { isDetailed: true, isPruned: false });
  assert.ok(!detail.includes("s3cret"));
  assert.match(detail, /signature: \{"scheme":"github","secret":"\(secret of HOOK\)"\}/);
  assert.match(detail, /2 to create, 3 to change, 0 to delete\n$/);
});

for (const [what, from, to, actions] of [
  ["a name", "name: Orders", "name: Other", ["update source orders: name"]],
  ["the scheme of a signature", "scheme: github", "scheme: slack", ["update source orders: signature"]],
  ["settings", "{ w: true }", "{ v: 1 }", ["change settings of source orders: v, w"]],
  ["settings that are not given", "settings: { w: true }", "", []],
  ["a sink's settings", "{ b: x, a: 1 }", "{ b: y }", ["change settings of sink orders/rows: a, b"]],
  ["a table", "main.orders", "main.other", ["update sink orders/rows: table.tableId"]],
  ["a column", "path: item", "path: other", ["update sink orders/rows: columns"]],
  ["a column's flag", "rawString: false", "rawString: true", ["update sink orders/rows: columns"]],
  ["state", "source: orders", "source: orders\ndisabled: true", ["disable source orders"]],
  ["another sink", "sink: rows", "sink: more", ["create sink orders/more"]],
] as const) {
  test(`plan: ${what} -> ${actions.join("; ") || "as it was"}`, () => {
    assert.ok(SAME.includes(from));
    assert.deepEqual(shown(SAME.replace(from, to)), actions);
  });
}

test("plan: a change of one field -> that field alone is sent", () => {
  const [action] = plan(SAME.replace("main.orders", "main.other")).actions;
  assert.deepEqual(action?.verb === "update" && action.body, { table: { tableId: "main.other" } });
  const [update] = plan(SAME.replace("name: Orders", "name: Other")).actions;
  assert.deepEqual(update?.changes, [{ field: "name", before: "Orders", after: "Other" }]);
});

test("plan: in no file -> named, and deleted only when asked for", () => {
  const other = SAME.replace("source: orders", "source: other");
  assert.deepEqual(plan(other).strangers, ["source orders"]);
  assert.ok(!shown(other).some((text) => text.startsWith("delete")));
  assert.deepEqual(shown(other, CURRENT, { prune: true }).at(-1), "delete source orders");
  const more = SAME.replace("sink: rows", "sink: more");
  assert.deepEqual(plan(more).strangers, ["sink orders/rows"]);
  assert.deepEqual(shown(more, CURRENT, { prune: true }), [
    "create sink orders/more",
    "delete sink orders/rows",
  ]);
  const text = planText(plan(more), { isDetailed: false, isPruned: false });
  assert.match(text, /in no file: sink orders\/rows \(--prune deletes it\)/);
});

test("plan: disabled by its own and with its source -> told apart", () => {
  const disabled = (reason: string): CurrentSource[] => [
    { ...CURRENT[0]!, sinks: [{ ...SINK, disabled: { ...CHANGE, reason } }] },
  ];
  assert.deepEqual(shown(SAME, disabled("API")), ["enable sink orders/rows"]);
  assert.deepEqual(shown(SAME, disabled("Auto-disabled with the parent source.")), []);
});

test("plan: secrets -> sent again when asked for", () => {
  const [action] = plan(SAME, CURRENT, { resendSecrets: true }).actions;
  assert.deepEqual(action?.verb === "update" && action.body, {
    signature: { scheme: "github", secret: "s3cret" },
  });
});

test("plan: a connection -> what is given of it is compared, its password is not", () => {
  const connection = { host: "db", port: 5432, database: "shop", user: "m" };
  const table = { ...SINK.table, type: "postgres", connection } as unknown as Sink["table"];
  const current = [{ ...CURRENT[0]!, sinks: [{ ...SINK, table }] }];
  const file = (host: string): string =>
    SAME.replace(
      "table: main.orders",
      `table: { type: postgres, tableId: main.orders, connection: { host: ${host}, database: shop, user: m, ` +
        "password: { env: PASSWORD } } }",
    );
  assert.deepEqual(shown(file("db"), current), []);
  const { actions } = plan(file("other"), current);
  assert.deepEqual(actions.map(actionText), ["update sink orders/rows: table.connection"]);
  const [action] = actions;
  const sent = { host: "other", database: "shop", user: "m", password: "s3cret" };
  const whole = { type: "postgres", tableId: "main.orders", connection: sent };
  assert.deepEqual(action?.verb === "update" && action.body, { table: whole });
  assert.ok(
    !planText(plan(file("other"), current), { isDetailed: true, isPruned: false }).includes("s3cret"),
  );
});
