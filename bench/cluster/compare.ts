// A row of the cluster's table: the same load on both sides, in interleaved pairs, and the ratio of each pair.
//
// CPU seconds are those of the brokers alone (/proc, children included). Ratios of CPU seconds within a pair hold up
// when other work shares the machine; rates and latencies do so less.
import type { RunOptions, Scenario, ScenarioResult } from "../scenario.ts";
import { spread, type Spread } from "../statistics.ts";
import { missingPeers } from "../peers.ts";
import { CLUSTER_PEERS, Side, whyNoCluster, type SideName, type SideOptions } from "./side.ts";

/** What one run on one side gave. */
export interface Sample {
  /** Work done, in the row's unit. */
  readonly work: number;
  readonly seconds: number;
  readonly p99Ms?: number;
}

export interface Comparison {
  readonly name: string;
  readonly title: string;
  readonly atLeast: string;
  readonly aim: string;
  readonly sides: SideOptions;
  /** Programs besides those that every comparison needs. */
  readonly programs?: readonly string[];
  /** What the ratio is of. */
  readonly per: "cpu-second" | "second";
  /** Of `work`, for the log. */
  readonly unit: string;
  /** Makes what the load needs on a side that has just been started, and warms it up. */
  prepare(side: Side, seconds: number): Promise<void>;
  measure(side: Side, seconds: number): Promise<Sample>;
}

interface Measured extends Sample {
  readonly cpuSeconds: number;
}

const SECONDS = 5;
const QUICK_SECONDS = 2;
const LEASE_SECONDS = 20;
/** Of a row. */
const PAIRS_FAILED_MAX = 2;

export const ONE_BROKER: SideOptions = { brokers: 1, leaseSeconds: LEASE_SECONDS };
export const THREE_BROKERS: SideOptions = { brokers: 3, leaseSeconds: LEASE_SECONDS };

/** The scenario of a comparison. */
export function compared(row: Comparison): Scenario {
  const { name, title, atLeast, aim } = row;
  return { name, family: "cluster", title, atLeast, aim, run: (options) => runComparison(row, options) };
}

/** Why a row cannot be measured here and now, as its result. */
export async function unmeasured(
  sides: SideOptions,
  programs: readonly string[] = [],
): Promise<ScenarioResult | undefined> {
  const missing = missingPeers([...CLUSTER_PEERS, ...programs]);
  if (missing !== undefined) return { figure: "not measured", measured: {}, unavailable: missing };
  const reason = sides.brokers > 1 ? await whyNoCluster() : undefined;
  return reason === undefined ? undefined : { figure: reason, measured: {}, unavailable: reason };
}

async function runComparison(row: Comparison, options: RunOptions): Promise<ScenarioResult> {
  const impossible = await unmeasured(row.sides, row.programs);
  if (impossible !== undefined) return impossible;
  const seconds = options.quick ? QUICK_SECONDS : SECONDS;
  const taken = await onBothSides(
    row.sides,
    options,
    (side) => row.prepare(side, seconds),
    (side) => measured(row, side, seconds),
    (pair) =>
      `${ratioOf(row, pair).toFixed(2)}: ${described(pair.millrace, row)}, Go ${described(pair.go, row)}`,
  );
  return resultOf(row, taken);
}

/**
 * Opens both sides, prepares each, and measures them in pairs. When a pair fails both sides are started again and it is
 * taken again: what a machine's bad minute does to one pair is not worth a whole row. All pairs count in the end.
 * @throws {Error} when more than PAIRS_FAILED_MAX failed
 */
export async function onBothSides<T>(
  sides: SideOptions,
  { quick, rounds, log }: RunOptions,
  prepare: (side: Side) => Promise<void>,
  measure: (side: Side) => Promise<T>,
  describe: (pair: Pair<T>) => string,
): Promise<Taken<T>> {
  const wanted = quick ? 1 : rounds;
  const pairs: Pair<T>[] = [];
  const failures: string[] = [];
  const take = async (open: Pair<Side>): Promise<void> => {
    for (const side of [open.go, open.millrace]) await prepare(side);
    while (pairs.length < wanted) {
      const pair = await pairOf(open, pairs.length % 2 === 0, measure);
      pairs.push(pair);
      log(`${pairs.length} of ${wanted}: ${describe(pair)}`);
    }
  };
  while (pairs.length < wanted) {
    try {
      await withBothSides(sides, take);
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      failures.push(text);
      if (failures.length > PAIRS_FAILED_MAX) throw error;
      log(`a pair failed, and is taken again: ${text}`);
    }
  }
  return { pairs, failures };
}

