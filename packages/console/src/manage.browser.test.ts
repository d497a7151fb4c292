// Managing definitions on the page over the real platform: what is created, changed and taken back there is so in the
// API and in the table.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Page } from "playwright-core";
import { hasSidewaysScroll, skip, until, useBrowser } from "./browser-harness.ts";
import { askWarehouse, startPlatform, type Platform } from "./platform-child.ts";

const open = useBrowser();

interface Json {
  readonly [name: string]: unknown;
}

async function ask(platform: Platform, path: string): Promise<Json> {
  const response = await fetch(`${platform.api}/v1/branches/default/sources${path}`);
  return (await response.json()) as Json;
}

const at = (value: unknown, ...path: string[]): unknown =>
  path.reduce<unknown>((inner, name) => (inner as Json | undefined)?.[name], value);

async function createSource(page: Page): Promise<void> {
  await page.getByRole("button", { name: "New source" }).click();
  const dialog = page.getByRole("dialog", { name: "New source" });
  await dialog.getByLabel("Name", { exact: true }).fill("Orders");
  await dialog.getByRole("button", { name: "Create the source" }).click();
  await page.getByRole("dialog", { name: "Source Orders" }).getByRole("button", { name: "New sink" }).click();
}

/** A sink of two columns, the second one of the sample's own. */
async function createSink(page: Page): Promise<void> {
  const dialog = page.getByRole("dialog", { name: "New sink of orders" });
  await dialog.getByLabel("Name", { exact: true }).fill("All orders");
  await dialog.getByLabel("Table").fill("main.orders");
  for (const column of [3, 2]) await dialog.getByLabel(`Remove column ${column}`, { exact: true }).click();
  await dialog.getByRole("button", { name: "Add a column" }).click();
  await dialog.getByLabel("Name of column 2", { exact: true }).fill("item");
  await dialog.getByLabel("Path of column 2", { exact: true }).fill("item[");
  const sample = dialog.locator("[data-sample-state]");
  await sample.getByText(/item\[/).waitFor();
  await dialog.getByLabel("Path of column 2", { exact: true }).fill("item");
  await dialog.getByLabel("Body of the sample").fill('{"item":"mill"}');
  await dialog.locator("[data-sample-state=row]").getByText('"mill"', { exact: true }).waitFor();
  await dialog.getByLabel("texts without JSON quotes").check();
  await sample.getByText("mill", { exact: true }).waitFor();
  await dialog.getByRole("button", { name: "Create the sink" }).click();
  await page.getByRole("dialog", { name: "Sink All orders" }).waitFor();
}

async function send(platform: Platform, item: string): Promise<number> {
  const url = at(await ask(platform, "/orders"), "http", "url") as string;
  const body = JSON.stringify({ item });
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body,
  });
  await response.arrayBuffer();
  return response.status;
}

