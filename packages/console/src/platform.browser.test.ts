// The console over the real platform: a newcomer's way through the page, by the lines it shows and with the keyboard,
// until the numbers on the page are the numbers in the table.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test, type TestContext } from "node:test";
import type { Page } from "playwright-core";
import { focused, shownNumber, skip, until, useBrowser, type Opened } from "./browser-harness.ts";
import { askWarehouse, startPlatform, type Platform } from "./platform-child.ts";

const open = useBrowser();

const RECORDS = 5000;
const LATER = 321;

/** Runs a line that the page shows, as whoever copies it does. */
function runLine(line: string): string {
  const shell = spawnSync("sh", ["-c", line.replace("curl -s ", "curl -sf ")], {
    encoding: "utf8",
    timeout: 20_000,
  });
  assert.equal(shell.status, 0, `${line}\n${shell.stderr}${shell.stdout}`);
  return shell.stdout;
}

async function lineShown(page: Page, label: string): Promise<string> {
  return await page.getByRole("region", { name: label, exact: true }).innerText();
}

/** Follows the page's first steps. @returns address of the source */
async function firstSteps({ page }: Opened): Promise<string> {
  runLine(await lineShown(page, "create a source"));
  await page.locator("[data-source=events] [data-empty=sinks]").waitFor();
  runLine(await lineShown(page, "create a sink"));
  await page.locator("[data-sink=events]").waitFor();
  await page.getByRole("button", { name: "Send a record" }).click();
  const line = await lineShown(page, "send a record to events");
  runLine(line);
  return /'(http[^']+)'/.exec(line)?.[1] ?? "";
}

async function send(url: string, begin: number, count: number): Promise<void> {
  const lines = Array.from({ length: count }, (_, i) => JSON.stringify({ n: begin + i, text: "caf\u00e9" }));
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/x-ndjson" },
    body: `${lines.join("\n")}\n`,
  });
  assert.equal(response.status, 200, await response.text());
}

/** The same number everywhere: in the table, in the totals, in the sink's row. */
async function checkNumbers(platform: Platform, { page }: Opened, records: number): Promise<void> {
  const query = "select count(*) as n from main.events";
  await until("the rows are in the table", async () => (await askWarehouse(platform, query)) === records, {
    limitMs: 30_000,
    show: () => askWarehouse(platform, query),
  });
  for (const selector of [
    "[data-stat=accepted]",
    "[data-stat=loaded]",
    "[data-sink=events] [data-sink-stat=accepted]",
    "[data-sink=events] [data-sink-stat=loaded]",
  ]) {
    const show = () => shownNumber(page, selector);
    await until(`${selector} shows ${records}`, async () => (await show()) === records, { show });
  }
  assert.equal(await shownNumber(page, "[data-stat=lag]"), 0);
  assert.equal(await shownNumber(page, "[data-sink=events] [data-sink-stat=lag]"), 0);
}

/** Asks in the SQL box with the keyboard alone. @returns the only cell of the answer */
async function askInBox(page: Page, query: string): Promise<string> {
  await page.evaluate(() => (document.activeElement as HTMLElement | null)?.blur());
  await page.keyboard.press("/");
  await until("the query has the focus", async () => (await focused(page)).startsWith("textarea#query"));
  await page.keyboard.press("Control+A");
  await page.keyboard.type(query);
  const answered = page.waitForResponse((response) => response.url().endsWith("/console/api/sql"));
  await page.keyboard.press("Control+Enter");
  await answered;
  await page.getByRole("button", { name: "Run" }).waitFor();
  const cell = page.locator("[data-sql-result] tbody td");
  assert.equal(await cell.count(), 1, await page.locator("#sql").innerText());
  return await cell.innerText();
}

/** Follows the partition with the keyboard alone. @returns the journal's name */
async function followTail(page: Page): Promise<string> {
  await page.keyboard.press("Escape");
  for (const key of ["g", "j"]) await page.keyboard.press(key);
  await until("the partitions have the focus", async () =>
    (await focused(page)).startsWith("select#tail-partition"),
  );
  await page.keyboard.press("Tab");
  assert.equal(await focused(page), "button Follow");
  await page.keyboard.press("Enter");
  await until(
    "lines are shown",
    async () => (await page.getByRole("log").locator("li:not(.empty)").count()) > 2,
  );
  return await page.locator("#tail-partition").inputValue();
}

