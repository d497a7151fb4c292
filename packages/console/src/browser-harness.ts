// Headless Chromium for tests of the page: every page notes what it must not do, namely ask another origin for
// anything, log an error, or throw.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { after, before, type TestContext } from "node:test";
import { chromium, type Browser, type Page } from "playwright-core";
import { FakeServer } from "./fake-server.ts";

const CHROMIUM = "/usr/bin/chromium";

/** For `test(name, { skip }, …)`. */
export const skip = existsSync(CHROMIUM) ? false : "chromium is missing; as root: apt-get install chromium";

const ARGS = [
  "--no-sandbox",
  "--disable-quic",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--no-first-run",
];

export interface PageOptions {
  readonly width?: number;
  readonly height?: number;
  readonly colorScheme?: "dark" | "light";
  /** Errors in the browser's log that the test provokes, such as a refused request. */
  readonly allowed?: RegExp;
}

export interface Opened {
  readonly page: Page;
  /** Fails when the page did what no page may do. */
  readonly checkClean: () => void;
}

/** Opens pages in one browser that lives as long as the test file. */
export function useBrowser(): (t: TestContext, url: string, options?: PageOptions) => Promise<Opened> {
  let browser: Browser | undefined;
  before(async () => {
    if (skip === false) browser = await chromium.launch({ executablePath: CHROMIUM, args: ARGS });
  });
  after(async () => {
    await browser?.close();
  });
  return async (t, url, options = {}) => {
    assert.ok(browser !== undefined);
    const { width = 1280, height = 900, colorScheme = "light" } = options;
    const context = await browser.newContext({
      viewport: { width, height },
      colorScheme,
      acceptDownloads: true,
    });
    t.after(async () => {
      await context.close();
    });
    context.setDefaultTimeout(15_000);
    const page = await context.newPage();
    const problems: string[] = [];
    const { origin } = new URL(url);
    page.on("pageerror", (error) => problems.push(`thrown: ${error.message}`));
    page.on("console", (message) => {
      const text = message.text();
      const isBad = message.type() === "error" || message.type() === "warning";
      if (isBad && options.allowed?.test(text) !== true) problems.push(`${message.type()}: ${text}`);
    });
    page.on("request", (request) => {
      const target = new URL(request.url());
      if (target.origin !== origin && target.protocol !== "data:" && target.protocol !== "blob:") {
        problems.push(`asked another origin: ${request.url()}`);
      }
    });
    await page.goto(url);
    return { page, checkClean: () => assert.deepEqual(problems, []) };
  };
}

/** A fake server that ends with the test, and the page's address on it. */
export async function fakeServer(t: TestContext): Promise<{ server: FakeServer; url: string }> {
  const server = new FakeServer();
  const origin = await server.listen();
  t.after(async () => {
    await server.close();
  });
  return { server, url: `${origin}/console/` };
}

/** Asks until it is so, for at most `limitMs`. @param show what is there instead, for the message */
export async function until(
  claim: string,
  holds: () => boolean | Promise<boolean>,
  { limitMs = 15_000, show = () => "" }: { limitMs?: number; show?: () => unknown } = {},
): Promise<void> {
  const endMs = Date.now() + limitMs;
  while (!(await holds())) {
    if (Date.now() > endMs) assert.fail(`not within ${limitMs} ms: ${claim} ${String(await show())}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

/** The number that an element shows, separators removed. */
export async function shownNumber(page: Page, selector: string): Promise<number> {
  const text = await page.locator(selector).first().innerText();
  return Number(text.replaceAll(",", "").trim());
}

/** A name of the element that has the focus, for messages and comparisons. */
export function focused(page: Page): Promise<string> {
  return page.evaluate(() => {
    const element = document.activeElement;
    if (element === null || element === document.body) return "body";
    const name = element.getAttribute("aria-label") ?? element.textContent?.trim().slice(0, 40);
    return `${element.tagName.toLowerCase()}${element.id === "" ? "" : `#${element.id}`} ${name ?? ""}`.trim();
  });
}

/** Whether the page, or what is open above it, is wider than what is seen of it. */
export function hasSidewaysScroll(page: Page): Promise<boolean> {
  return page.evaluate(() =>
    [document.documentElement, ...document.querySelectorAll("dialog[open] .body")].some(
      (element) => element.scrollWidth > element.clientWidth,
    ),
  );
}
