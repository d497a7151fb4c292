// README's first command on a real data directory: the demo's records are replayed in two halves, with a restart
// in between, and the table is compared with values computed straight from the data file.

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import test, { after } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const ROWS = 20_000;
const READY_MS = 60_000;
const STOP_MS = 30_000;

interface Flight {
  readonly delay: number;
  readonly distance: number;
  readonly origin: string;
}

const folder = mkdtempSync(join(tmpdir(), "millrace-start-"));
const data = join(folder, "data");
const children = new Set<ChildProcess>();
after(() => {
  for (const child of children) if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
});

/** `npm start -- ARGS` in a process group of its own, which a shell would give it too. */
function npmStart(args: readonly string[]): { child: ChildProcess; ended: Promise<Ended> } {
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const all = ["start", "--", ...args, "--data", data, "--ports", "free"];
  const child = spawn("npm", all, { cwd: ROOT, env, detached: true, stdio: ["ignore", "pipe", "pipe"] });
  children.add(child);
  let stdout = "";
  let stderr = "";
  child.stdout?.setEncoding("utf8").on("data", (chunk: string) => (stdout += chunk));
  child.stderr?.setEncoding("utf8").on("data", (chunk: string) => (stderr += chunk));
  const ended = new Promise<Ended>((resolve) => {
    child.once("close", (code) => {
      children.delete(child);
      resolve({ code, stdout, stderr });
    });
  });
  return { child, ended };
}

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The summary that a run with `--exit` prints as the last line of stdout. */
async function replay(rows: number): Promise<Record<string, number>> {
  const { code, stdout, stderr } = await npmStart(["--exit", "--rows", String(rows)]).ended;
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout.trimEnd().split("\n").at(-1) ?? "") as Record<string, number>;
}

async function query(sql: string): Promise<Record<string, unknown>[]> {
  const { warehouse } = JSON.parse(readFileSync(join(data, "endpoints.json"), "utf8")) as {
    warehouse: string;
  };
  const response = await fetch(`${warehouse}/sql`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ query: sql }),
  });
  const text = await response.text();
  assert.equal(response.status, 200, text);
  return (JSON.parse(text) as { rows: Record<string, unknown>[] }).rows;
}

test("npm start -- --exit: half of the records -> each is a row, and the last line says so", async () => {
  const summary = await replay(ROWS / 2);
  assert.equal(summary["accepted"], ROWS / 2);
  assert.equal(summary["rows"], ROWS / 2);
  assert.ok((summary["seconds"] ?? 0) > 0 && (summary["recordsPerSecond"] ?? 0) > 0);
});

test("npm start -- --exit: the same data directory again -> goes on where it stopped", async () => {
  assert.equal((await replay(ROWS))["rows"], ROWS);
});

test("npm start: the table has each record of the data file once; SIGTERM to the group -> 0", async () => {
  rmSync(join(data, "endpoints.json"), { force: true }); // not to take the last run's for this one's
  const { child, ended } = npmStart(["--no-demo"]);
  for (let waitedMs = 0; !existsSync(join(data, "endpoints.json")); waitedMs += 100) {
    assert.ok(waitedMs < READY_MS && child.exitCode === null, `not ready after ${waitedMs} ms`);
    await sleep(100);
  }

  const resolver = createRequire(join(ROOT, "packages", "server", "package.json"));
  const file = join(dirname(dirname(resolver.resolve("vega-datasets"))), "data", "flights-20k.json");
  const flights = (JSON.parse(readFileSync(file, "utf8")) as Flight[]).slice(0, ROWS);
  const sum = (of: (flight: Flight) => number): number =>
    flights.reduce((total, flight) => total + of(flight), 0);
  const [totals] = await query(
    `select count(*) as n, count(distinct "row") as numbers, sum(cast(delay as bigint))::bigint as delay,
      sum(cast(distance as bigint))::bigint as distance from main.flights`,
  );
  assert.deepEqual(totals, {
    n: ROWS,
    numbers: ROWS,
    delay: sum(({ delay }) => delay),
    distance: sum(({ distance }) => distance),
  });
  const origins = new Map<string, number>();
  for (const { origin } of flights) origins.set(origin, (origins.get(origin) ?? 0) + 1);
  const byOrigin = await query("select origin, count(*) as n from main.flights group by origin");
  assert.deepEqual(new Map(byOrigin.map(({ origin, n }) => [origin, n])), origins);

  assert.ok(child.pid !== undefined);
  process.kill(-child.pid, "SIGTERM");
  const stopped = await Promise.race([ended, sleep(STOP_MS, undefined)]);
  assert.ok(stopped !== undefined, `still running ${STOP_MS / 1000} s after SIGTERM`);
  assert.equal(stopped.code, 0, stopped.stderr);
});
