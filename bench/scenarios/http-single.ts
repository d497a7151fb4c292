// Single-record POSTs of 300 B over 64 kept connections, acknowledged after fdatasync, against bare node:http that
// parses the same JSON: requests per server CPU second of all processes, and the 99th percentile of the latency.
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { createStream, scalar, startPlatform, waitForRows, type BenchPlatform } from "../platform.ts";
import { cpuSeconds, end, start, type Started } from "../processes.ts";
import type { RunOptions, Scenario, ScenarioResult } from "../scenario.ts";
import { spread, type Spread } from "../statistics.ts";
import { postLoad, sampleRecord, type WrkResult } from "../wrk.ts";

const CONNECTIONS = 64;
const BODY = sampleRecord(300);
const BARE_SERVER = fileURLToPath(new URL("../bare-http-server.mjs", import.meta.url));

interface Sample {
  readonly perCpuSecond: number;
  readonly perSecond: number;
  readonly p99Ms: number;
}

/** Conditions that no run reaches, of files too since their rotation ends slices: the door and the log alone. */
export const NEVER_UPLOAD = {
  "storage.level.target.import.trigger.count": 10_000_000,
  "storage.level.target.import.trigger.size": "500MB",
  "storage.level.target.import.trigger.interval": "24h",
  "storage.level.staging.upload.trigger.count": 10_000_000,
  "storage.level.staging.upload.trigger.size": "50MB",
  "storage.level.staging.upload.trigger.interval": "30m",
};

export const httpToRow: Scenario = {
  name: "http-to-row",
  family: "platform",
  title:
    "POST of one 300 B record, 64 connections, synced, until the row: requests per CPU second against bare `node:http`",
  atLeast: "0.5, p99 under 4x",
  aim: "1.2",
  run: (options) => run(options, {}, true),
};

export const httpToLog: Scenario = {
  name: "http-to-log",
  family: "platform",
  title: "the same to the log alone (upload conditions not reached)",
  atLeast: "0.7",
  aim: "1.3",
  run: (options) => run(options, NEVER_UPLOAD, false),
};

async function run(
  options: RunOptions,
  settings: Readonly<Record<string, string | number>>,
  untilRows: boolean,
): Promise<ScenarioResult> {
  const seconds = options.quick ? 3 : 8;
  const platform = await startPlatform();
  const bare = start(process.execPath, [BARE_SERVER]);
  try {
    const url = await createStream(platform, "bench", { settings });
    const bareUrl = `http://127.0.0.1:${await printedPort(bare)}/`;
    await postLoad(url, BODY, { connections: CONNECTIONS, seconds: 2 });
    await postLoad(bareUrl, BODY, { connections: CONNECTIONS, seconds: 2 });
    const ours: Sample[] = [];
    const theirs: Sample[] = [];
    for (let round = 0; round < options.rounds; round++) {
      ours.push(await measureOurs(platform, url, seconds, untilRows));
      theirs.push(await measure(bare.pid, () => load(bareUrl, seconds)));
      options.log(`round ${round + 1}: ${describe(ours.at(-1)!)}; bare ${describe(theirs.at(-1)!)}`);
    }
    return summarise(ours, theirs);
  } finally {
    await end(bare, "SIGKILL");
    await platform.stop();
  }
}

/** The port that the baseline says it listens on. */
async function printedPort(server: Started): Promise<number> {
  for (let waitedMs = 0; waitedMs < 10_000; waitedMs += 20) {
    const port = Number.parseInt(server.stderr(), 10);
    if (port > 0) return port;
    await sleep(20);
  }
  throw new Error(`the baseline does not say its port: ${server.stderr()}`);
}

async function load(url: string, seconds: number): Promise<WrkResult> {
  const result = await postLoad(url, BODY, { connections: CONNECTIONS, seconds });
  if (result.failures > 0) throw new Error(`${result.failures} requests failed`);
  return result;
}

async function measure(pid: number, work: () => Promise<WrkResult>): Promise<Sample> {
  const before = cpuSeconds(pid);
  const result = await work();
  const used = cpuSeconds(pid) - before;
  return { perCpuSecond: result.requests / used, perSecond: result.requestsPerSecond, p99Ms: result.p99Ms };
}

/** With `untilRows` the CPU of making the rows visible counts too. */
async function measureOurs(
  platform: BenchPlatform,
  url: string,
  seconds: number,
  untilRows: boolean,
): Promise<Sample> {
  if (!untilRows) {
    await sleep(200);
    return measure(platform.pid, () => load(url, seconds));
  }
  const rowsBefore = await waitForQuiet(platform);
  return measure(platform.pid, async () => {
    const result = await load(url, seconds);
    await waitForRows(platform, "main.bench", rowsBefore + result.requests, 60_000);
    return result;
  });
}

async function waitForQuiet(platform: BenchPlatform): Promise<number> {
  for (let rows = -1; ;) {
    const now = await scalar(platform, "select count(*) from main.bench");
    if (now === rows) return now;
    rows = now;
    await sleep(700);
  }
}

function summarise(ours: readonly Sample[], theirs: readonly Sample[]): ScenarioResult {
  const against = (field: keyof Sample): Spread =>
    spread(ours.map((sample, i) => sample[field] / (theirs.at(i)?.[field] ?? Number.NaN)));
  const ratio = against("perCpuSecond");
  const latencyRatio = against("p99Ms");
  return {
    figure: `${ratio.median.toFixed(2)}, p99 ${latencyRatio.median.toFixed(1)}x`,
    measured: {
      ratio,
      latencyRatio,
      oursPerCpuSecond: spread(ours.map((sample) => sample.perCpuSecond)),
      oursPerSecond: spread(ours.map((sample) => sample.perSecond)),
      oursP99Ms: spread(ours.map((sample) => sample.p99Ms)),
      barePerCpuSecond: spread(theirs.map((sample) => sample.perCpuSecond)),
      barePerSecond: spread(theirs.map((sample) => sample.perSecond)),
      bareP99Ms: spread(theirs.map((sample) => sample.p99Ms)),
    },
  };
}

function describe(sample: Sample): string {
  const { perCpuSecond, perSecond, p99Ms } = sample;
  return `${perCpuSecond.toFixed(0)}/CPU s, ${perSecond.toFixed(0)}/s, p99 ${p99Ms.toFixed(1)} ms`;
}
