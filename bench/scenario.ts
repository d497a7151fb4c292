// What a benchmark measures: pairs of our figure and a baseline's, taken in turn in one run, and the ratio of each
// pair.
import { spread, type Spread } from "./statistics.ts";

/** What is measured together, into a table of its own: the platform on one machine; brokers against Go's. */
export type Family = "platform" | "cluster";

export interface Scenario {
  readonly name: string;
  readonly family: Family;
  /** What is measured, for the table. */
  readonly title: string;
  /** What at least and what at best it should be, as the table shows it. */
  readonly atLeast: string;
  readonly aim: string;
  run(options: RunOptions): Promise<ScenarioResult>;
}

export interface RunOptions {
  /** Repetitions whose medians are reported, >= 1. */
  readonly rounds: number;
  /** Shorter loads, for trying a scenario out; such results are marked. */
  readonly quick: boolean;
  readonly log: (line: string) => void;
}

export interface ScenarioResult {
  /** The figure of the table's row. */
  readonly figure: string;
  /** Everything measured, by name. */
  readonly measured: Readonly<Record<string, Spread | number | string>>;
  /** Why it could not be measured, when it could not. */
  readonly unavailable?: string;
}

export interface Pair {
  readonly ours: number;
  readonly baseline: number;
}

/** Runs `ours` and `baseline` in turn, first one of them first, then the other. */
export async function pairs(
  rounds: number,
  ours: () => Promise<number>,
  baseline: () => Promise<number>,
): Promise<readonly Pair[]> {
  const taken: Pair[] = [];
  for (let round = 0; round < rounds; round++) {
    if (round % 2 === 0) {
      const first = await ours();
      taken.push({ ours: first, baseline: await baseline() });
    } else {
      const first = await baseline();
      taken.push({ baseline: first, ours: await ours() });
    }
  }
  return taken;
}

export function ratios(taken: readonly Pair[]): { ours: Spread; baseline: Spread; ratio: Spread } {
  return {
    ours: spread(taken.map((pair) => pair.ours)),
    baseline: spread(taken.map((pair) => pair.baseline)),
    ratio: spread(taken.map((pair) => pair.ours / pair.baseline)),
  };
}