const name = "manage: a source and a sink made on the page take records; versions, settings and life follow";
test(name, { skip, timeout: 180_000 }, async (t) => {
  const platform = await startPlatform(t);
  const url = new URL("/console/", platform.console).href;
  const { page, checkClean } = await open(t, url, { allowed: /40[09]|422/ });
  await page.locator("[data-empty=sources]").waitFor();
  await createSource(page);
  await createSink(page);
  const sink = () => ask(platform, "/orders/sinks/all-orders");
  assert.equal(at(await sink(), "table", "tableId"), "main.orders");
  assert.equal(await send(platform, "wheel"), 200);
  const items = "select string_agg(item, ',') as n from main.orders";
  await until("the row is there", async () => (await askWarehouse(platform, items)) === "wheel");

  const dialog = page.getByRole("dialog");
  await dialog.getByRole("button", { name: "Add a column" }).click();
  await dialog.getByLabel("Type of column 3").selectOption("template");
  await dialog.getByLabel("Name of column 3", { exact: true }).fill("loud");
  await dialog.getByLabel("Template of column 3", { exact: true }).fill("std.asciiUpper(Body('item'))");
  await dialog.getByLabel("Body of the sample").fill('{"item":"mill"}');
  await dialog.locator("[data-sample-state=row]").getByText('"MILL"').waitFor();
  await dialog.getByLabel("What changes, and why").fill("Loud ones.");
  await dialog.getByRole("button", { name: "Save as a new version" }).click();
  await until("version 2", async () => at(await sink(), "version", "number") === 2);

  await dialog.getByRole("tab", { name: "Versions" }).click();
  await dialog.locator("[data-version='2']").getByRole("button", { name: "Loud ones." }).click();
  const diff = dialog.locator("[data-diff]");
  await diff.locator(".added", { hasText: "std.asciiUpper" }).waitFor();
  assert.equal(await diff.locator(".removed", { hasText: "item" }).count(), 0);
  await dialog.locator("[data-version='1']").getByRole("button", { name: "Roll back" }).click();
  await dialog.getByRole("group").getByRole("button", { name: "Roll back" }).click();
  await until("version 3 says what 1 said", async () => {
    const now = await sink();
    const columns = at(now, "table", "mapping", "columns") as unknown[];
    return at(now, "version", "number") === 3 && columns.length === 2;
  });

  await dialog.getByRole("tab", { name: "Settings" }).click();
  const count = dialog.locator("[data-setting='storage.level.staging.upload.trigger.count'] input");
  await count.fill("a lot");
  await dialog.getByText("a whole number").waitFor();
  await count.fill("0");
  await dialog.getByRole("button", { name: "Save 1 as a new version" }).click();
  await dialog.locator("[data-manage-failure]").getByText(/between 1 and/).waitFor(); // prettier-ignore
  await count.fill("77");
  await dialog.getByRole("button", { name: "Save 1 as a new version" }).click();
  const setting = "storage.level.staging.upload.trigger.count";
  await until("the setting is in force", async () => at(await sink(), "settings", setting) === 77);

  await dialog.getByRole("tab", { name: "Statistics" }).click();
  await dialog.locator("[data-level=together]").getByText("1", { exact: true }).waitFor();
  await dialog.locator("[data-lag]", { hasText: "Nothing waits for the table." }).waitFor();
  await dialog.getByRole("tab", { name: "Files" }).click();
  await dialog.locator("[data-file]").first().waitFor();
  for (const width of [1280, 768, 390, 320]) {
    await page.setViewportSize({ width, height: 844 });
    for (const tab of ["Definition", "Settings", "Versions", "Statistics", "Files", "Dead letters"]) {
      await dialog.getByRole("tab", { name: tab }).click();
      await until(`${tab}: no sideways scroll at ${width}`, async () => !(await hasSidewaysScroll(page)));
    }
  }
  await page.setViewportSize({ width: 1280, height: 900 });

  await dialog.getByRole("button", { name: "Disable" }).click();
  await dialog.getByRole("button", { name: "Enable" }).waitFor();
  assert.equal(at(await sink(), "disabled", "reason"), "API");
  await dialog.getByRole("button", { name: "Enable" }).click();
  await dialog.getByRole("button", { name: "Disable" }).waitFor();
  await dialog.getByRole("button", { name: "Delete" }).click();
  await dialog.getByRole("group", { name: "Delete it?" }).getByRole("button", { name: "Delete" }).click();
  await dialog.waitFor({ state: "hidden" });
  assert.equal((await sink())["error"], "stream.api.sinkNotFound");

  await page.getByRole("button", { name: "Deleted" }).click();
  await dialog.getByRole("button", { name: "Undelete orders/all-orders" }).click();
  await until("it is back", async () => (await sink())["sinkId"] === "all-orders");
  await dialog.getByRole("button", { name: "Close" }).click();
  await page.getByRole("button", { name: "Tasks" }).click();
  await dialog.locator("[data-task='api.undelete.sink']").getByText("success", { exact: true }).waitFor();
  assert.equal(await send(platform, "stone"), 200);
  await until("rows go on", async () => (await askWarehouse(platform, items)) === "wheel,stone");
  checkClean();
});

