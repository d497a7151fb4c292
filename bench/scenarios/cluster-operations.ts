// What operators see of a cluster: latency at a modest rate, the pause after a broker was killed, appends that fail
// while one leaves in order, and how long the allocator takes.
import { fileURLToPath } from "node:url";
import { setTimeout as sleep } from "node:timers/promises";
import { appendLoad, createJournals, gzload, type AppendResult, type Journals } from "../cluster/gzload.ts";
import { failedPairs, onBothSides, THREE_BROKERS, unmeasured } from "../cluster/compare.ts";
import { Side, type SideName, type SideOptions } from "../cluster/side.ts";
import { end, run } from "../processes.ts";
import type { RunOptions, Scenario, ScenarioResult } from "../scenario.ts";
import { spread } from "../statistics.ts";

const SMALL_BYTES = 300;
const FAIL_OVER: SideOptions = { brokers: 4, leaseSeconds: 3 };
const FAIL_OVER_SECONDS = 15;
const DRAIN: SideOptions = { brokers: 4, leaseSeconds: 20 };
const DRAIN_JOURNALS = 1000;
const DRAIN_MS_MAX = 90_000;
const SOLVER_BENCH = fileURLToPath(new URL("../../packages/allocator/dist/solver.bench.js", import.meta.url));

export const clusterOperations: readonly Scenario[] = [
  {
    name: "cluster-latency",
    family: "cluster",
    title: "p99 of an append of 300 B at 1,000/s, 8 clients, R=3; ours synced, Go's not",
    atLeast: "10 ms",
    aim: "4 ms",
    run: measureLatency,
  },
  {
    name: "cluster-fail-over",
    family: "cluster",
    title: "`kill -9` of a primary to the next acknowledged append, lease 3 s, R=3 of 4 brokers",
    atLeast: "4 s",
    aim: "1.5 s",
    run: measureFailOver,
  },
  {
    name: "cluster-drain",
    family: "cluster",
    title: "graceful drain of one of 4 brokers with 1,000 journals, R=3: appends that fail",
    atLeast: "0",
    aim: "0",
    run: measureDrain,
  },
  {
    name: "allocator-solve",
    family: "cluster",
    title: "allocator, 10,000 journals, R=3, 30 brokers, 3 zones: CPU time of a solution from nothing",
    atLeast: "1 s",
    aim: "0.2 s",
    run: measureSolve,
  },
];

async function measureLatency(options: RunOptions): Promise<ScenarioResult> {
  const impossible = await unmeasured(THREE_BROKERS);
  if (impossible !== undefined) return impossible;
  const journals: Journals = { prefix: "bench/latency", count: 8, replication: 3 };
  const load = { mode: "append", clients: 8, size: SMALL_BYTES, perSecond: 1000 } as const;
  const seconds = options.quick ? 2 : 10;
  const prepare = async (side: Side): Promise<void> => {
    await createJournals(side, journals);
    await appendLoad(side, journals, { ...load, seconds: 3 });
  };
  const { pairs, failures } = await onBothSides(
    THREE_BROKERS,
    options,
    prepare,
    (side) => appendLoad(side, journals, { ...load, seconds }),
    ({ millrace, go }) => `${millrace.p99.toFixed(1)} ms, Go ${go.p99.toFixed(1)} ms`,
  );
  const p99 = spread(pairs.map(({ millrace }) => millrace.p99));
  return {
    figure: `${p99.median.toFixed(1)} ms${failedPairs(failures)}`,
    measured: {
      millraceP99Ms: p99,
      goP99Ms: spread(pairs.map(({ go }) => go.p99)),
      ...(failures.length > 0 && { failures: failures.join("\n") }),
    },
  };
}

