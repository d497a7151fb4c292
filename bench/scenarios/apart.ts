// What it costs to have the HTTP source and the broker in processes of their own: single-record POSTs of 300 B over 64
// kept connections, to the log alone, per CPU second of all processes of a side, against the same in one process.
import { createStream, startPlatform } from "../platform.ts";
import { cpuSeconds } from "../processes.ts";
import { pairs, ratios, type RunOptions, type Scenario, type ScenarioResult } from "../scenario.ts";
import { StreamNodes } from "../streams/nodes.ts";
import { postLoad, sampleRecord } from "../wrk.ts";
import { NEVER_UPLOAD } from "./http-single.ts";

const CONNECTIONS = 64;
const BODY = sampleRecord(300);

export const apart: Scenario = {
  name: "apart",
  family: "platform",
  title:
    "POST of one 300 B record, 64 connections, synced, `http-source` and `broker` in processes of their own: " +
    "requests per CPU second against one process",
  atLeast: "0.5",
  aim: "0.7",
  run: runScenario,
};

async function runScenario(options: RunOptions): Promise<ScenarioResult> {
  const seconds = options.quick ? 3 : 8;
  const nodes = new StreamNodes();
  const platform = await startPlatform();
  try {
    await nodes.start("etcd");
    const broker = await nodes.start("broker");
    await nodes.start("warehouse");
    const source = await nodes.start("http-source");
    const api = await nodes.start("api", ["--http-source.public-url", source.url]);
    const ours = await createStream({ endpoints: { api: api.url } }, "bench", { settings: NEVER_UPLOAD });
    const baseline = await createStream(platform, "bench", { settings: NEVER_UPLOAD });
    const perCpuSecond = async (
      url: string,
      pids: readonly number[],
      forSeconds: number,
    ): Promise<number> => {
      const used = (): number => pids.reduce((sum, pid) => sum + cpuSeconds(pid), 0);
      const before = used();
      const result = await postLoad(url, BODY, { connections: CONNECTIONS, seconds: forSeconds });
      if (result.failures > 0) throw new Error(`${result.failures} requests failed`);
      return result.requests / (used() - before);
    };
    const sides = [
      [ours, [source.pid, broker.pid]],
      [baseline, [platform.pid]],
    ] as const;
    for (const [url, pids] of sides) await perCpuSecond(url, pids, 2);
    const taken = await pairs(
      options.rounds,
      () => perCpuSecond(ours, sides[0][1], seconds),
      () => perCpuSecond(baseline, sides[1][1], seconds),
    );
    for (const pair of taken)
      options.log(`apart ${pair.ours.toFixed(0)}/CPU s, one process ${pair.baseline.toFixed(0)}/CPU s`);
    const measured = ratios(taken);
    return { figure: measured.ratio.median.toFixed(2), measured };
  } finally {
    await nodes.close();
    await platform.stop();
  }
}
