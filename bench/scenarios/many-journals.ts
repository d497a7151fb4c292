// 1,000 journals with one append a second each, synced: syncs a second, against one journal at the same total rate.
import { setTimeout as sleep } from "node:timers/promises";
import { never, utf8 } from "@millrace/base";
import { appendOnce } from "@millrace/client";
import { openInProcessBroker } from "../in-process-broker.ts";
import { pairs, ratios, type RunOptions, type Scenario, type ScenarioResult } from "../scenario.ts";

const JOURNALS = 1000;
const PER_SECOND = 1000;

export const manyJournals: Scenario = {
  name: "many-journals",
  family: "platform",
  title:
    "1,000 journals, 1 append/s each, synced: syncs per second, against one journal at the same total rate",
  atLeast: "1.2 times",
  aim: "1.05 times",
  run: runScenario,
};

async function runScenario(options: RunOptions): Promise<ScenarioResult> {
  const seconds = options.quick ? 3 : 6;
  const opened = await openInProcessBroker();
  try {
    const nameOf = (n: number): string => `bench/many-${String(n % JOURNALS).padStart(4, "0")}`;
    const names = Array.from({ length: JOURNALS }, (_, n) => nameOf(n));
    await opened.createJournals(names);
    const { transport } = opened.broker;
    const syncs = opened.metrics.counter("millrace_log_syncs_total", "");
    const content = { kind: "bytes", bytes: [utf8("x".repeat(300))] } as const;
    const measure = async (journalOf: (n: number) => string): Promise<number> => {
      const before = syncs.value({ log: "journals" });
      const startMs = performance.now();
      const pending: Promise<unknown>[] = [];
      for (let n = 0; n < PER_SECOND * seconds; n++) {
        const dueMs = startMs + (n * 1000) / PER_SECOND;
        const waitMs = dueMs - performance.now();
        if (waitMs > 1) await sleep(waitMs);
        pending.push(appendOnce(transport, journalOf(n), content, {}, never));
      }
      await Promise.all(pending);
      return (syncs.value({ log: "journals" }) - before) / ((performance.now() - startMs) / 1000);
    };
    await measure(nameOf);
    const taken = await pairs(
      options.rounds,
      () => measure(nameOf),
      () => measure(() => nameOf(0)),
    );
    for (const pair of taken)
      options.log(`${pair.ours.toFixed(0)} syncs/s, one journal ${pair.baseline.toFixed(0)} syncs/s`);
    const { ours, baseline, ratio } = ratios(taken);
    const measured = { ratio, manySyncsPerSecond: ours, oneSyncsPerSecond: baseline };
    return { figure: `${ratio.median.toFixed(2)} times`, measured };
  } finally {
    await opened.close();
  }
}
