// What mapping costs: single-record POSTs of 300 B over 64 kept connections, acknowledged after fdatasync, into a sink
// that keeps the body as it is and has five columns with a template among them beside it, against the same into a sink
// of the body alone: rows without the body would be shorter, and mapping would seem to cost less than nothing. And
// templates by themselves, as sinks have them: slots of the scanner, rows written.
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { createStream, startPlatform, type BenchColumn } from "../platform.ts";
import { cpuSeconds, run } from "../processes.ts";
import { pairs, ratios, type RunOptions, type Scenario, type ScenarioResult } from "../scenario.ts";
import { spread } from "../statistics.ts";
import { postLoad, sampleRecord } from "../wrk.ts";
import { NEVER_UPLOAD } from "./http-single.ts";

const CONNECTIONS = 64;
const BODY = sampleRecord(300);
const benchOf = (name: string): string =>
  fileURLToPath(new URL(`../../packages/ingest/dist/${name}.bench.js`, import.meta.url));
const JSONNET_BENCH = benchOf("mapping-template");
const JSONATA_BENCH = benchOf("mapping-evaluated");

const UNMAPPED: readonly BenchColumn[] = [{ type: "body", name: "body" }];
const MAPPED: readonly BenchColumn[] = [
  ...UNMAPPED,
  { type: "uuid", name: "id" },
  { type: "datetime", name: "received_at" },
  { type: "ip", name: "ip" },
  { type: "path", name: "origin", path: "origin", rawString: true },
  {
    type: "template",
    name: "flight",
    template: { language: "jsonnet", content: "Body('origin') + '-' + Body('destination')" },
    rawString: true,
  },
];

export const mapped: readonly Scenario[] = [
  {
    name: "mapped",
    family: "platform",
    title:
      "POST of one 300 B record with 5 mapped columns (one Jsonnet template) beside its body, 64 connections, " +
      "synced: requests per CPU second against its body alone",
    atLeast: "0.7",
    aim: "0.9",
    run: measureMapped,
  },
  {
    name: "templates",
    family: "platform",
    title: "Jsonnet templates such as `Body('a.b')`, evaluated and written, per CPU second of one core",
    atLeast: "200,000",
    aim: "1,000,000",
    run: measureTemplates,
  },
  {
    name: "templates-jsonata",
    family: "platform",
    title:
      "JSONata templates such as `a.b`, evaluated in their process and written, per CPU second of both processes " +
      "against Jsonnet's `Body('a.b')`",
    atLeast: "none",
    aim: "none",
    run: measureJsonata,
  },
];

async function measureMapped(options: RunOptions): Promise<ScenarioResult> {
  const seconds = options.quick ? 3 : 8;
  const platform = await startPlatform();
  try {
    const perCpuSecond = async (url: string, forSeconds: number): Promise<number> => {
      const before = cpuSeconds(platform.pid);
      const result = await postLoad(url, BODY, { connections: CONNECTIONS, seconds: forSeconds });
      if (result.failures > 0) throw new Error(`${result.failures} requests failed`);
      return result.requests / (cpuSeconds(platform.pid) - before);
    };
    const ours = await createStream(platform, "mapped", { settings: NEVER_UPLOAD, columns: MAPPED });
    const baseline = await createStream(platform, "unmapped", { settings: NEVER_UPLOAD, columns: UNMAPPED });
    for (const url of [ours, baseline]) await perCpuSecond(url, 2);
    await sleep(200);
    const taken = await pairs(
      options.rounds,
      () => perCpuSecond(ours, seconds),
      () => perCpuSecond(baseline, seconds),
    );
    for (const pair of taken) {
      options.log(`mapped ${pair.ours.toFixed(0)}/CPU s, unmapped ${pair.baseline.toFixed(0)}/CPU s`);
    }
    const measured = ratios(taken);
    return { figure: measured.ratio.median.toFixed(2), measured };
  } finally {
    await platform.stop();
  }
}

type Figures = Readonly<Record<string, number>>;

/** What a benchmark's process has measured, by template. */
async function figuresOf(options: RunOptions, bench: string): Promise<Figures> {
  const lines = (await run(process.execPath, [bench])).trim().split("\n");
  const figures = lines.map((line) => JSON.parse(line) as { template: string; perCpuSecond: number });
  options.log(lines.join(" "));
  return Object.fromEntries(figures.map(({ template, perCpuSecond }) => [template, perCpuSecond]));
}

async function measureJsonata(options: RunOptions): Promise<ScenarioResult> {
  const taken = await pairs(
    options.rounds,
    async () => (await figuresOf(options, JSONATA_BENCH))["a.b"] ?? Number.NaN,
    async () => (await figuresOf(options, JSONNET_BENCH))["Body('a.b')"] ?? Number.NaN,
  );
  const measured = ratios(taken);
  return { figure: measured.ratio.median.toFixed(3), measured };
}

async function measureTemplates(options: RunOptions): Promise<ScenarioResult> {
  const rounds: Figures[] = [];
  for (let round = 0; round < options.rounds; round++) rounds.push(await figuresOf(options, JSONNET_BENCH));
  const names = Object.keys(rounds[0] ?? {});
  const measured = Object.fromEntries(
    names.map((name) => [name, spread(rounds.map((figures) => figures[name] ?? Number.NaN))]),
  );
  const body = measured["Body('a.b')"];
  return { figure: body === undefined ? "none" : Math.round(body.median).toLocaleString("en"), measured };
}
