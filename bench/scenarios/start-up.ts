// Cold start of `millrace up` to ready in a fresh data directory, and what all its processes hold in memory when idle.
import { setTimeout as sleep } from "node:timers/promises";
import { startPlatform } from "../platform.ts";
import { cpuSeconds, memoryBytes, residentBytes } from "../processes.ts";
import type { RunOptions, Scenario, ScenarioResult } from "../scenario.ts";
import { spread } from "../statistics.ts";

const MIB = 2 ** 20;

export const startUp: Scenario = {
  name: "start-up",
  family: "platform",
  title: "cold start of `up` to ready; memory of all processes when idle",
  atLeast: "2 s; 300 MB",
  aim: "0.7 s; 200 MB",
  run: runScenario,
};

async function runScenario(options: RunOptions): Promise<ScenarioResult> {
  const ready: number[] = [];
  const resident: number[] = [];
  const proportional: number[] = [];
  const idleCpu: number[] = [];
  for (let round = 0; round < options.rounds; round++) {
    const platform = await startPlatform();
    try {
      await sleep(3000);
      const before = cpuSeconds(platform.pid);
      await sleep(5000);
      idleCpu.push((cpuSeconds(platform.pid) - before) / 5);
      ready.push(platform.readyMs / 1000);
      resident.push(residentBytes(platform.pid) / MIB);
      proportional.push(memoryBytes(platform.pid) / MIB);
      options.log(`ready in ${ready.at(-1)!.toFixed(2)} s, ${resident.at(-1)!.toFixed(0)} MiB`);
    } finally {
      await platform.stop();
    }
  }
  return {
    figure: `${spread(ready).median.toFixed(2)} s; ${spread(resident).median.toFixed(0)} MiB`,
    measured: {
      readySeconds: spread(ready),
      residentMiB: spread(resident),
      proportionalMiB: spread(proportional),
      idleCpuSecondsPerSecond: spread(idleCpu),
    },
  };
}
