// From the acknowledgement of a record to its row being visible to SQL, with the default conditions of `up`, while
// other records come in at a steady rate.
import { request, Agent } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { createStream, scalar, startPlatform } from "../platform.ts";
import type { RunOptions, Scenario, ScenarioResult } from "../scenario.ts";
import { quantile } from "../statistics.ts";

const INTERVAL_MS = 50;

export const rowLatency: Scenario = {
  name: "row-latency",
  family: "platform",
  title: "record accepted to row visible to SQL, default conditions, p99",
  atLeast: "5 s",
  aim: "1 s",
  run: runScenario,
};

async function runScenario(options: RunOptions): Promise<ScenarioResult> {
  const seconds = (options.quick ? 5 : 20) * options.rounds;
  const platform = await startPlatform();
  const agent = new Agent({ keepAlive: true });
  try {
    const url = await createStream(platform, "bench");
    const acceptedMs: number[] = [];
    const visibleMs: number[] = [];
    const endMs = performance.now() + seconds * 1000;
    const sending = (async () => {
      while (performance.now() < endMs) {
        await post(agent, url, '{"origin":"PRG"}');
        acceptedMs.push(performance.now());
        await sleep(INTERVAL_MS);
      }
    })();
    // One partition: rows become visible in the order of acceptance.
    while (performance.now() < endMs || visibleMs.length < acceptedMs.length) {
      const rows = await scalar(platform, "select count(*) from main.bench");
      const nowMs = performance.now();
      while (visibleMs.length < Math.min(rows, acceptedMs.length))
        visibleMs.push(nowMs - (acceptedMs.at(visibleMs.length) ?? nowMs));
      if (nowMs > endMs + 30_000)
        throw new Error(`${rows} of ${acceptedMs.length} rows are visible after 30 s`);
      await sleep(10);
    }
    await sending;
    const sorted = [...visibleMs].sort((a, b) => a - b);
    const secondsAt = (q: number): number => quantile(sorted, q) / 1000;
    return {
      figure: `${secondsAt(0.99).toFixed(2)} s`,
      measured: {
        records: sorted.length,
        p50Seconds: secondsAt(0.5),
        p99Seconds: secondsAt(0.99),
        maxSeconds: secondsAt(1),
      },
    };
  } finally {
    agent.destroy();
    await platform.stop();
  }
}

function post(agent: Agent, url: string, body: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      url,
      { method: "POST", agent, headers: { "content-type": "application/json" } },
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
