// What the forms of the page can say, over the real platform: each is filled, saved and found in the API, and what the
// API refuses stands at its field.
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { test, type TestContext } from "node:test";
import type { Locator, Page } from "playwright-core";
import { fakeServer, focused, skip, until, useBrowser } from "./browser-harness.ts";
import { emptySnapshot } from "./fake-feed.ts";
import { startPlatform, type Platform } from "./platform-child.ts";

const open = useBrowser();
const HEADERS = { "content-type": "application/json" };

interface Json {
  readonly [name: string]: unknown;
}

const at = (value: unknown, ...path: string[]): unknown =>
  path.reduce<unknown>((inner, name) => (inner as Json | undefined)?.[name], value);

async function call(platform: Platform, method: string, path: string, body?: unknown): Promise<Json> {
  const sent = body === undefined ? {} : { headers: HEADERS, body: JSON.stringify(body) };
  const url = `${platform.api}/v1/branches/default/sources${path}`;
  return (await (await fetch(url, { method, ...sent })).json()) as Json;
}

async function post(url: string, body: string, headers: Record<string, string> = {}): Promise<number> {
  const response = await fetch(url, { method: "POST", headers: { ...HEADERS, ...headers }, body });
  await response.arrayBuffer();
  return response.status;
}

/** The page at a place of its dialog, over an empty platform or one with the source `orders`. */
async function openAt(
  t: TestContext,
  place: string,
  source?: Json,
): Promise<{ platform: Platform; page: Page; dialog: Locator; checkClean: () => void }> {
  const platform = await startPlatform(t);
  if (source !== undefined)
    await call(platform, "POST", "", { name: "Orders", sourceId: "orders", ...source });
  const url = new URL(`/console/#sources?${place}`, platform.console).href;
  const { page, checkClean } = await open(t, url, { allowed: /40[019]|422/ });
  return { platform, page, dialog: page.getByRole("dialog"), checkClean };
}

const signature =
  "forms: a source's signature is asked for, checked at the door, shown nowhere, and taken away";
test(signature, { skip, timeout: 120_000 }, async (t) => {
  const { platform, page, dialog, checkClean } = await openAt(t, "open=new-source");
  await dialog.getByLabel("Name", { exact: true }).fill("Orders");
  await dialog.getByLabel("Requests are signed by").selectOption("github");
  await dialog.getByRole("button", { name: "Create the source" }).click();
  await dialog
    .locator("[data-problem='body.signature.secret']")
    .getByText(/missing/)
    .waitFor();
  await until("the field has the focus", async () => (await focused(page)).startsWith("input#source-secret"));
  await dialog.getByLabel("Signing secret").fill("from-github");
  assert.equal(await dialog.locator("[data-problem]").count(), 0, "what is being mended is not said on");
  await dialog.getByRole("button", { name: "Create the source" }).click();
  await page.getByRole("dialog", { name: "Source Orders" }).waitFor();

  const source = await call(platform, "GET", "/orders");
  assert.equal(at(source, "signature", "scheme"), "github");
  const url = at(source, "http", "url") as string;
  const sum = createHmac("sha256", "from-github").update("{}").digest("hex");
  assert.equal(await post(url, "{}"), 401);
  assert.equal(await post(url, "{}", { "x-hub-signature-256": `sha256=${sum}` }), 200);
  assert.equal(await dialog.getByLabel("Signing secret").inputValue(), "");

  await dialog.getByLabel("Requests are signed by").selectOption("stripe");
  await dialog.getByLabel("Signing secret").fill("whsec_x");
  await dialog.getByLabel("A signature is good for").fill("99999");
  await dialog.getByRole("button", { name: "Save as a new version" }).click();
  await dialog.locator("[data-problem='body.signature.toleranceSeconds']").getByText(/3600/).waitFor();
  await dialog.getByLabel("A signature is good for").fill("60");
  await dialog.getByRole("button", { name: "Save as a new version" }).click();
  await until("Stripe signs", async () => {
    return at(await call(platform, "GET", "/orders"), "signature", "toleranceSeconds") === 60;
  });
  await until("the form shows it", async () => {
    return (await dialog.getByLabel("A signature is good for").inputValue()) === "60";
  });
  await dialog.getByLabel("Requests are signed by").selectOption("");
  await dialog.getByRole("button", { name: "Save as a new version" }).click();
  await until("nobody signs", async () => !("signature" in (await call(platform, "GET", "/orders"))));
  assert.equal(await post(url, "{}"), 200);
  assert.ok(!(await page.content()).includes("from-github"));
  checkClean();
});

