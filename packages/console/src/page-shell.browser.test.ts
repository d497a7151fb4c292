// The page around its rooms: numbers, charts, connection, token, readiness.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { busySnapshot, failingSnapshot } from "./fake-feed.ts";
import { fakeServer, shownNumber, skip, until, useBrowser } from "./browser-harness.ts";
import { siteUrl } from "./index.ts";

const open = useBrowser();

const busyBacklog = () => {
  const nowMs = Date.now();
  return Array.from({ length: 320 }, (_, i) => busySnapshot(80 + i, nowMs - (319 - i) * 1000));
};

test("page: the snapshot's numbers are the numbers on it", { skip }, async (t) => {
  const { server, url } = await fakeServer(t);
  const snapshot = busySnapshot(399, Date.now());
  server.backlog = () => [busySnapshot(398, snapshot.atMs - 1000), snapshot];
  const { page, checkClean } = await open(t, url);
  await page.locator("[data-sink=flights]").waitFor();
  const sinks = snapshot.sources.flatMap((source) => source.sinks);
  const sum = (of: (sink: (typeof sinks)[number]) => number): number =>
    sinks.reduce((total, sink) => total + of(sink), 0);
  const accepted = sum((sink) => sink.acceptedRecords);
  const loaded = sum((sink) => sink.loadedRows);
  assert.equal(await shownNumber(page, "[data-stat=accepted]"), accepted);
  assert.equal(await shownNumber(page, "[data-stat=loaded]"), loaded);
  assert.equal(await shownNumber(page, "[data-stat=lag]"), accepted - loaded);
  assert.equal(
    await shownNumber(page, '[data-rate="records/s"]'),
    Math.round(snapshot.rates.recordsPerSecond),
  );
  for (const sink of sinks) {
    const row = `[data-sink=${sink.sinkId}]`;
    assert.equal(await shownNumber(page, `${row} [data-sink-stat=accepted]`), sink.acceptedRecords);
    assert.equal(await shownNumber(page, `${row} [data-sink-stat=loaded]`), sink.loadedRows);
    const slices = sink.files.flatMap((file) => file.slices);
    for (const state of ["writing", "closing", "uploading", "uploaded", "imported"]) {
      const expected = slices.filter((slice) => slice.state === state).length;
      assert.equal(
        await page.locator(`${row} [data-slice-state=${state}]`).count(),
        expected,
        `${row} ${state}`,
      );
    }
  }
  checkClean();
});

test("page: charts draw their series, and the arrow keys read earlier values", { skip }, async (t) => {
  const { server, url } = await fakeServer(t);
  server.backlog = busyBacklog;
  const { page, checkClean } = await open(t, url);
  await until("both charts are drawn", () =>
    page.evaluate(() => {
      const canvases = [...document.querySelectorAll("canvas")];
      const drawn = canvases.filter((canvas) => {
        const data = canvas.getContext("2d")?.getImageData(0, 0, canvas.width, canvas.height).data ?? [];
        let blue = 0;
        for (let i = 0; i < data.length; i += 4) {
          if (data[i]! < 60 && data[i + 1]! > 100 && data[i + 2]! > 150 && data[i + 3]! > 200) blue += 1;
        }
        return blue > 100;
      });
      return canvases.length === 2 && drawn.length === 2;
    }),
  );
  const chart = page.getByRole("slider", { name: /^Ingest rate/ });
  await chart.focus();
  await page.keyboard.press("Home");
  const oldest = await chart.getAttribute("aria-valuetext");
  await page.keyboard.press("ArrowRight");
  const next = await chart.getAttribute("aria-valuetext");
  assert.match(oldest ?? "", /^\d\d:\d\d:\d\d: records\/s/);
  assert.match(next ?? "", /^\d\d:\d\d:\d\d: records\/s [\d,]+, rows\/s [\d,]+$/);
  assert.notEqual(oldest, next);
  await page.keyboard.press("Escape");
  assert.equal(await chart.getAttribute("aria-valuetext"), "now");
  checkClean();
});

