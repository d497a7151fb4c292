// A platform under measurement: `millrace up --no-demo` on free ports and a data directory of its own.
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { end, start, type Started } from "./processes.ts";

const BIN = fileURLToPath(new URL("../packages/cli/bin/millrace.js", import.meta.url));

export interface BenchPlatform {
  readonly started: Started;
  readonly pid: number;
  readonly data: string;
  readonly endpoints: Readonly<Record<string, string>>;
  /** Milliseconds from the start of the process to readiness. */
  readonly readyMs: number;
  stop(): Promise<void>;
}

export async function startPlatform(flags: readonly string[] = []): Promise<BenchPlatform> {
  const data = mkdtempSync(join(tmpdir(), "millrace-bench-"));
  const beganMs = performance.now();
  const started = start(process.execPath, [
    BIN,
    "up",
    "--no-demo",
    "--ports",
    "free",
    "--data",
    data,
    ...flags,
  ]);
  const file = join(data, "endpoints.json");
  while (!existsSync(file)) {
    if (started.child.exitCode !== null) throw new Error(`the platform ended: ${started.stderr()}`);
    if (performance.now() - beganMs > 30_000)
      throw new Error(`the platform is not ready: ${started.stderr()}`);
    await sleep(5);
  }
  const readyMs = performance.now() - beganMs;
  const endpoints = JSON.parse(readFileSync(file, "utf8")) as Record<string, string>;
  return {
    started,
    pid: started.pid,
    data,
    endpoints,
    readyMs,
    stop: async () => {
      await end(started);
      rmSync(data, { recursive: true, force: true });
    },
  };
}

async function call(url: string, body?: unknown): Promise<unknown> {
  const init = {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  };
  const response = await fetch(url, body === undefined ? {} : init);
  if (!response.ok) throw new Error(`${url}: ${response.status} ${await response.text()}`);
  return response.json();
}

export interface BenchColumn {
  readonly type: string;
  readonly name: string;
  readonly path?: string;
  readonly rawString?: boolean;
  readonly template?: { readonly language: "jsonnet" | "jsonata"; readonly content: string };
}

/** What a typical sink maps: identity, time, one field, the body. */
export const COLUMNS: readonly BenchColumn[] = [
  { type: "uuid", name: "id" },
  { type: "datetime", name: "received_at" },
  { type: "path", name: "origin", path: "origin", rawString: true },
  { type: "body", name: "body" },
];

/** Creates source `id` with a sink of the same name into `main.<id>`. @returns the source's URL */
export async function createStream(
  platform: Pick<BenchPlatform, "endpoints">,
  id: string,
  options: {
    readonly settings?: Readonly<Record<string, string | number>>;
    readonly columns?: readonly BenchColumn[];
  } = {},
): Promise<string> {
  const { settings = {}, columns = COLUMNS } = options;
  const sources = `${platform.endpoints["api"]}/v1/branches/default/sources`;
  await finish(platform, await call(sources, { type: "http", name: id, sourceId: id }));
  const sink = {
    type: "table",
    name: id,
    sinkId: id,
    table: { type: "duckdb", tableId: `main.${id}`, mapping: { columns } },
    settings,
  };
  await finish(platform, await call(`${sources}/${id}/sinks`, sink));
  const source = (await call(`${sources}/${id}`)) as { http: { url: string } };
  return source.http.url;
}

async function finish(platform: Pick<BenchPlatform, "endpoints">, task: unknown): Promise<void> {
  let current = task as { isFinished: boolean; url: string; error?: string };
  while (!current.isFinished) {
    await sleep(20);
    const path = new URL(current.url).pathname;
    current = (await call(`${platform.endpoints["api"]}${path}`)) as typeof current;
  }
  if (current.error !== undefined) throw new Error(current.error);
}

/** One value of a query's only row. */
export async function scalar(platform: BenchPlatform, query: string): Promise<number> {
  const answer = (await call(`${platform.endpoints["warehouse"]}/sql`, { query })) as {
    rows: Record<string, unknown>[];
  };
  return Number(Object.values(answer.rows.at(0) ?? {}).at(0));
}

/** Waits until a table has `rows` rows. @returns milliseconds waited */
export async function waitForRows(
  platform: BenchPlatform,
  table: string,
  rows: number,
  limitMs: number,
): Promise<number> {
  const beganMs = performance.now();
  for (;;) {
    const count = await scalar(platform, `select count(*) from ${table}`);
    if (count >= rows) return performance.now() - beganMs;
    if (performance.now() - beganMs > limitMs)
      throw new Error(`${table} has ${count} of ${rows} rows after ${limitMs} ms`);
    await sleep(50);
  }
}
