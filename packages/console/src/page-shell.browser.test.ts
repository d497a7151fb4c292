// The page around its rooms: connection, token, readiness, themes, keyboard, sizes.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { busySnapshot, emptySnapshot, failingSnapshot } from "./fake-feed.ts";
import {
  fakeServer,
  focused,
  hasSidewaysScroll,
  shownNumber,
  skip,
  until,
  useBrowser,
} from "./browser-harness.ts";
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

test("page: dark and light differ, the toggle is remembered, the system is followed", { skip }, async (t) => {
  const { server, url } = await fakeServer(t);
  server.backlog = busyBacklog;
  const { page, checkClean } = await open(t, url, { colorScheme: "dark" });
  const theme = () => page.evaluate(() => document.documentElement.dataset["theme"]);
  const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  await page.locator("[data-sink=flights]").waitFor();
  const [dark, darkPicture] = [await background(), await page.screenshot()];
  assert.equal(await theme(), "dark");
  await page.getByRole("button", { name: "Use the light theme" }).press("Enter");
  assert.equal(await theme(), "light");
  assert.notEqual(await background(), dark);
  assert.ok(!darkPicture.equals(await page.screenshot()));
  await page.reload();
  assert.equal(await theme(), "light", "remembered");
  await page.getByRole("button", { name: "Use the dark theme" }).click();
  await page.emulateMedia({ colorScheme: "light" });
  await until("what the system wants anyway is not remembered", async () => (await theme()) === "light");
  checkClean();
});

test("page: usable with the keyboard alone", { skip }, async (t) => {
  const { server, url } = await fakeServer(t);
  server.backlog = busyBacklog;
  const { page, checkClean } = await open(t, url);
  await page.locator("[data-sink=flights]").waitFor();
  await page.keyboard.press("Tab");
  assert.equal(await focused(page), "a Skip to content");
  await page.keyboard.press("Enter");
  await until("the skip link leads to the overview", async () =>
    (await focused(page)).startsWith("section#overview"),
  );

  await page.keyboard.press("?");
  const dialog = page.getByRole("dialog", { name: "Keyboard" });
  await dialog.getByText("Write a query").waitFor();
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "hidden" });

  for (const [keys, expected] of [
    [["g", "s"], "section#sources"],
    [["g", "o"], "section#overview"],
    [["g", "j"], "select#tail-partition"],
  ] as const) {
    for (const key of keys) await page.keyboard.press(key);
    await until(`${keys.join(" ")} -> ${expected}`, async () => (await focused(page)).startsWith(expected));
    await page.evaluate(() => (document.activeElement as HTMLElement).blur());
  }
  await page.keyboard.press("/");
  await until("/ -> the query", async () => (await focused(page)).startsWith("textarea#query"));
  await page.keyboard.type("g/?");
  assert.equal(await page.locator("#query").inputValue(), "g/?", "in a field they are text");

  await page.evaluate(() => (document.activeElement as HTMLElement).blur());
  const stops = await page
    .locator("button:not(:disabled), a, input, select, textarea, [tabindex='0']")
    .count();
  const seen = new Set<string>();
  for (let i = 0; i < stops + 5; i += 1) {
    await page.keyboard.press("Tab");
    const name = await focused(page);
    if (name === "body") continue; // the browser's own bar, before it begins again
    seen.add(name);
    const outline = await page.evaluate(() => getComputedStyle(document.activeElement!).outlineStyle);
    assert.notEqual(outline, "none", `${name} shows that it has the focus`);
  }
  for (const wanted of [
    "a Overview",
    "button Files of sink Flights",
    "textarea#query",
    "select#tail-partition",
  ]) {
    assert.ok([...seen].some((name) => name.startsWith(wanted)), `Tab reaches ${wanted}`); // prettier-ignore
  }
  checkClean();
});

for (const [name, make] of [
  ["busy", busySnapshot],
  ["empty", (_: number, atMs: number) => emptySnapshot(atMs)],
  ["failing", (n: number, atMs: number) => failingSnapshot(n, atMs, ["log: no space left on device"])],
] as const) {
  test(
    `page: ${name}, at any width -> nothing wider than the window, everything named`,
    { skip },
    async (t) => {
      const { server, url } = await fakeServer(t);
      server.backlog = () => [make(9, Date.now() - 1000), make(10, Date.now())];
      const { page, checkClean } = await open(t, url);
      await page.locator("[data-readiness]:not([data-readiness=unknown])").waitFor();
      for (const width of [1280, 1024, 768, 390, 320]) {
        await page.setViewportSize({ width, height: 844 });
        await until(`no sideways scroll at ${width}`, async () => !(await hasSidewaysScroll(page)));
      }
      const nameless = await page.evaluate(() =>
        [...document.querySelectorAll<HTMLElement>("button, a, input, select, textarea, [role], dialog")]
          .filter((element) => {
            const label = (element as HTMLInputElement).labels?.[0]?.textContent ?? "";
            const by =
              document.getElementById(element.getAttribute("aria-labelledby") ?? "")?.textContent ?? "";
            const name =
              (element.getAttribute("aria-label") ?? "") + label + by + (element.textContent ?? "");
            return name.trim() === "" && element.getAttribute("role") !== "status";
          })
          .map((element) => element.outerHTML.slice(0, 120)),
      );
      assert.deepEqual(nameless, []);
      checkClean();
    },
  );
}

test("page: empty -> tells a newcomer what to do; names are text, never markup", { skip }, async (t) => {
  const { server, url } = await fakeServer(t);
  server.backlog = () => [emptySnapshot(Date.now())];
  const { page, checkClean } = await open(t, url);
  const empty = page.locator("[data-empty=sources]");
  await empty.getByText(`curl -s '${new URL("/v1/", url).href}branches/default/sources'`).waitFor();
  const base = busySnapshot(10, Date.now());
  const name = "<img src=/nowhere onerror=alert(1)>";
  server.sendSnapshot({ ...base, sources: base.sources.map((source) => ({ ...source, name })) });
  await page.getByRole("heading", { name }).first().waitFor();
  assert.equal(await page.locator("main img").count(), 0);
  checkClean();
});

test("page: small enough to load at once", () => {
  const sizes = readdirSync(new URL("assets/", siteUrl)).map((name) => {
    return gzipSync(readFileSync(new URL(`assets/${name}`, siteUrl))).length;
  });
  const total = sizes.reduce((sum, size) => sum + size, 0);
  assert.ok(total > 10_000 && total < 80_000, `${total} bytes, compressed`);
});