test(
  "page: the stream breaks -> says so, keeps the numbers, and comes back by itself",
  { skip },
  async (t) => {
    const { server, url } = await fakeServer(t);
    server.backlog = () => [busySnapshot(10, Date.now())];
    const { page } = await open(t, url, { allowed: /Failed to load resource|ERR_/ });
    const accepted = "[data-sink=flights] [data-sink-stat=accepted]";
    await page.locator(accepted).waitFor();
    const before = await shownNumber(page, accepted);
    server.isDown = true;
    server.breakStreams();
    const notice = page.locator("[data-notice=disconnected]");
    await notice.getByText("the server is shutting down").waitFor();
    await page.locator("[data-connection=waiting]").waitFor();
    assert.equal(await shownNumber(page, accepted), before);
    server.isDown = false;
    server.backlog = () => [busySnapshot(20, Date.now())];
    await page.locator("[data-connection=live]").waitFor();
    await notice.waitFor({ state: "detached" });
    await until("the new numbers", async () => (await shownNumber(page, accepted)) > before);
  },
);

test("page: a token is required -> asks, refuses a wrong one, keeps the right one", { skip }, async (t) => {
  const { server, url } = await fakeServer(t);
  server.token = "s3cret";
  server.backlog = () => [busySnapshot(10, Date.now())];
  const { page } = await open(t, url, { allowed: /401/ });
  const field = page.getByLabel("Token", { exact: true });
  await field.fill("wrong");
  await field.press("Enter");
  await page.getByText("The token was refused.").waitFor();
  await field.fill("s3cret");
  await field.press("Enter");
  await page.locator("[data-connection=live]").waitFor();
  assert.equal(await page.locator("dialog[open]").count(), 0);
  await page.reload();
  await page.locator("[data-sink=flights]").waitFor();
  assert.equal(await page.evaluate(() => localStorage.length), 0, "the token is the tab's alone");
});

test("page: not ready -> the reasons, in the title and for screen readers too", { skip }, async (t) => {
  const { server, url } = await fakeServer(t);
  server.backlog = () => [failingSnapshot(10, Date.now(), ["log: no space left", "warehouse: restarts"])];
  const { page, checkClean } = await open(t, url);
  const notice = page.locator("[data-notice=not-ready]");
  await notice.getByText("log: no space left").waitFor();
  await notice.getByText("warehouse: restarts").waitFor();
  assert.equal(await page.locator("[data-readiness]").getAttribute("data-readiness"), "not-ready");
  assert.match(await page.title(), /^Not ready/);
  await page.getByRole("status").getByText("not ready: log: no space left; warehouse: restarts").waitFor();
  await page.getByText("the staging store refuses the object").first().waitFor();
  server.sendSnapshot(busySnapshot(11, Date.now()));
  await notice.waitFor({ state: "detached" });
  assert.equal(await page.title(), "Millrace");
  checkClean();
});

test("page: one sink fails -> ready, and a warning at that sink", { skip }, async (t) => {
  const { server, url } = await fakeServer(t);
  server.backlog = () => [failingSnapshot(10, Date.now(), [])];
  const { page, checkClean } = await open(t, url);
  await page.locator("[data-readiness=ready]").getByText("Ready, 2 warnings").waitFor();
  await page
    .locator("[data-sink=flights] [data-sink-problem]")
    .getByText("import into main.flights failed")
    .waitFor();
  assert.equal(await page.locator("[data-sink=orders] [data-sink-problem]").count(), 0);
  await page.locator("[data-notice=degraded]").getByText("fragment store s3://").waitFor();
  assert.equal(await page.locator("[data-notice=not-ready]").count(), 0);
  assert.equal(await page.title(), "Millrace");
  server.sendSnapshot(busySnapshot(11, Date.now()));
  await page.locator("[data-sink-problem]").waitFor({ state: "detached" });
  checkClean();
});

test("page: small enough to load at once; what is loaded when it is needed is small too", () => {
  const page = readFileSync(new URL("index.html", siteUrl), "utf8");
  const assets = readdirSync(new URL("assets/", siteUrl)).map((name) => ({
    isAtOnce: page.includes(name),
    size: gzipSync(readFileSync(new URL(`assets/${name}`, siteUrl))).length,
  }));
  const sum = (isAtOnce: boolean): number =>
    assets.reduce((total, asset) => total + (asset.isAtOnce === isAtOnce ? asset.size : 0), 0);
  assert.ok(sum(true) > 10_000 && sum(true) < 80_000, `${sum(true)} bytes, compressed`);
  assert.ok(sum(false) < 40_000, `${sum(false)} bytes, compressed`);
});