const refused = "forms: what the API refuses of a sink stands at the field, the first one has the focus";
test(refused, { skip, timeout: 120_000 }, async (t) => {
  const { platform, page, dialog, checkClean } = await openAt(t, "open=new-sink&source=orders", {
    type: "http",
  });
  const columns = [{ type: "uuid", name: "id" }];
  const table = { type: "duckdb", tableId: "main.taken", mapping: { columns } };
  await call(platform, "POST", "/orders/sinks", { type: "table", name: "Taken", sinkId: "taken", table });
  const create = dialog.getByRole("button", { name: "Create the sink" });
  await dialog.getByLabel("Name", { exact: true }).fill("All");
  await dialog.getByLabel("Table", { exact: true }).fill("orders");
  await dialog.getByLabel("Name of column 2", { exact: true }).fill("id");
  await create.click();
  const tableProblem = dialog.locator("[data-problem='body.table.tableId']");
  await tableProblem.getByText(/<schema>\.<table>/).waitFor();
  await dialog
    .locator("[data-problem='column 2']")
    .getByText(/not unique/)
    .waitFor();
  assert.equal(
    await dialog.getByLabel("Name of column 2", { exact: true }).getAttribute("aria-invalid"),
    "true",
  );
  await until("the table has the focus", async () => (await focused(page)).startsWith("input#sink-table"));
  await dialog.getByLabel("Table", { exact: true }).fill("main.orders");
  await tableProblem.waitFor({ state: "detached" });
  await dialog.getByLabel("Name of column 2", { exact: true }).fill("at");
  await dialog.getByLabel("Type of column 3").selectOption("template");
  await dialog.getByLabel("Template of column 3").fill("std.nothing(");
  await create.click();
  await dialog
    .locator("[data-problem='column 3']")
    .getByText(/template is invalid: 1:/)
    .waitFor();
  await dialog.getByLabel("Template of column 3").fill("Body()");
  await dialog.getByLabel("ID", { exact: true }).fill("taken");
  await create.click();
  await dialog
    .locator("[data-problem='body.sinkId']")
    .getByText(/already exists/)
    .waitFor();
  await dialog.getByLabel("ID", { exact: true }).fill("all");
  await create.click();
  await page.getByRole("dialog", { name: "Sink All" }).waitFor();
  assert.equal(at(await call(platform, "GET", "/orders/sinks/all"), "table", "tableId"), "main.orders");
  checkClean();
});

const signals =
  "forms: a sink of an OTLP source takes the signals that are ticked, and is tried with a flat record";
test(signals, { skip, timeout: 120_000 }, async (t) => {
  const { platform, page, dialog, checkClean } = await openAt(t, "open=new-sink&source=orders", {
    type: "otlp",
  });
  await dialog.getByLabel("Name", { exact: true }).fill("Logs");
  await dialog.getByLabel("Table", { exact: true }).fill("main.logs");
  await dialog
    .locator("[data-sample-state=row]")
    .getByText(/order placed/)
    .waitFor();
  await dialog.getByLabel("Signal of the sample").selectOption("traces");
  await dialog
    .locator("[data-sample-state=row]")
    .getByText(/span_id/)
    .waitFor();
  for (const signal of ["metrics", "traces"]) await dialog.getByLabel(signal, { exact: true }).uncheck();
  await dialog.getByRole("button", { name: "Create the sink" }).click();
  await page.getByRole("dialog", { name: "Sink Logs" }).waitFor();
  const allowed = async () => at(await call(platform, "GET", "/orders/sinks/logs"), "allowedSignals");
  assert.deepEqual(await allowed(), ["logs"]);
  const save = dialog.getByRole("button", { name: "Save as a new version" });
  await dialog.getByLabel("logs", { exact: true }).uncheck();
  await dialog.getByText("At least one.").waitFor();
  assert.equal(await save.isDisabled(), true);
  for (const signal of ["logs", "metrics", "traces"])
    await dialog.getByLabel(signal, { exact: true }).check();
  await save.click();
  await until("all are taken", async () => (await allowed()) === undefined);
  checkClean();
});

