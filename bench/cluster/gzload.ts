// `gzload`: one load for both sides, with Gazette's own Go client. A run is one line of JSON.
import { peer } from "../peers.ts";
import { run } from "../processes.ts";
import type { Side } from "./side.ts";

export interface Journals {
  readonly prefix: string;
  readonly count: number;
  readonly replication: number;
  /** Bytes of a fragment. Default: 256 MiB. */
  readonly fragmentBytes?: number;
}

export interface AppendLoad {
  /** `service`: Gazette's AppendService, which gathers what many writers write. */
  readonly mode: "append" | "service";
  readonly clients: number;
  /** Bytes of an append. */
  readonly size: number;
  readonly seconds: number;
  /** Appends a second over all clients; none: as many as it takes. */
  readonly perSecond?: number;
}

export interface AppendResult {
  readonly appends: number;
  readonly errors: number;
  readonly perSecond: number;
  /** Milliseconds. */
  readonly p99: number;
  /** Milliseconds; the longest pause between two acknowledgements. */
  readonly maxGapMs: number;
}

export async function createJournals(side: Side, journals: Journals): Promise<void> {
  const { prefix, count, replication, fragmentBytes = 2 ** 28 } = journals;
  await gzload(side, "create", {
    prefix,
    journals: count,
    replication,
    codec: "NONE",
    length: fragmentBytes,
  });
}

/** @throws {Error} when an append failed */
export async function appendLoad(side: Side, journals: Journals, load: AppendLoad): Promise<AppendResult> {
  const { mode, clients, size, seconds, perSecond } = load;
  const { prefix, count } = journals;
  const rate = perSecond === undefined ? {} : { rate: perSecond };
  const flags = { prefix, journals: count, clients, size, seconds, ...rate };
  const result = (await gzload(side, mode, flags)) as AppendResult;
  if (result.errors > 0) throw new Error(`${side.name}: ${result.errors} appends failed`);
  return result;
}

/** Reads a journal from its begin to its write head, or `bytes` of it. @returns bytes and seconds */
export async function readLoad(
  side: Side,
  journal: string,
  options: { readonly address?: string } = {},
): Promise<{ readonly bytes: number; readonly seconds: number }> {
  return (await gzload(side, "read", { journal }, options.address)) as { bytes: number; seconds: number };
}

export async function gzload(
  side: Side,
  mode: string,
  flags: Readonly<Record<string, string | number>>,
  address: string = side.address,
): Promise<unknown> {
  const args = Object.entries(flags).flatMap(([name, value]) => [`-${name}`, String(value)]);
  return JSON.parse(await run(peer("gzload"), [mode, "-addr", address, ...args]));
}
