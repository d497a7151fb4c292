// NDJSON bodies of 1,000 records for 30 s: records a second acknowledged after fdatasync, with every row visible soon
// after.
import { request, Agent } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { createStream, startPlatform, waitForRows } from "../platform.ts";
import { cpuSeconds } from "../processes.ts";
import type { RunOptions, Scenario, ScenarioResult } from "../scenario.ts";
import { spread } from "../statistics.ts";
import { postLoad, sampleRecord } from "../wrk.ts";

const RECORDS = 1000;
const CONNECTIONS = 32;

export const ndjson: Scenario = {
  name: "ndjson",
  family: "platform",
  title:
    "NDJSON bodies of 1,000 records, synced: records per second, and how long after the end every row is visible",
  atLeast: "300,000/s, 10 s",
  aim: "800,000/s",
  run: runScenario,
};

async function runScenario(options: RunOptions): Promise<ScenarioResult> {
  const seconds = options.quick ? 5 : 30;
  const body = `${sampleRecord(100)}\n`.repeat(RECORDS);
  const rates: number[] = [];
  const waits: number[] = [];
  const perCpu: number[] = [];
  for (let round = 0; round < options.rounds; round++) {
    const platform = await startPlatform();
    try {
      const url = await createStream(platform, "bench");
      await once(url, body);
      await sleep(1000);
      const before = cpuSeconds(platform.pid);
      const load = { connections: CONNECTIONS, seconds, contentType: "application/x-ndjson" };
      const result = await postLoad(url, body, load);
      if (result.failures > 0) throw new Error(`${result.failures} requests failed`);
      const waitMs = await waitForRows(platform, "main.bench", (result.requests + 1) * RECORDS, 120_000);
      rates.push(result.requestsPerSecond * RECORDS);
      waits.push(waitMs / 1000);
      perCpu.push((result.requests * RECORDS) / (cpuSeconds(platform.pid) - before));
      options.log(
        `round ${round + 1}: ${rates.at(-1)!.toFixed(0)} records/s, rows ${waits.at(-1)!.toFixed(1)} s after the end`,
      );
    } finally {
      await platform.stop();
    }
  }
  const rate = spread(rates);
  const wait = spread(waits);
  return {
    figure: `${Math.round(rate.median).toLocaleString("en")}/s, ${wait.median.toFixed(1)} s`,
    measured: { recordsPerSecond: rate, rowsAfterSeconds: wait, recordsPerCpuSecond: spread(perCpu) },
  };
}

function once(url: string, body: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const agent = new Agent();
    const outgoing = request(
      url,
      { method: "POST", agent, headers: { "content-type": "application/x-ndjson" } },
      (answer) => {
        answer.resume();
        answer.on("end", () =>
          answer.statusCode === 200 ? resolve() : reject(new Error(`status ${answer.statusCode}`)),
        );
      },
    );
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}
