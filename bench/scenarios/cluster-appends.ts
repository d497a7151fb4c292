// Appends against Go's broker: small ones, small ones that Gazette's AppendService gathers, large ones, over HTTP.
import { appendLoad, createJournals, type AppendLoad, type Journals } from "../cluster/gzload.ts";
import { compared, ONE_BROKER, THREE_BROKERS, type Comparison, type Sample } from "../cluster/compare.ts";
import type { Side } from "../cluster/side.ts";
import type { Scenario } from "../scenario.ts";
import { requestLoad } from "../wrk.ts";

interface Load extends Omit<AppendLoad, "seconds"> {
  /** Appends before anything is measured: code is compiled by then, files and memory are there. */
  readonly warmUp: number;
}

const SMALL: Load = { mode: "append", clients: 64, size: 300, warmUp: 50_000 };
const SERVICE: Load = { mode: "service", clients: 256, size: 300, warmUp: 200_000 };
const LARGE: Load = { mode: "append", clients: 8, size: 64 * 1024, warmUp: 8000 };
const MB = 1e6;
/** Turns of the load at most before anything is measured. */
const WARM_TURNS_MAX = 10;

const TITLES: Readonly<Record<string, string>> = {
  small: "appends of 300 B, 64 clients, 8 journals",
  service: "AppendService, 256 writers of 300 B, 8 journals",
  large: "appends of 64 KiB, 8 clients, 8 journals",
};

export const clusterAppends: readonly Scenario[] = [
  appends("small", SMALL, 1, { atLeast: "1.2", aim: "2.5" }),
  appends("small", SMALL, 3, { atLeast: "1.0", aim: "2" }),
  appends("service", SERVICE, 1, { atLeast: "0.8", aim: "1.5" }),
  appends("service", SERVICE, 3, { atLeast: "1.0", aim: "2" }),
  appends("large", LARGE, 1, { atLeast: "1.0", aim: "1.8" }),
  appends("large", LARGE, 3, { atLeast: "1.0", aim: "1.8" }),
  overHttp(),
];

function appends(
  what: "small" | "service" | "large",
  load: Load,
  replication: 1 | 3,
  { atLeast, aim }: Pick<Scenario, "atLeast" | "aim">,
): Scenario {
  const journals: Journals = { prefix: `bench/${what}`, count: 8, replication };
  const isLarge = what === "large";
  const row: Comparison = {
    name: `cluster-${what}-r${replication}`,
    title: `${TITLES[what]}, R=${replication}, per CPU second of the brokers`,
    atLeast,
    aim,
    sides: replication === 1 ? ONE_BROKER : THREE_BROKERS,
    per: "cpu-second",
    unit: isLarge ? "MB" : "appends",
    prepare: async (side, seconds) => {
      await createJournals(side, journals);
      await warmUp(load.warmUp, async () => (await appendLoad(side, journals, { ...load, seconds })).appends);
    },
    measure: async (side, seconds): Promise<Sample> => {
      const { appends: count, perSecond, p99 } = await appendLoad(side, journals, { ...load, seconds });
      const work = isLarge ? (count * load.size) / MB : count;
      return { work, seconds: count / perSecond, p99Ms: p99 };
    },
  };
  return compared(row);
}

/** @param turn works for some seconds @returns how many appends there were */
async function warmUp(wanted: number, turn: () => Promise<number>): Promise<void> {
  for (let done = 0, turns = 0; done < wanted && turns < WARM_TURNS_MAX; turns++) done += await turn();
}

function overHttp(): Scenario {
  const journals: Journals = { prefix: "bench/http", count: 1, replication: 1 };
  const body = `${"x".repeat(299)}\n`;
  const load = async (side: Side, seconds: number): Promise<Sample> => {
    const url = `${side.address}/${journals.prefix}/part-000`;
    const result = await requestLoad(url, { method: "PUT", body, connections: 64, seconds });
    if (result.failures > 0) throw new Error(`${side.name}: ${result.failures} requests failed`);
    return { work: result.requests, seconds, p99Ms: result.p99Ms };
  };
  return compared({
    name: "cluster-http-put",
    title: "HTTP PUT of 300 B, 64 connections (`wrk`), per CPU second of the broker",
    atLeast: "3",
    aim: "6",
    sides: ONE_BROKER,
    programs: ["wrk"],
    per: "cpu-second",
    unit: "appends",
    prepare: async (side, seconds) => {
      await createJournals(side, journals);
      await warmUp(SMALL.warmUp, async () => (await load(side, seconds)).work);
    },
    measure: load,
  });
}
