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
/** From an empty directory to a row that SQL sees. */
const FIRST_ROW_MS = 10_000;

interface Flight {
  readonly delay: number;
  readonly distance: number;
  readonly origin: string;
}

const folder = mkdtempSync(join(tmpdir(), "millrace-start-"));
const data = join(folder, "data");
const killed = join(folder, "killed");
const children = new Set<ChildProcess>();
after(() => {
  for (const child of children) if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
});

/** `npm start -- ARGS` in a process group of its own, which a shell would give it too. */
function npmStart(args: readonly string[], directory = data): { child: ChildProcess; ended: Promise<Ended> } {
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const all = ["start", "--", ...args, "--data", directory, "--ports", "free"];
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
async function replay(rows: number, directory = data): Promise<Record<string, number>> {
  const { code, stdout, stderr } = await npmStart(["--exit", "--rows", String(rows)], directory).ended;
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout.trimEnd().split("\n").at(-1) ?? "") as Record<string, number>;
}

async function ready(child: ChildProcess, directory: string): Promise<void> {
  for (let waitedMs = 0; !existsSync(join(directory, "endpoints.json")); waitedMs += 20) {
    assert.ok(waitedMs < READY_MS && child.exitCode === null, `not ready after ${waitedMs} ms`);
    await sleep(20);
  }
}

async function query(sql: string, directory = data): Promise<Record<string, unknown>[]> {
  const { warehouse } = JSON.parse(readFileSync(join(directory, "endpoints.json"), "utf8")) as {
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
  const summary = await replay(ROWS);
  assert.deepEqual([summary["accepted"], summary["rows"]], [ROWS / 2, ROWS]);
});

test("npm start -- --exit: when there is nothing left to replay -> sends nothing", async () => {
  const summary = await replay(ROWS);
  assert.deepEqual([summary["accepted"], summary["rows"]], [0, ROWS]);
});

test("npm start -- --exit: killed in the middle, and again -> goes on, and no record is there twice", async () => {
  const killRound = async (records: number): Promise<number> => {
    const beganMs = performance.now();
    const { child, ended } = npmStart(["--demo-rate", "5000", "--rows", String(ROWS)], killed);
    await ready(child, killed);
    for (let rows = 0; rows < records;) {
      await sleep(20);
      // The table may not be there yet.
      const [row] = await query("select count(*) as n from main.flights", killed).catch(() => []);
      rows = Number(row?.["n"] ?? 0);
    }
    const ms = performance.now() - beganMs;
    assert.ok(child.pid !== undefined);
    process.kill(-child.pid, "SIGKILL");
    await ended;
    rmSync(join(killed, "endpoints.json"));
    return ms;
  };
  const firstRowMs = await killRound(1);
  assert.ok(firstRowMs < FIRST_ROW_MS, `the first flight was a row after ${Math.round(firstRowMs)} ms`);
  await killRound(6000);
  const summary = await replay(ROWS, killed);
  assert.ok((summary["accepted"] ?? Infinity) <= ROWS - 6000, "it began anew");
  assert.equal(summary["rows"], ROWS);
  const { child, ended } = npmStart(["--no-demo"], killed);
  await ready(child, killed);
  const [counts] = await query('select count(*) as n, count(distinct "row") as d from main.flights', killed);
  assert.deepEqual(counts, { n: ROWS, d: ROWS });
  assert.ok(child.pid !== undefined);
  process.kill(child.pid, "SIGTERM");
  assert.equal((await ended).code, 0);
});

test("npm start: the table has each record of the data file once; SIGTERM to the group -> 0", async () => {
  rmSync(join(data, "endpoints.json"), { force: true }); // not to take the last run's for this one's
  const { child, ended } = npmStart(["--no-demo"]);
  await ready(child, data);

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
  const stopped = await Promise.race([ended, sleep(STOP_MS, undefined, { ref: false })]);
  assert.ok(stopped !== undefined, `still running ${STOP_MS / 1000} s after SIGTERM`);
  assert.equal(stopped.code, 0, stopped.stderr);
});
