// `npm run sim`: `--seed N` replays one run, `--seeds K` runs 0 to K-1. Exits non-zero when a run breaks a promise; a
// negative control is such a run on purpose.
import { parseArgs } from "node:util";
import { runSeed, SimulationFailure } from "./run-seed.ts";

const USAGE = `npm run sim -- [--seed N | --seeds K] [negative control]

  --seed N               replay the run of seed N; ends with {"seed":N,"events":…,"trace":"<sha256>"}
  --seeds K              run seeds 0 to K-1 (default 20)
  --without-sync         negative control: the disk ignores syncs
  --without-loaded-end   negative control: the target takes every load as it comes
  --without-sequences    negative control: a repeated frame gets a new identity
  --help
`;

const { values } = parseArgs({
  options: {
    seed: { type: "string" },
    seeds: { type: "string" },
    "without-sync": { type: "boolean", default: false },
    "without-loaded-end": { type: "boolean", default: false },
    "without-sequences": { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});

async function main(): Promise<number> {
  if (values.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  const controls = {
    withoutSync: values["without-sync"],
    withoutLoadedEnd: values["without-loaded-end"],
    withoutSequences: values["without-sequences"],
  };
  const isSingle = values.seed !== undefined;
  const seeds = values.seed !== undefined ? [values.seed] : Array.from({ length: Number(values.seeds ?? 20) }, (_, i) => String(i));
  let events = 0;
  let records = 0;
  for (const seed of seeds) {
    const summary = await runSeed(seed, controls);
    events += summary.events;
    records += summary.acknowledgedRecords;
    if (isSingle) process.stdout.write(`${JSON.stringify({ ...summary, seed: seedOf(seed) })}\n`);
    else if (Number(seed) % 20 === 19) process.stderr.write(`${Number(seed) + 1} seeds, ${events} events\n`);
  }
  if (!isSingle) process.stdout.write(`${JSON.stringify({ seeds: seeds.length, events, acknowledgedRecords: records })}\n`);
  return 0;
}

/** A seed that is a number is shown as one. */
function seedOf(seed: string): string | number {
  return /^\d{1,15}$/.test(seed) ? Number(seed) : seed;
}

function report(error: unknown): void {
  if (!(error instanceof SimulationFailure)) {
    process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
    return;
  }
  const cause = error.cause instanceof Error ? error.cause.stack : "";
  process.stderr.write(`${error.newest.join("\n")}\n${error.message}\n${cause}\n`);
  process.stderr.write(`Node ${process.version}; replay with: npm run sim -- --seed ${error.seed}\n`);
}

process.exitCode = await main().catch((error: unknown) => {
  report(error);
  return 1;
});