/** Compares every line that the tail shows with the journal itself. */
async function checkTail(platform: Platform, page: Page, journal: string): Promise<void> {
  const response = await fetch(`${platform.broker}/${journal}`);
  const bytes = Buffer.from(await response.arrayBuffer());
  const head = () => shownNumber(page, "[data-tail-head]");
  await until("the page is at the journal's head", async () => (await head()) === bytes.length, {
    show: head,
  });
  const lines = page.getByRole("log").locator("li");
  const shown = await lines.evaluateAll((list) =>
    list.map((item) => ({
      kind: item.className.split(" ")[0],
      offset: Number(item.querySelector(".offset")?.textContent?.replaceAll(",", "")),
      text: item.querySelector(".text")?.textContent ?? "",
    })),
  );
  const count = (kind: string): number => shown.filter((line) => line.kind === kind).length;
  assert.equal(shown.length, 500, "the tail is full");
  assert.ok(
    count("frame") > 100 && count("lengths") > 100 && count("row") > 100,
    "a frame is told from its rows",
  );
  for (const { offset, text } of shown) {
    assert.equal(
      text,
      bytes.subarray(offset, bytes.indexOf(0x0a, offset)).toString("utf8"),
      `line at ${offset}`,
    );
  }
}

async function checkThemes(page: Page): Promise<void> {
  await page.emulateMedia({ colorScheme: "light" });
  const light = await page.screenshot();
  await page.emulateMedia({ colorScheme: "dark" });
  await until("dark", () => page.evaluate(() => document.documentElement.dataset["theme"] === "dark"));
  assert.ok(!light.equals(await page.screenshot()), "dark and light look different");
}

const name = "platform: from an empty page to rows, and the numbers on the page are those of the table";
test(name, { skip, timeout: 180_000 }, async (t: TestContext) => {
  const platform = await startPlatform(t);
  const opened = await open(t, new URL("/console/", platform.console).href);
  const { page } = opened;
  await page.locator("[data-empty=sources]").waitFor();
  await page.locator("[data-readiness=ready]").waitFor();

  const url = await firstSteps(opened);
  await send(url, 1, RECORDS);
  await checkNumbers(platform, opened, RECORDS + 1);
  assert.equal(await askInBox(page, "select count(*) as n from main.events"), String(RECORDS + 1));
  assert.equal(await askInBox(page, "select count(distinct id) as n from main.events"), String(RECORDS + 1));
  const journal = await followTail(page);

  let liveRate = 0;
  for (let i = 0; i < LATER; i += 1) {
    await send(url, RECORDS + 1 + i, 1);
    liveRate = Math.max(liveRate, (await shownNumber(page, '[data-rate="records/s"]')) || 0);
  }
  await until("the rate was seen", async () => {
    liveRate = Math.max(liveRate, (await shownNumber(page, '[data-rate="records/s"]')) || 0);
    return liveRate > 0;
  });
  await checkNumbers(platform, opened, RECORDS + 1 + LATER);
  assert.equal(await askInBox(page, "select count(*) as n from main.events"), String(RECORDS + 1 + LATER));
  await checkTail(platform, page, journal);
  await page.locator("[data-sink=events] [data-slice-state]").first().waitFor();
  await checkThemes(page);
  opened.checkClean();
});

test(
  "platform: an error of the engine -> the caret stands where it means",
  { skip, timeout: 120_000 },
  async (t) => {
    const platform = await startPlatform(t, ["--auth.token", "console-test-token"]);
    const { page } = await open(t, new URL("/console/", platform.console).href, { allowed: /40[01]/ });
    await page.getByLabel("Token", { exact: true }).fill("console-test-token");
    await page.keyboard.press("Enter");
    await page.locator("[data-connection=live]").waitFor();
    await page.locator("#query").fill("select 1 as a,\n  nowhere + 1");
    await page.keyboard.press("Control+Enter");
    await page.getByText(/nowhere/).first().waitFor(); // prettier-ignore
    await page.getByRole("button", { name: "Go to line 2, column 3" }).click();
    const picked = await page.locator("#query").evaluate((area: HTMLTextAreaElement) => {
      return area.value.slice(area.selectionStart, area.selectionStart + 7);
    });
    assert.equal(picked, "nowhere");
  },
);