const target = "forms: a sink's target, one that does not answer said at its connection, another one taken";
test(target, { skip, timeout: 120_000 }, async (t) => {
  const { platform, page, dialog, checkClean } = await openAt(t, "open=new-sink&source=orders", {
    type: "http",
  });
  await dialog.getByLabel("Name", { exact: true }).fill("Lake");
  await dialog.getByLabel("Table", { exact: true }).fill("main.orders");
  await dialog.getByLabel("Rows go to").selectOption("postgres");
  assert.equal(await dialog.getByLabel("Table", { exact: true }).inputValue(), "public.orders");
  const create = dialog.getByRole("button", { name: "Create the sink" });
  for (const [label, text] of [
    ["Host", "not a host"],
    ["Port", "many"],
    ["Database", "shop"],
    ["User", "loader"],
    ["Password", "opensesame"],
  ] as const) {
    await dialog.getByLabel(label, { exact: true }).fill(text);
  }
  await create.click();
  await dialog
    .locator("[data-problem='body.table.connection.port']")
    .getByText(/must be a integer/)
    .waitFor();
  // Nobody listens there.
  await dialog.getByLabel("Port", { exact: true }).fill("9");
  await create.click();
  await dialog
    .locator("[data-problem='body.table.connection.host']")
    .getByText(/is no name/)
    .waitFor();
  await dialog.getByLabel("Host", { exact: true }).fill("127.0.0.1");
  await create.click();
  await dialog
    .locator("[data-problem='body.table.connection']")
    .getByText(/127\.0\.0\.1:9\/shop/)
    .waitFor();
  assert.equal(await dialog.getByLabel("Password", { exact: true }).getAttribute("type"), "password");
  await dialog.getByLabel("Rows go to").selectOption("parquet");
  await dialog.getByLabel("Address", { exact: true }).fill("file:///rows/");
  await create.click();
  await page.getByRole("dialog", { name: "Sink Lake" }).waitFor();
  const sink = await call(platform, "GET", "/orders/sinks/lake");
  assert.deepEqual(
    [at(sink, "table", "type"), at(sink, "table", "tableId"), at(sink, "table", "connection")],
    ["parquet", "lake.orders", { url: "file:///rows/" }],
  );
  const url = at(await call(platform, "GET", "/orders"), "http", "url") as string;
  assert.equal(await post(url, "{}"), 200);
  await until("its file is imported", async () => {
    const { files } = (await call(platform, "GET", "/orders/sinks/lake/statistics/files")) as {
      files: Json[];
    };
    return files.some(({ state }) => state === "imported");
  });
  checkClean();
});

test("forms: a password that is kept is neither shown nor sent", { skip, timeout: 60_000 }, async (t) => {
  const { server, url } = await fakeServer(t);
  server.backlog = () => [emptySnapshot(Date.now())];
  const history = {
    number: 1,
    hash: "0123456789abcdef",
    description: "New.",
    at: new Date(0).toISOString(),
    by: { type: "system" },
  };
  const shared = {
    projectId: 1,
    branchId: 1,
    sourceId: "orders",
    description: "",
    version: history,
    created: history,
  };
  const connection = { host: "db.example", port: 5433, database: "shop", user: "loader" };
  const mapping = { columns: [{ type: "uuid", name: "id" }] };
  const sink = {
    ...shared,
    sinkId: "all",
    type: "table",
    name: "All",
    settings: {},
    table: { type: "postgres", tableId: "public.orders", connection, mapping },
  };
  const task = {
    taskId: "t",
    type: "api.update.sink",
    status: "success",
    isFinished: true,
    url: "",
    createdAt: history.at,
  };
  server.api = (path, method) => {
    if (method === "PATCH") return { status: 202, body: task };
    if (path.endsWith("/test-mapping")) return { status: 200, body: { rows: [] } };
    return {
      status: 200,
      body: path.includes("/sinks/") ? sink : { ...shared, type: "http", name: "Orders" },
    };
  };
  const { page } = await open(t, `${url}#sources?source=orders&sink=all`);
  const sent: Json[] = [];
  page.on("request", (request) => {
    if (request.method() === "PATCH") sent.push(request.postDataJSON() as Json);
  });
  const dialog = page.getByRole("dialog", { name: "Sink All" });
  const password = dialog.getByLabel("Password", { exact: true });
  assert.equal(await password.inputValue(), "");
  await dialog.getByText("the one there is stays when it is empty").waitFor();
  await dialog.getByLabel("Name", { exact: true }).fill("All of them");
  const save = dialog.getByRole("button", { name: "Save as a new version" });
  await save.click();
  await until("the name was sent", () => sent.length === 1);
  assert.ok(!("table" in sent[0]!), JSON.stringify(sent[0]));
  await until("it can be saved again", () => save.isEnabled());
  await password.fill("a new one");
  await save.click();
  await until("the password was sent", () => sent.length === 2);
  assert.deepEqual(at(sent[1], "table", "connection"), { ...connection, password: "a new one" });
});

