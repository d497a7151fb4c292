// The journal tail in a browser, against scripted content.
import assert from "node:assert/strict";
import { test } from "node:test";
import { busySnapshot } from "./fake-feed.ts";
import { fakeServer, skip, until, useBrowser } from "./browser-harness.ts";

const open = useBrowser();

const HEAD = "MF1 0123456789abcdef 1 3 1763710000000 1 6 9ab3f01c";

test(
  "tail: a partition picked and followed -> frames with offsets, live; pause and resume",
  { skip },
  async (t) => {
    const { server, url } = await fakeServer(t);
    server.backlog = () => [busySnapshot(10, Date.now())];
    const frame = `${HEAD}\n6\n"abc"\n`;
    const asked: string[] = [];
    server.tail = (journal) => {
      asked.push(journal);
      return [{ event: "content", data: { offset: 1000, text: frame } }];
    };
    const { page, checkClean } = await open(t, url);
    await page.getByRole("button", { name: "Tail stream/1/flights/part-001" }).click();
    const lines = page.getByRole("log").locator("li");
    await until("three lines", async () => (await lines.count()) === 3);
    assert.deepEqual(asked, ["stream/1/flights/part-001"]);
    assert.equal(await page.locator("#tail-partition").inputValue(), "stream/1/flights/part-001");
    assert.deepEqual(await lines.locator(".offset").allInnerTexts(), ["1,000", "1,052", "1,054"]);
    assert.deepEqual(await lines.locator(".text").allInnerTexts(), [HEAD, "6", '"abc"']);
    assert.equal(await page.locator("[data-tail-head]").innerText(), "1,060");
    assert.match(page.url(), /#journal\?name=stream\/1\/flights\/part-001$/);

    await page.getByRole("button", { name: "Pause" }).click();
    server.sendTail(1060, '"while paused"\n"again"\n');
    await page.getByRole("button", { name: "Resume (2 new)" }).waitFor();
    assert.equal(await lines.count(), 3);
    await page.getByRole("button", { name: "Resume (2 new)" }).click();
    await page.getByText('"while paused"').waitFor();
    checkClean();
  },
);

test("tail: a torrent -> the page stays small and shows the newest", { skip }, async (t) => {
  const { server, url } = await fakeServer(t);
  server.backlog = () => [busySnapshot(10, Date.now())];
  const { page, checkClean } = await open(t, `${url}#journal?name=examples/foobar`);
  await page.getByRole("button", { name: "Stop" }).waitFor();
  await until("it is followed", () => server.requests.includes("/console/api/tail"));
  let offset = 0;
  for (let i = 0; i < 20_000; i += 100) {
    const text = Array.from({ length: 100 }, (_, k) => `line ${i + k}\n`).join("");
    server.sendTail(offset, text);
    offset += text.length;
  }
  server.sendTail(offset, "x".repeat(100_000));
  const log = page.getByRole("log");
  await log.getByText("line 19999").waitFor();
  await log.getByText("+96,000 characters").waitFor();
  assert.equal(await log.locator("li").count(), 500);
  const fromEnd = () => log.evaluate((list) => list.scrollHeight - list.clientHeight - list.scrollTop);
  await until("the end is in view", async () => (await fromEnd()) < 5);

  await log.hover();
  await page.mouse.wheel(0, -600);
  await page.getByRole("button", { name: "Resume" }).waitFor();
  await page.getByRole("button", { name: "Resume" }).click();
  await until("the end is in view again", async () => (await fromEnd()) < 5);
  checkClean();
});

test(
  "tail: the stream breaks -> goes on without showing a line twice; a jump is told",
  { skip },
  async (t) => {
    const { server, url } = await fakeServer(t);
    server.backlog = () => [busySnapshot(10, Date.now())];
    server.tail = () => [{ event: "content", data: { offset: 0, text: "one\ntwo\n" } }];
    const { page } = await open(t, `${url}#journal?name=examples/foobar`, { allowed: /ERR_/ });
    const texts = page.getByRole("log").locator(".text");
    await until("two lines", async () => (await texts.count()) === 2);
    server.tail = () => [
      { event: "content", data: { offset: 4, text: "two\nthree\n" } },
      { event: "content", data: { offset: 5000, text: "four\n" } },
    ];
    server.breakStreams();
    await page.getByText("four").waitFor();
    assert.deepEqual(await texts.allInnerTexts(), ["one", "two", "three", "\u2026four"]);
    await page.getByText(/4\.9\sKiB skipped/).waitFor();
  },
);

test("tail: a journal that does not exist -> says so and stops", { skip }, async (t) => {
  const { server, url } = await fakeServer(t);
  server.backlog = () => [busySnapshot(10, Date.now())];
  server.tail = () => [{ event: "failed", data: { message: "JOURNAL_NOT_FOUND: no such journal" } }];
  const { page, checkClean } = await open(t, url);
  await page.locator("[data-sink=flights]").waitFor();
  await page.locator("#tail-partition").selectOption({ label: "Another journal" });
  await page.locator("#tail-journal").fill("no/such");
  await page.keyboard.press("Enter");
  await page.getByRole("alert").getByText("no such journal").waitFor();
  await page.getByRole("button", { name: "Follow" }).waitFor();
  assert.equal(await page.getByRole("button", { name: "Stop" }).count(), 0);
  checkClean();
});
