// The SQL box in a browser, against scripted answers.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { busySnapshot } from "./fake-feed.ts";
import { fakeServer, focused, skip, until, useBrowser } from "./browser-harness.ts";

const open = useBrowser();

const columns = [
  { name: "origin", type: "VARCHAR" },
  { name: "n", type: "BIGINT" },
];

test("sql: Ctrl+Enter -> a table; numbers to the right, NULL is not the text NULL", { skip }, async (t) => {
  const { server, url } = await fakeServer(t);
  server.backlog = () => [busySnapshot(10, Date.now())];
  const rows = [
    { origin: "SAT", n: "9007199254740993" },
    { origin: null, n: 12 },
    { origin: "NULL", n: null },
    { origin: "<b>x</b>", n: 0 },
  ];
  const asked: string[] = [];
  server.sql = (query) => {
    asked.push(query);
    return { status: 200, body: { columns, rows, rowCount: 4, elapsedMs: 7 } };
  };
  const { page, checkClean } = await open(t, url);
  await page.getByRole("button", { name: "main.flights", exact: true }).click();
  assert.equal(await page.locator("#query").inputValue(), "select * from main.flights limit 100");
  await page.locator("#query").fill("select origin, n\nfrom t");
  await page.keyboard.press("Control+Enter");
  const table = page.locator("[data-sql-result]");
  await table.waitFor();
  assert.deepEqual(asked, ["select origin, n\nfrom t"], "the query goes as it is written");
  const cells = await table.locator("tbody tr").evaluateAll((list) =>
    list.map((row) =>
      [...row.querySelectorAll("td")].map((cell) => {
        const style = getComputedStyle(cell);
        return `${cell.textContent} ${style.textAlign} ${style.fontStyle}`;
      }),
    ),
  );
  assert.deepEqual(cells, [
    ["SAT start normal", "9007199254740993 right normal"],
    ["NULL start italic", "12 right normal"],
    ["NULL start normal", "NULL right italic"],
    ["<b>x</b> start normal", "0 right normal"],
  ]);
  assert.equal(await page.locator("[data-sql-rows]").innerText(), "4 rows");
  assert.match(await page.locator("[data-sql-status]").innerText(), /in 7\sms/);

  const [download] = await Promise.all([
    page.waitForEvent("download"),
    page.getByRole("button", { name: "Download CSV" }).click(),
  ]);
  assert.equal(download.suggestedFilename(), "millrace-result.csv");
  assert.equal(
    readFileSync(await download.path(), "utf8"),
    "origin,n\r\nSAT,9007199254740993\r\n,12\r\nNULL,\r\n<b>x</b>,0\r\n",
  );
  checkClean();
});

test("sql: many rows -> a page of them, the header stays", { skip }, async (t) => {
  const { server, url } = await fakeServer(t);
  server.backlog = () => [busySnapshot(10, Date.now())];
  const rows = Array.from({ length: 5000 }, (_, n) => ({ origin: `row ${n}`, n }));
  server.sql = () => ({ status: 200, body: { columns, rows, rowCount: 5000, elapsedMs: 7 } });
  const { page, checkClean } = await open(t, url);
  await page.locator("#query").fill("select 1");
  await page.keyboard.press("Control+Enter");
  const result = page.getByRole("region", { name: "Result of the query" });
  await result.waitFor();
  assert.equal(await result.locator("tbody tr").count(), 200);
  await page.getByText("The first 200 of 5,000 rows are shown.").waitFor();
  assert.equal(await page.locator("[data-sql-rows]").innerText(), "5,000 rows");
  await result.evaluate((element) => element.scrollTo(0, element.scrollHeight));
  const { top, header } = await result.evaluate((element) => ({
    top: element.getBoundingClientRect().top,
    header: element.querySelector("th")!.getBoundingClientRect().top,
  }));
  assert.ok(Math.abs(top - header) <= 2, `the header is at ${header}, the table at ${top}`);
  await page.getByRole("button", { name: "Show 1,000 more" }).click();
  assert.equal(await result.locator("tbody tr").count(), 1200);
  checkClean();
});