const settings =
  "forms: limits, quota and dead letters are set by their names; a value out of bounds is said at it";
test(settings, { skip, timeout: 120_000 }, async (t) => {
  const { platform, dialog, checkClean } = await openAt(t, "source=orders&tab=settings", { type: "http" });
  await dialog.getByLabel("Records in a second, at most", { exact: true }).fill("3");
  await dialog.getByLabel("Bytes in a second, at most", { exact: true }).fill("20TB");
  await dialog.getByLabel("Bytes that may wait for the table", { exact: true }).fill("5GB");
  await dialog.getByLabel("Keep what cannot be mapped", { exact: true }).check();
  await dialog.getByLabel("What changes, and why").fill("Bounds.");
  await dialog.getByRole("button", { name: "Save 4 as a new version" }).click();
  const bytes = dialog.locator("[data-problem='source.limit.bytes']");
  await bytes.getByText(/invalid syntax/).waitFor();
  assert.equal(await dialog.locator("[data-problem]").count(), 1);
  await dialog.getByLabel("Bytes in a second, at most", { exact: true }).fill("20GB");
  assert.equal(await bytes.count(), 0);
  await dialog.getByRole("button", { name: "Save 4 as a new version" }).click();
  await bytes.getByText(/between 0B? and 10GB/).waitFor();
  await dialog.getByRole("button", { name: "Undo Bytes in a second, at most" }).click();
  await dialog.getByRole("button", { name: "Save 3 as a new version" }).click();
  const found = async () => {
    const all = (await call(platform, "GET", "/orders/settings")) as { settings: Json[] };
    return Object.fromEntries(
      all.settings.filter((one) => one["overwritten"]).map((one) => [one["key"], one["value"]]),
    );
  };
  const expected = {
    "source.limit.records": 3,
    "storage.level.local.deadLetters.enabled": true,
    "storage.level.local.quota": "5GB",
  };
  await until("they are set", async () => JSON.stringify(await found()) === JSON.stringify(expected));
  const source = await call(platform, "GET", "/orders");
  assert.equal(at(source, "version", "description"), "Bounds.");
  await dialog.getByRole("button", { name: "Reset Bytes that may wait for the table" }).click();
  await dialog.getByRole("button", { name: "Save 1 as a new version" }).click();
  await until("the quota is the default", async () => !("storage.level.local.quota" in (await found())));
  checkClean();
});

const tokens =
  "forms: the first token makes tokens required and the page goes on with it; others are read-only or go";
test(tokens, { skip, timeout: 120_000 }, async (t) => {
  const { platform, page, dialog } = await openAt(t, "open=tokens");
  await dialog.getByLabel("It may").selectOption("readOnly");
  await dialog.getByRole("button", { name: "Create a token" }).click();
  await dialog
    .locator("[data-problem='body.role']")
    .getByText(/role admin/)
    .waitFor();
  await dialog.getByLabel("It may").selectOption("admin");
  await dialog.getByLabel("What it is for").fill("operators");
  await dialog.getByRole("button", { name: "Create a token" }).click();
  const token = (await dialog.getByRole("region", { name: "the new token", exact: true }).innerText()).trim();
  await dialog.locator("[data-token]").getByText("operators").waitFor();
  const status = async (given?: string): Promise<number> => {
    const headers = given === undefined ? {} : { authorization: `Bearer ${given}` };
    const response = await fetch(`${platform.api}/v1/tokens`, { headers });
    await response.arrayBuffer();
    return response.status;
  };
  assert.deepEqual([await status(), await status(token)], [400, 200]);
  await dialog.getByRole("button", { name: "I have it" }).click();
  assert.ok(!(await page.content()).includes(token));
  await dialog.getByLabel("What it is for").fill("dashboards");
  await dialog.getByLabel("It may").selectOption("readOnly");
  await dialog.getByRole("button", { name: "Create a token" }).click();
  const row = dialog.locator("[data-token]", { hasText: "dashboards" });
  const reader = (
    await dialog.getByRole("region", { name: "the new token", exact: true }).innerText()
  ).trim();
  assert.equal(await status(reader), 200);
  await row.getByRole("button", { name: "Delete" }).click();
  await row.getByRole("group").getByRole("button", { name: "Delete" }).click();
  await row.waitFor({ state: "detached" });
  assert.equal(await status(reader), 401);
});
