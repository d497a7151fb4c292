// The simulator's part of `npm run soak`: runs of random seeds, and walks through the model of the holders rules, until
// the time is over. Goes on after a run that fails, so that one morning's soak says everything that it has found.
import { parseArgs } from "node:util";
import { systemClock, systemRandom, type Clock } from "@millrace/base";
import { seededRandom } from "@millrace/base/testkit";
import { LARGE } from "./holders/holders-bounds.ts";
import { searchWalks, shownFinding } from "./holders/holders-search.ts";
import { runSeed, SimulationFailure } from "./run-seed.ts";
import { failureReport } from "./system-report.ts";
import { Totals } from "./totals.ts";

const USAGE = `npm run soak:seeds -- [--minutes N]

  --minutes N   how long (default 10); progress goes to stderr, a JSON summary is the last line of stdout
  --help
`;
const MINUTES_DEFAULT = 10;
const MINUTES_MAX = 100_000;
const PROGRESS_MS = 30_000;
/** Walks through the holders model beside each seed: a fifth of its time. */
const WALKS = 100;

/** @returns undefined: only help is wanted @throws {Error} what is wrong with the arguments */
function minutesWanted(): number | undefined {
  const options = { minutes: { type: "string" }, help: { type: "boolean", default: false } } as const;
  const { values } = parseArgs({ options });
  if (values.help) return undefined;
  const minutes = Number(values.minutes ?? MINUTES_DEFAULT);
  if (minutes > 0 && minutes <= MINUTES_MAX) return minutes;
  throw new Error(`--minutes ${values.minutes}: expected more than 0 and at most ${MINUTES_MAX}`);
}

async function soak(clock: Clock, minutes: number): Promise<number> {
  const startedMs = clock.monotonicMs();
  const totals = new Totals();
  let saidMs = startedMs;
  let holdersSteps = 0;
  const seconds = (): number => Math.round((clock.monotonicMs() - startedMs) / 1000);
  while (clock.monotonicMs() - startedMs < minutes * 60_000) {
    const seed = String(systemRandom.u32());
    try {
      totals.add(await runSeed(seed));
    } catch (error) {
      if (!(error instanceof SimulationFailure)) throw error;
      process.stderr.write(failureReport(error));
      totals.addFailed(seed);
    }
    const { finding, steps } = searchWalks(LARGE, undefined, seededRandom(seed), WALKS);
    holdersSteps += steps;
    if (finding !== undefined) {
      process.stderr.write(
        `${shownFinding(finding)}replay with: npm run holders -- --walks ${WALKS} --seed ${seed}\n`,
      );
      totals.failed.push(`holders ${seed}`);
    }
    if (clock.monotonicMs() - saidMs >= PROGRESS_MS) {
      saidMs = clock.monotonicMs();
      const { seeds, events, failed } = totals;
      process.stderr.write(`${seconds()} s: ${seeds} seeds, ${events} events, ${failed.length} failed\n`);
    }
  }
  process.stdout.write(`${JSON.stringify({ ...totals.json(), holdersSteps, seconds: seconds() })}\n`);
  return totals.failed.length === 0 ? 0 : 1;
}

async function main(): Promise<number> {
  let minutes: number | undefined;
  try {
    minutes = minutesWanted();
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${USAGE}`);
    return 2;
  }
  if (minutes !== undefined) return soak(systemClock, minutes);
  process.stdout.write(USAGE);
  return 0;
}

process.exitCode = await main();
