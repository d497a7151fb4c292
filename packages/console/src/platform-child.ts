// The real platform for tests of the page: `millrace up` as a process group of its own, ended with the test.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { until } from "./browser-harness.ts";

const BIN = fileURLToPath(new URL("../../cli/bin/millrace.js", import.meta.url));

export interface Platform {
  readonly broker: string;
  readonly api: string;
  readonly console: string;
  readonly warehouse: string;
  readonly "http-source": string;
}

/** Starts an empty platform on free ports and resolves when it is ready. */
export async function startPlatform(t: TestContext, flags: readonly string[] = []): Promise<Platform> {
  const data = mkdtempSync(join(tmpdir(), "millrace-console-"));
  const args = [BIN, "up", "--no-demo", "--ports", "free", "--data", data, ...flags];
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const child = spawn(process.execPath, args, { detached: true, stdio: ["ignore", "ignore", "pipe"], env });
  const group = child.pid;
  assert.ok(group !== undefined, "the platform did not start");
  let log = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (log = (log + text).slice(-20_000)));
  const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const kill = (): void => {
    try {
      process.kill(-group, "SIGKILL");
    } catch {
      // All of them have ended.
    }
  };
  process.once("exit", kill);
  t.after(async () => {
    child.kill("SIGTERM");
    const timer = setTimeout(kill, 30_000);
    await exited;
    clearTimeout(timer);
    kill();
    process.off("exit", kill);
    rmSync(data, { recursive: true, force: true, maxRetries: 5 });
  });
  const file = join(data, "endpoints.json");
  const isReady = (): boolean => {
    assert.equal(child.exitCode, null, `the platform ended: ${log}`);
    return existsSync(file);
  };
  await until("the platform is ready", isReady, { limitMs: 60_000, show: () => log });
  return JSON.parse(readFileSync(file, "utf8")) as Platform;
}

/** First value of a query's first row, asked of the warehouse itself. */
export async function askWarehouse(platform: Platform, query: string): Promise<unknown> {
  const response = await fetch(`${platform.warehouse}/sql`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ query }),
  });
  const body = (await response.json()) as { rows?: Record<string, unknown>[] };
  return Object.values(body.rows?.[0] ?? {})[0];
}
