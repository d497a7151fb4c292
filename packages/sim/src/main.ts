// `npm run sim`: `--seed N` replays one run, `--seeds K` runs 0 to K-1. Exits non-zero when a run breaks a promise; a
// negative control is such a run on purpose. `--cluster` first: runs of whole clusters (cluster/).
import { parseArgs } from "node:util";
import { assert } from "@millrace/base";
import { clusterMain } from "./cluster/cluster-main.ts";
import type { Controls } from "./options.ts";
import { runSeed, SimulationFailure, type RunSummary } from "./run-seed.ts";
import { failureReport } from "./system-report.ts";
import { Totals } from "./totals.ts";

const USAGE = `npm run sim -- [--seed N | --seeds K] [--twice] [--keep-going] [negative control]

  --seed N               replay the run of seed N; ends with {"seed":N,"events":…,"trace":"<sha256>",…}
  --seeds K              run seeds 0 to K-1 (default 20)
  --twice                run each seed twice; the traces must be equal
  --keep-going           go on after a seed that fails
  --without-sync         negative control: the disk ignores syncs
  --without-loaded-end   negative control: the target takes every load as it comes
  --without-sequences    negative control: a repeated frame gets a new identity
  --without-read-checks  negative control: spools give out what their files have
  --cluster              first: runs of whole clusters; --cluster --help says more
  --help
`;
const SEEDS_DEFAULT = 20;
const SEEDS_MAX = 1_000_000;
const PROGRESS_SEEDS = 20;

interface Request {
  readonly seeds: readonly string[];
  readonly isSingle: boolean;
  readonly twice: boolean;
  readonly keepGoing: boolean;
  readonly controls: Controls;
}

/** @returns undefined: only help is wanted @throws {Error} what is wrong with the arguments */
function parse(): Request | undefined {
  const { values } = parseArgs({
    options: {
      seed: { type: "string" },
      seeds: { type: "string" },
      twice: { type: "boolean", default: false },
      "keep-going": { type: "boolean", default: false },
      "without-sync": { type: "boolean", default: false },
      "without-loaded-end": { type: "boolean", default: false },
      "without-sequences": { type: "boolean", default: false },
      "without-read-checks": { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return undefined;
  const { seed, seeds = String(SEEDS_DEFAULT) } = values;
  const count = Number(seeds);
  if (!Number.isInteger(count) || count < 1 || count > SEEDS_MAX) {
    throw new Error(`--seeds ${seeds}: expected 1 to ${SEEDS_MAX}`);
  }
  if (seed === "") throw new Error("--seed: expected a seed");
  return {
    seeds: seed === undefined ? Array.from({ length: count }, (_, i) => String(i)) : [seed],
    isSingle: seed !== undefined,
    twice: values.twice,
    keepGoing: values["keep-going"],
    controls: {
      withoutSync: values["without-sync"],
      withoutLoadedEnd: values["without-loaded-end"],
      withoutSequences: values["without-sequences"],
      withoutReadChecks: values["without-read-checks"],
    },
  };
}

async function run({ seeds, isSingle, twice, keepGoing, controls }: Request): Promise<number> {
  const totals = new Totals();
  for (const seed of seeds) {
    try {
      const summary = await runOnce(seed, controls, twice);
      totals.add(summary);
      if (isSingle) process.stdout.write(`${JSON.stringify({ ...summary, seed: shown(seed) })}\n`);
    } catch (error) {
      if (!(error instanceof SimulationFailure)) throw error;
      process.stderr.write(failureReport(error));
      totals.addFailed(seed);
      if (!keepGoing) return 1;
    }
    if (totals.seeds % PROGRESS_SEEDS === 0)
      process.stderr.write(`${totals.seeds} seeds, ${totals.events} events\n`);
  }
  if (!isSingle) process.stdout.write(`${JSON.stringify(totals.json())}\n`);
  return totals.failed.length === 0 ? 0 : 1;
}

async function runOnce(seed: string, controls: Controls, twice: boolean): Promise<RunSummary> {
  const summary = await runSeed(seed, controls);
  if (twice) {
    const again = await runSeed(seed, controls);
    assert(again.trace === summary.trace, "a seed gives one trace", {
      seed,
      first: summary.trace,
      again: again.trace,
    });
  }
  return summary;
}

/** A seed that is a number is shown as one. */
function shown(seed: string): string | number {
  return /^\d{1,15}$/.test(seed) ? Number(seed) : seed;
}

async function main(): Promise<number> {
  let request: Request | undefined;
  try {
    request = parse();
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${USAGE}`);
    return 2;
  }
  if (request !== undefined) return run(request);
  process.stdout.write(USAGE);
  return 0;
}

const [first, ...others] = process.argv.slice(2);
process.exitCode = first === "--cluster" ? await clusterMain(others) : await main();
