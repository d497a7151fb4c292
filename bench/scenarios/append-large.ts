// Appends of 64 KiB to one journal, 8 under way, synced, in process, against a loop of write and fdatasync of such
// sizes.
import { closeSync, fdatasyncSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { never } from "@millrace/base";
import { appendOnce } from "@millrace/client";
import { openInProcessBroker } from "../in-process-broker.ts";
import { pairs, ratios, type RunOptions, type Scenario, type ScenarioResult } from "../scenario.ts";

const CHUNK = new Uint8Array(64 * 1024).fill(120);
const IN_FLIGHT = 8;
const MIB = 2 ** 20;

export const appendLarge: Scenario = {
  name: "append-64k",
  family: "platform",
  title:
    "append of 64 KiB to one journal, 8 in flight, synced, in process, against a loop of write + fdatasync",
  atLeast: "0.7",
  aim: "0.9",
  run: runScenario,
};

async function runScenario(options: RunOptions): Promise<ScenarioResult> {
  const seconds = options.quick ? 2 : 5;
  const opened = await openInProcessBroker();
  try {
    await opened.createJournals(["bench/large"]);
    const { transport } = opened.broker;
    const ours = async (): Promise<number> => {
      const endMs = performance.now() + seconds * 1000;
      let appended = 0;
      const appender = async (): Promise<void> => {
        while (performance.now() < endMs) {
          await appendOnce(transport, "bench/large", { kind: "bytes", bytes: [CHUNK] }, {}, never);
          appended += CHUNK.length;
        }
      };
      await Promise.all(Array.from({ length: IN_FLIGHT }, appender));
      return appended / seconds / MIB;
    };
    await ours();
    const taken = await pairs(options.rounds, ours, () => Promise.resolve(writeAndSync(seconds)));
    for (const pair of taken)
      options.log(`${pair.ours.toFixed(0)} MiB/s, write + fdatasync ${pair.baseline.toFixed(0)} MiB/s`);
    const { ours: perSecond, baseline, ratio } = ratios(taken);
    return {
      figure: ratio.median.toFixed(2),
      measured: { ratio, oursMiBPerSecond: perSecond, loopMiBPerSecond: baseline },
    };
  } finally {
    await opened.close();
  }
}

/** One file, grown by writes of the same size, each followed by fdatasync. @returns MiB a second */
function writeAndSync(seconds: number): number {
  const directory = mkdtempSync(join(tmpdir(), "millrace-bench-"));
  const file = openSync(join(directory, "loop"), "w");
  try {
    const endMs = performance.now() + seconds * 1000;
    let written = 0;
    while (performance.now() < endMs) {
      writeSync(file, CHUNK);
      fdatasyncSync(file);
      written += CHUNK.length;
    }
    return written / seconds / MIB;
  } finally {
    closeSync(file);
    rmSync(directory, { recursive: true });
  }
}