test("sql: an error -> its message, and a caret below its place", { skip }, async (t) => {
  const { server, url } = await fakeServer(t);
  server.backlog = () => [busySnapshot(10, Date.now())];
  const query = "select count(*) as n,\n\torign\nfrom main.flights";
  const message = 'Binder Error: Referenced column "orign" not found';
  server.sql = () => ({ status: 400, body: { error: "INVALID_ARGUMENT", message, position: 24 } });
  const { page } = await open(t, url, { allowed: /400/ });
  await page.locator("#query").fill(query);
  await page.keyboard.press("Control+Enter");
  await page.getByText(message).first().waitFor();
  const caret = await page.locator("[data-caret]").evaluate((pre) => {
    const walker = document.createTreeWalker(pre, NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node !== null; node = walker.nextNode()) {
      const at = node.textContent?.indexOf("orign") ?? -1;
      if (at < 0) continue;
      const range = document.createRange();
      range.setStart(node, at);
      range.setEnd(node, at + 1);
      return [range.getBoundingClientRect().left, pre.querySelector(".caret")!.getBoundingClientRect().left];
    }
    return [];
  });
  assert.ok(
    caret.length === 2 && Math.abs(caret[0]! - caret[1]!) < 1,
    `the caret stands at ${caret.join(" and ")}`,
  );
  await page.getByRole("button", { name: "Go to line 2, column 2" }).click();
  assert.match(await focused(page), /^textarea#query/);
  const selected = await page.locator("#query").evaluate((area: HTMLTextAreaElement) => area.selectionStart);
  assert.equal(selected, 23);
  assert.equal(await page.locator("#query").getAttribute("aria-invalid"), "true");
});

test("sql: up and down walk through earlier queries, over a reload too", { skip }, async (t) => {
  const { server, url } = await fakeServer(t);
  server.backlog = () => [busySnapshot(10, Date.now())];
  server.sql = () => ({ status: 200, body: { columns, rows: [], rowCount: 0, elapsedMs: 1 } });
  const { page, checkClean } = await open(t, url);
  const area = page.locator("#query");
  for (const query of ["select 1", "select\n2", "select 3"]) {
    await area.fill(query);
    await area.press("Control+Enter");
    await page.locator("[data-sql-rows]").waitFor();
    await page.getByRole("button", { name: "Run" }).waitFor();
  }
  await page.reload();
  await area.fill("draft");
  const shown: string[] = [];
  for (const key of [
    "ArrowUp",
    "ArrowUp",
    "ArrowUp",
    "ArrowUp",
    "ArrowDown",
    "ArrowDown",
    "ArrowDown",
    "ArrowDown",
  ]) {
    await area.press(key);
    shown.push(await area.inputValue());
  }
  const [one, two, three] = ["select 1", "select\n2", "select 3"];
  // Down from "select 1" puts the caret at the end; within "select\n2" the caret is in the last line.
  assert.deepEqual(shown, [three, two, one, one, two, three, "draft", "draft"]);
  checkClean();
});

test("sql: a query that takes long can be cancelled", { skip }, async (t) => {
  const { server, url } = await fakeServer(t);
  server.backlog = () => [busySnapshot(10, Date.now())];
  server.sql = () => new Promise(() => undefined);
  const { page } = await open(t, url, { allowed: /ERR_ABORTED/ });
  await page.locator("#query").fill("select 1");
  await page.keyboard.press("Control+Enter");
  await page.getByRole("button", { name: "Cancel" }).waitFor();
  await page.keyboard.press("Escape");
  await page.getByText("cancelled").first().waitFor();
  await until("Run is back", () => page.getByRole("button", { name: "Run" }).isEnabled());
});

test("sql: a link brings a query, but does not run it", { skip }, async (t) => {
  const { server, url } = await fakeServer(t);
  server.backlog = () => [busySnapshot(10, Date.now())];
  const { page, checkClean } = await open(t, `${url}#sql?query=select+1`);
  await page.locator("[data-sink=flights]").waitFor();
  assert.equal(await page.locator("#query").inputValue(), "select 1");
  assert.ok(!server.requests.includes("/console/api/sql"));
  checkClean();
});