async function withBothSides(sides: SideOptions, work: (open: Pair<Side>) => Promise<void>): Promise<void> {
  const go = await Side.open("go", sides);
  try {
    const millrace = await Side.open("millrace", sides);
    try {
      await work({ go, millrace });
    } finally {
      await millrace.close();
    }
  } finally {
    await go.close();
  }
}

/** Both sides in turn, now one of them first and now the other. */
async function pairOf<T>(
  sides: Pair<Side>,
  isGoFirst: boolean,
  measure: (side: Side) => Promise<T>,
): Promise<Pair<T>> {
  if (isGoFirst) {
    const go = await measure(sides.go);
    return { go, millrace: await measure(sides.millrace) };
  }
  const millrace = await measure(sides.millrace);
  return { millrace, go: await measure(sides.go) };
}

/** What says that pairs failed, for the figure of a row. */
export function failedPairs(failures: readonly string[]): string {
  if (failures.length === 0) return "";
  return `; ${failures.length} pair${failures.length === 1 ? "" : "s"} failed and taken again`;
}

async function measured(row: Comparison, side: Side, seconds: number): Promise<Measured> {
  const before = side.cpuSeconds();
  const sample = await row.measure(side, seconds);
  return { ...sample, cpuSeconds: side.cpuSeconds() - before };
}

export type Pair<T> = Readonly<Record<SideName, T>>;

export interface Taken<T> {
  readonly pairs: readonly Pair<T>[];
  /** Why pairs were taken again. */
  readonly failures: readonly string[];
}

function rateOf({ per }: Comparison, { work, seconds, cpuSeconds }: Measured): number {
  return work / (per === "second" ? seconds : cpuSeconds);
}

function ratioOf(row: Comparison, { go, millrace }: Pair<Measured>): number {
  return rateOf(row, millrace) / rateOf(row, go);
}

function resultOf(row: Comparison, { pairs, failures }: Taken<Measured>): ScenarioResult {
  const all = (name: SideName, of: (one: Measured) => number): Spread =>
    spread(pairs.map((pair) => of(pair[name])));
  const rate = (one: Measured): number => rateOf(row, one);
  const ratio = spread(pairs.map((pair) => ratioOf(row, pair)));
  const p99 = (name: SideName): Record<string, Spread> =>
    pairs[0]?.[name].p99Ms === undefined ? {} : { [`${name}P99Ms`]: all(name, (one) => one.p99Ms!) };
  return {
    figure: figureOf(ratio.median, all("millrace", rate).median, row) + failedPairs(failures),
    measured: {
      ratio,
      [`millracePer-${row.per}`]: all("millrace", rate),
      [`goPer-${row.per}`]: all("go", rate),
      millracePerSecond: all("millrace", ({ work, seconds }) => work / seconds),
      goPerSecond: all("go", ({ work, seconds }) => work / seconds),
      ...p99("millrace"),
      ...p99("go"),
      unit: row.unit,
      ...(failures.length > 0 && { failures: failures.join("\n") }),
    },
  };
}

function figureOf(ratio: number, rate: number, { unit, per }: Comparison): string {
  return `${ratio.toFixed(2)} (${amount(rate)} ${unit} a ${per === "second" ? "second" : "CPU second"})`;
}

function described({ work, seconds, cpuSeconds, p99Ms }: Measured, { unit }: Comparison): string {
  const latency = p99Ms === undefined ? "" : `, p99 ${p99Ms.toFixed(1)} ms`;
  return `${amount(work / cpuSeconds)} ${unit} a CPU second, ${amount(work / seconds)} a second${latency}`;
}

/** Three digits and k for thousands. */
function amount(value: number): string {
  if (value >= 100_000) return `${(value / 1000).toFixed(0)} k`;
  return value >= 1000 ? `${(value / 1000).toFixed(1)} k` : value.toFixed(0);
}
