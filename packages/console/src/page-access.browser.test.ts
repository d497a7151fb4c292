// The page for everybody: themes, keyboard, widths, names, first steps.
import assert from "node:assert/strict";
import { test } from "node:test";
import { busySnapshot, emptySnapshot, failingSnapshot } from "./fake-feed.ts";
import { fakeServer, focused, hasSidewaysScroll, skip, until, useBrowser } from "./browser-harness.ts";

const open = useBrowser();

const busyBacklog = () => {
  const nowMs = Date.now();
  return Array.from({ length: 320 }, (_, i) => busySnapshot(80 + i, nowMs - (319 - i) * 1000));
};

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
  await dialog.getByLabel("Use these keys").uncheck();
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "hidden" });
  await page.keyboard.press("/");
  assert.ok(!(await focused(page)).startsWith("textarea"), "switched off");
  await page.getByRole("button", { name: "Keyboard shortcuts" }).click();
  await dialog.getByLabel("Use these keys").check();
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
  ["failing", (n: number, atMs: number) => failingSnapshot(n, atMs, [`log: ${"unbreakable".repeat(30)}`])],
] as const) {
  test(
    `page: ${name}, at any width -> nothing wider than the window, everything named`,
    { skip },
    async (t) => {
      const { server, url } = await fakeServer(t);
      server.backlog = () => [make(9, Date.now() - 1000), make(10, Date.now())];
      const { page, checkClean } = await open(t, url);
      await page.locator("[data-readiness]:not([data-readiness=unknown])").waitFor();
      for (const width of [1280, 1024, 768, 390, 360, 320]) {
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
