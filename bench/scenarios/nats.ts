// Acknowledged single records a second against NATS JetStream with `sync_interval: always`: 64 synchronous publishers
// of 300 B there, 64 kept connections here, both synced before the answer.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { missingPeers, peer } from "../peers.ts";
import { createStream, startPlatform } from "../platform.ts";
import { end, run, start } from "../processes.ts";
import { pairs, ratios, type RunOptions, type Scenario, type ScenarioResult } from "../scenario.ts";
import { postLoad, sampleRecord } from "../wrk.ts";

const PORT = 24_222;

export const againstNats: Scenario = {
  name: "against-nats",
  family: "platform",
  title:
    "the same against NATS JetStream with `sync_interval: always`, 64 synchronous publishers: acknowledged per second",
  atLeast: "1.3",
  aim: "2.5",
  run: runScenario,
};

async function runScenario(options: RunOptions): Promise<ScenarioResult> {
  const unavailable = missingPeers(["nats-server", "natsbench"]);
  if (unavailable !== undefined) return { figure: "not measured", measured: {}, unavailable };
  const seconds = options.quick ? 3 : 8;
  const store = mkdtempSync(join(tmpdir(), "millrace-nats-"));
  const config = join(store, "nats.conf");
  writeFileSync(
    config,
    `listen: "127.0.0.1:${PORT}"\njetstream { store_dir: "${store}", sync_interval: always }\n`,
  );
  const nats = start(peer("nats-server"), ["-c", config]);
  const platform = await startPlatform();
  try {
    const url = await createStream(platform, "bench");
    await sleep(1000);
    const ours = async (): Promise<number> => {
      const result = await postLoad(url, sampleRecord(300), { connections: 64, seconds });
      if (result.failures > 0) throw new Error(`${result.failures} requests failed`);
      await sleep(1500);
      return result.requestsPerSecond;
    };
    const theirs = async (): Promise<number> =>
      natsRate(await run(peer("natsbench"), natsArguments(seconds)));
    const taken = await pairs(options.rounds, ours, theirs);
    for (const pair of taken) options.log(`${pair.ours.toFixed(0)}/s, NATS ${pair.baseline.toFixed(0)}/s`);
    const { ours: perSecond, baseline, ratio } = ratios(taken);
    const version = execFileSync(peer("nats-server"), ["--version"]).toString().trim();
    return {
      figure: ratio.median.toFixed(2),
      measured: { ratio, oursPerSecond: perSecond, natsPerSecond: baseline, version },
    };
  } finally {
    await end(nats);
    await platform.stop();
    rmSync(store, { recursive: true, force: true });
  }
}

function natsArguments(seconds: number): readonly string[] {
  return [
    "-url",
    `nats://127.0.0.1:${PORT}`,
    "-clients",
    "64",
    "-size",
    "300",
    "-seconds",
    String(seconds),
    "-mode",
    "sync",
  ];
}

/** Acknowledged messages a second out of the bench's report. */
function natsRate(output: string): number {
  const rate = /([\d.]+) msg\/s/.exec(output)?.[1];
  if (rate === undefined) throw new Error(`no rate in: ${output.slice(0, 300)}`);
  return Number(rate);
}