async function measureFailOver(options: RunOptions): Promise<ScenarioResult> {
  const impossible = await unmeasured(FAIL_OVER);
  if (impossible !== undefined) return impossible;
  const rounds = options.quick ? 1 : options.rounds;
  const pauses: Record<SideName, number[]> = { millrace: [], go: [] };
  for (let round = 0; round < rounds; round++) {
    for (const name of round % 2 === 0 ? (["go", "millrace"] as const) : (["millrace", "go"] as const)) {
      const pauseMs = await pauseAfterKill(name).catch((error: Error) => {
        options.log(`${name}: failed, and is taken again: ${error.message}`);
        return pauseAfterKill(name);
      });
      pauses[name].push(pauseMs / 1000);
      options.log(`${name}: ${(pauseMs / 1000).toFixed(1)} s`);
    }
  }
  const seconds = spread(pauses.millrace);
  return {
    figure: `${seconds.median.toFixed(1)} s (at most ${seconds.max.toFixed(1)} s)`,
    measured: { millraceSeconds: seconds, goSeconds: spread(pauses.go) },
  };
}

/** @returns milliseconds without any acknowledgement */
async function pauseAfterKill(name: SideName): Promise<number> {
  const side = await Side.open(name, FAIL_OVER);
  try {
    return await pauseOf(side);
  } finally {
    await side.close();
  }
}

async function pauseOf(side: Side): Promise<number> {
  const journals: Journals = { prefix: "bench/kill", count: 1, replication: 3 };
  await createJournals(side, journals);
  const primary = await side.primaryOf(`${journals.prefix}/part-000`);
  const other = side.brokers.find((broker) => broker !== primary)!;
  const flags = { prefix: journals.prefix, journals: 1, clients: 8, size: SMALL_BYTES, rate: 500 };
  const load = gzload(side, "append", { ...flags, seconds: FAIL_OVER_SECONDS }, other.address);
  await sleep(3000);
  await end(primary.started, "SIGKILL");
  return ((await load) as AppendResult).maxGapMs;
}

async function measureDrain(options: RunOptions): Promise<ScenarioResult> {
  const impossible = await unmeasured(DRAIN);
  if (impossible !== undefined) return impossible;
  const side = await Side.open("millrace", DRAIN);
  try {
    const journals: Journals = { prefix: "bench/drain", count: DRAIN_JOURNALS, replication: 3 };
    await createJournals(side, journals);
    const leaving = side.brokers.at(-1)!;
    const flags = { prefix: journals.prefix, journals: journals.count, clients: DRAIN_JOURNALS };
    const more = { size: SMALL_BYTES, rate: 1000, seconds: options.quick ? 15 : DRAIN_MS_MAX / 1000 };
    const load = gzload(side, "append", { ...flags, ...more });
    await sleep(3000);
    const beganMs = performance.now();
    const isKilled = await end(leaving.started, "SIGTERM", DRAIN_MS_MAX);
    const drainSeconds = (performance.now() - beganMs) / 1000;
    const { errors, appends, maxGapMs } = (await load) as AppendResult;
    options.log(`${errors} of ${appends} failed, drained in ${drainSeconds.toFixed(1)} s`);
    const figure = isKilled ? `not drained in ${drainSeconds.toFixed(0)} s` : String(errors);
    return { figure, measured: { errors, appends, maxGapMs, drainSeconds } };
  } finally {
    await side.close();
  }
}

async function measureSolve(options: RunOptions): Promise<ScenarioResult> {
  const said = await run(process.execPath, [SOLVER_BENCH]);
  const line = /^from nothing: solve ([\d.]+) ms \(first ([\d.]+)\).*moves (\d+) \(fewest (\d+)\)/m.exec(
    said,
  );
  const joins = /^one joins: solve ([\d.]+) ms.*moves (\d+) \(fewest (\d+)\)/m.exec(said);
  if (line === null || joins === null) throw new Error(`no times in: ${said.slice(0, 300)}`);
  const [solveMs = 0, firstMs = 0] = line.slice(1).map(Number);
  const [joinMs = 0, joinMoves = 0, joinFewest = 0] = joins.slice(1).map(Number);
  options.log(said.trim().split("\n", 2).join("; "));
  return {
    figure: `${(solveMs / 1000).toFixed(2)} s (the first ${(firstMs / 1000).toFixed(2)} s)`,
    measured: { solveMs, firstMs, joinMs, joinMoves, joinFewest },
  };
}