test("manage: an address opens what it names; Escape leads back", { skip, timeout: 120_000 }, async (t) => {
  const platform = await startPlatform(t);
  const headers = { "content-type": "application/json" };
  const body = JSON.stringify({ type: "http", name: "Orders", sourceId: "orders" });
  await fetch(`${platform.api}/v1/branches/default/sources`, { method: "POST", headers, body });
  const url = new URL("/console/#sources?source=orders&tab=versions", platform.console).href;
  const { page, checkClean } = await open(t, url);
  const dialog = page.getByRole("dialog", { name: "Source Orders" });
  await dialog.locator("[data-version='1']").waitFor();
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "hidden" });
  assert.equal(await page.evaluate(() => location.hash), "#sources");
  await page.getByRole("button", { name: "Manage source Orders" }).click();
  await dialog.getByRole("tab", { name: "Definition" }).press("ArrowRight");
  assert.equal(await dialog.getByRole("tab", { name: "Settings" }).getAttribute("aria-selected"), "true");
  await dialog.getByRole("tab", { name: "Definition" }).click();
  const before = at(await ask(platform, "/orders"), "http", "url");
  await dialog.getByRole("button", { name: "Rotate the secret" }).click();
  await dialog.getByRole("group").getByRole("button", { name: "Rotate the secret" }).click();
  await until("another address", async () => at(await ask(platform, "/orders"), "http", "url") !== before);
  checkClean();
});

const letters = "manage: records that cannot be mapped wait, and become rows once the mapping is mended";
test(letters, { skip, timeout: 120_000 }, async (t) => {
  const platform = await startPlatform(t);
  const headers = { "content-type": "application/json" };
  const post = (path: string, body: unknown) =>
    fetch(`${platform.api}/v1/branches/default/sources${path}`, {
      method: "POST",
      headers,
      body: JSON.stringify(body),
    });
  await post("", { type: "http", name: "Orders", sourceId: "orders" });
  const column = { type: "path", name: "item", path: "item", rawString: true };
  const table = { type: "duckdb", tableId: "main.orders", mapping: { columns: [column] } };
  await post("/orders/sinks", { type: "table", name: "All", sinkId: "all", table });
  const url = new URL("/console/#sources?source=orders&sink=all&tab=dead-letters", platform.console).href;
  const { page, checkClean } = await open(t, url, { allowed: /422/ });
  const dialog = page.getByRole("dialog", { name: "Sink All" });
  await dialog.getByRole("button", { name: "Switch them on" }).click();
  await dialog.getByText("Dead letters are off").waitFor({ state: "detached" });
  const source = at(await ask(platform, "/orders"), "http", "url") as string;
  assert.equal((await fetch(source, { method: "POST", headers, body: '{"thing":"wheel"}' })).status, 200);
  await dialog.locator("[data-dead-letters='1']").waitFor();
  await dialog.getByRole("button", { name: /item/ }).click();
  await dialog.getByText('{"thing":"wheel"}').waitFor();
  await dialog.getByRole("tab", { name: "Definition" }).click();
  await dialog.getByLabel("Path of column 1", { exact: true }).fill("thing");
  await dialog.getByRole("button", { name: "Save as a new version" }).click();
  await until(
    "version 3",
    async () => at(await ask(platform, "/orders/sinks/all"), "version", "number") === 3,
  );
  await dialog.getByRole("tab", { name: "Dead letters" }).click();
  await dialog.getByRole("button", { name: "Replay" }).click();
  await dialog.getByRole("group").getByRole("button", { name: "Replay" }).click();
  await dialog.locator("[data-dead-letters='0']").waitFor();
  const items = "select string_agg(item, ',') as n from main.orders";
  await until("the row is there", async () => (await askWarehouse(platform, items)) === "wheel");
  checkClean();
});
