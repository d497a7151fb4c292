// `npm run sim:cluster`: whole clusters, one for each seed.
import { parseArgs } from "node:util";
import { assert, systemClock, type Clock } from "@millrace/base";
import type { ClusterControls } from "./cluster-options.ts";
import { CLUSTER_CONTROLS, clusterReport } from "./cluster-report.ts";
import { ClusterTotals } from "./cluster-totals.ts";
import { ClusterFailure, runCluster, type ClusterSummary } from "./run-cluster.ts";

const USAGE = `npm run sim:cluster -- [--seed N | --seeds K] [options] [negative control]

  --seed N                replay the run of seed N; ends with {"seed":N,"events":…,"trace":"<sha256>",…}
  --seeds K               run K seeds (default 20), from --from (default 0) on
  --minutes M             at least K seeds, and more until M minutes are over
  --twice                 run each seed twice; the traces must be equal
  --keep-going            go on after a seed that fails
  --trace                 print everything that happens
  --without-sync          negative control: the disks ignore syncs
  --without-route-check   negative control: a primary goes on whose replicas have another one
  --without-last-replica  negative control: a primary does not wait for its last replica
  --without-judging       negative control: what a restart finds on the disk counts at once
  --help
`;
const SEEDS_DEFAULT = 20;
const SEEDS_MAX = 1_000_000;
const MINUTES_MAX = 100_000;
const PROGRESS_SEEDS = 20;

interface Request {
  readonly seed: string | undefined;
  /** Of the first seed, and at least how many. */
  readonly from: number;
  readonly count: number;
  readonly minutes: number;
  readonly twice: boolean;
  readonly keepGoing: boolean;
  readonly isTraced: boolean;
  readonly controls: ClusterControls;
}

/** @returns undefined: only help is wanted @throws {Error} what is wrong with the arguments */
function parse(args: readonly string[]): Request | undefined {
  const flag = { type: "boolean", default: false } as const;
  const { values } = parseArgs({
    args: [...args],
    options: {
      seed: { type: "string" },
      seeds: { type: "string", default: String(SEEDS_DEFAULT) },
      from: { type: "string", default: "0" },
      minutes: { type: "string", default: "0" },
      twice: flag,
      "keep-going": flag,
      trace: flag,
      "without-sync": flag,
      "without-route-check": flag,
      "without-last-replica": flag,
      "without-judging": flag,
      help: flag,
    },
  });
  if (values.help) return undefined;
  const [count, from, minutes] = [Number(values.seeds), Number(values.from), Number(values.minutes)];
  if (!Number.isInteger(count) || count < 1 || count > SEEDS_MAX) {
    throw new Error(`--seeds ${values.seeds}: expected 1 to ${SEEDS_MAX}`);
  }
  if (!Number.isInteger(from) || from < 0) throw new Error(`--from ${values.from}: expected a number`);
  if (!(minutes >= 0 && minutes <= MINUTES_MAX)) {
    throw new Error(`--minutes ${values.minutes}: expected 0 to ${MINUTES_MAX}`);
  }
  if (values.seed === "") throw new Error("--seed: expected a seed");
  const controls = Object.fromEntries(
    CLUSTER_CONTROLS.map(([control, name]) => [control, values[name as "without-sync"]]),
  ) as Record<keyof ClusterControls, boolean>;
  return {
    seed: values.seed,
    from,
    count,
    minutes,
    twice: values.twice,
    keepGoing: values["keep-going"],
    isTraced: values.trace,
    controls,
  };
}

/** @returns the exit code */
export async function clusterMain(args: readonly string[]): Promise<number> {
  let request: Request | undefined;
  try {
    request = parse(args);
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${USAGE}`);
    return 2;
  }
  if (request !== undefined) return run(request);
  process.stdout.write(USAGE);
  return 0;
}

async function run(request: Request): Promise<number> {
  const { seed: single, keepGoing } = request;
  const totals = new ClusterTotals();
  for (const seed of seedsOf(request, systemClock)) {
    try {
      const summary = await runOnce(seed, request);
      totals.add(summary);
      if (single !== undefined) process.stdout.write(`${JSON.stringify({ ...summary, seed })}\n`);
    } catch (error) {
      if (!(error instanceof ClusterFailure)) throw error;
      process.stderr.write(clusterReport(error));
      totals.failed.push(seed);
      if (!keepGoing) return 1;
    }
    const done = totals.seeds + totals.failed.length;
    if (done % PROGRESS_SEEDS === 0) process.stderr.write(`${done} seeds, ${totals.events} events\n`);
  }
  if (single === undefined) process.stdout.write(`${JSON.stringify(totals.json())}\n`);
  return totals.failed.length === 0 ? 0 : 1;
}

function* seedsOf({ seed, from, count, minutes }: Request, clock: Clock): Generator<string> {
  if (seed !== undefined) return yield seed;
  const endMs = clock.monotonicMs() + minutes * 60_000;
  for (let i = 0; i < count || clock.monotonicMs() < endMs; i++) yield String(from + i);
}

async function runOnce(
  seed: string,
  { controls, twice, isTraced }: Pick<Request, "controls" | "twice" | "isTraced">,
): Promise<ClusterSummary> {
  const onLine = isTraced
    ? (line: string): void => void process.stdout.write(`${line}\n`)
    : (): void => undefined;
  const summary = await runCluster(seed, controls, onLine);
  if (twice) {
    const { trace } = await runCluster(seed, controls);
    assert(trace === summary.trace, "a seed gives one trace", { seed, first: summary.trace, again: trace });
  }
  return summary;
}
