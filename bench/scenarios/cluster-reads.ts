// Reads of a gibibyte against Go's broker: over gRPC from the primary and through a broker that must ask another one,
// and over HTTP.
import { appendLoad, createJournals, readLoad, type Journals } from "../cluster/gzload.ts";
import { compared, ONE_BROKER, THREE_BROKERS, type Sample } from "../cluster/compare.ts";
import type { Side } from "../cluster/side.ts";
import { run } from "../processes.ts";
import type { Scenario } from "../scenario.ts";

const MB = 1e6;
const GIB = 2 ** 30;
const QUICK_BYTES = 2 ** 27;
const CHUNK_BYTES = 2 ** 20;
/** One fragment, and not closed: nothing is compressed or stored meanwhile. */
const JOURNALS: Journals = { prefix: "bench/read", count: 1, replication: 1, fragmentBytes: 4 * GIB };
const JOURNAL = `${JOURNALS.prefix}/part-000`;
const FILL_SECONDS_MAX = 60;

export const clusterReads: readonly Scenario[] = [
  compared({
    name: "cluster-read",
    title: "gRPC read of 1 GiB from the primary, per CPU second of the broker",
    atLeast: "0.8",
    aim: "1.5",
    sides: ONE_BROKER,
    per: "cpu-second",
    unit: "MB",
    prepare: fill,
    measure: (side) => read(side, side.address),
  }),
  compared({
    name: "cluster-read-proxied",
    title: "gRPC read of 1 GiB through a broker that does not have it, per second",
    atLeast: "0.8",
    aim: "1.5",
    sides: THREE_BROKERS,
    per: "second",
    unit: "MB",
    prepare: fill,
    measure: async (side) => read(side, await otherThanPrimary(side)),
  }),
  compared({
    name: "cluster-read-http",
    title: "HTTP read of 1 GiB (`curl`), per second",
    atLeast: "0.7",
    aim: "1.5",
    sides: ONE_BROKER,
    programs: ["curl"],
    per: "second",
    unit: "MB",
    prepare: fill,
    measure: readOverHttp,
  }),
];

async function fill(side: Side, seconds: number): Promise<void> {
  await createJournals(side, JOURNALS);
  const wanted = seconds < 3 ? QUICK_BYTES : GIB;
  const load = { mode: "append", clients: 2, size: CHUNK_BYTES, seconds: 1 } as const;
  for (let filled = 0, tries = 0; filled < wanted; tries++) {
    if (tries === FILL_SECONDS_MAX) throw new Error(`${side.name}: ${filled} bytes after ${tries} s`);
    filled += (await appendLoad(side, JOURNALS, load)).appends * CHUNK_BYTES;
  }
  await readLoad(side, JOURNAL);
}

async function read(side: Side, address: string): Promise<Sample> {
  const { bytes, seconds } = await readLoad(side, JOURNAL, { address });
  return { work: bytes / MB, seconds };
}

async function readOverHttp(side: Side): Promise<Sample> {
  const wanted = "%{size_download} %{time_total}";
  const said = await run("curl", [
    "-s",
    "-o",
    "/dev/null",
    "-w",
    wanted,
    `${side.address}/${JOURNAL}?offset=0`,
  ]);
  const [bytes = 0, seconds = 0] = said.split(" ").map(Number);
  if (bytes < QUICK_BYTES) throw new Error(`${side.name}: read ${bytes} bytes`);
  return { work: bytes / MB, seconds };
}

/** A broker that is not the journal's primary. */
async function otherThanPrimary(side: Side): Promise<string> {
  const primary = await side.primaryOf(JOURNAL);
  return side.brokers.find((broker) => broker !== primary)!.address;
}
