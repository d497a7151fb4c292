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
  );
  return resultOf(row, taken, options);
}

/** Opens both sides, prepares each, and measures them in pairs. */
export async function onBothSides<T>(
  sides: SideOptions,
  { quick, rounds }: RunOptions,
  prepare: (side: Side) => Promise<void>,
  measure: (side: Side) => Promise<T>,
): Promise<readonly Pair<T>[]> {
  const go = await Side.open("go", sides);
  try {
    const millrace = await Side.open("millrace", sides);
    try {
      for (const side of [go, millrace]) await prepare(side);
      return await interleaved(quick ? 1 : rounds, { go, millrace }, measure);
    } finally {
      await millrace.close();
    }
  } finally {
    await go.close();
  }
}

async function measured(row: Comparison, side: Side, seconds: number): Promise<Measured> {
  const before = side.cpuSeconds();
  const sample = await row.measure(side, seconds);
  return { ...sample, cpuSeconds: side.cpuSeconds() - before };
}

type Pair<T> = Readonly<Record<SideName, T>>;

/** Runs both sides in turn, now one of them first and now the other. */
async function interleaved<T>(
  rounds: number,
  sides: Pair<Side>,
  measure: (side: Side) => Promise<T>,
): Promise<readonly Pair<T>[]> {
  const taken: Pair<T>[] = [];
  for (let round = 0; round < rounds; round++) {
    if (round % 2 === 0) {
      const go = await measure(sides.go);
      taken.push({ go, millrace: await measure(sides.millrace) });
    } else {
      const millrace = await measure(sides.millrace);
      taken.push({ millrace, go: await measure(sides.go) });
    }
  }
  return taken;
}

function resultOf(row: Comparison, taken: readonly Pair<Measured>[], { log }: RunOptions): ScenarioResult {
  const rateOf = ({ work, seconds, cpuSeconds }: Measured): number =>
    work / (row.per === "second" ? seconds : cpuSeconds);
  const all = (name: SideName, of: (one: Measured) => number): Spread =>
    spread(taken.map((pair) => of(pair[name])));
  const ratio = spread(taken.map((pair) => rateOf(pair.millrace) / rateOf(pair.go)));
  const p99 = (name: SideName): Record<string, Spread> =>
    taken[0]?.[name].p99Ms === undefined ? {} : { [`${name}P99Ms`]: all(name, (one) => one.p99Ms!) };
  for (const { millrace, go } of taken) {
    const ratioHere = (rateOf(millrace) / rateOf(go)).toFixed(2);
    log(`${ratioHere}: ${describe(millrace, row)}, Go ${describe(go, row)}`);
  }
  return {
    figure: figureOf(ratio.median, all("millrace", rateOf).median, row),
    measured: {
      ratio,
      [`millracePer-${row.per}`]: all("millrace", rateOf),
      [`goPer-${row.per}`]: all("go", rateOf),
      millracePerSecond: all("millrace", ({ work, seconds }) => work / seconds),
      goPerSecond: all("go", ({ work, seconds }) => work / seconds),
      ...p99("millrace"),
      ...p99("go"),
      unit: row.unit,
    },
  };
}

function figureOf(ratio: number, rate: number, { unit, per }: Comparison): string {
  return `${ratio.toFixed(2)} (${amount(rate)} ${unit} a ${per === "second" ? "second" : "CPU second"})`;
}

function describe({ work, seconds, cpuSeconds, p99Ms }: Measured, { unit }: Comparison): string {
  const latency = p99Ms === undefined ? "" : `, p99 ${p99Ms.toFixed(1)} ms`;
  return `${amount(work / cpuSeconds)} ${unit} a CPU second, ${amount(work / seconds)} a second${latency}`;
}

/** Three digits and k for thousands. */
function amount(value: number): string {
  if (value >= 100_000) return `${(value / 1000).toFixed(0)} k`;
  return value >= 1000 ? `${(value / 1000).toFixed(1)} k` : value.toFixed(0);
}
