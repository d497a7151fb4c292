// To whom the sources, sinks and tables of an etcd belong, for good. The partitions' journals are those of the brokers
// below one prefix, and the tables of DuckDB are in one data directory: in another they would begin anew.
import { text, utf8, WireError } from "@millrace/base";
import { keyOf, type Key } from "@millrace/metadata";
import type { PartContext } from "./part-context.ts";

const PREFIX = keyOf("/millrace/pipeline/prefix");
const WAREHOUSE = keyOf("/millrace/pipeline/warehouse");

type Ports = Pick<PartContext, "coordination">;

/** @param prefix root of the brokers' keys @throws {WireError} CONFLICT when they belong to brokers of another one */
export async function claimPrefix(ports: Ports, prefix: string, signal: AbortSignal): Promise<void> {
  const owner = await firstOf(ports, PREFIX, prefix, signal);
  if (owner === prefix) return;
  const message = `the sources of this etcd belong to the brokers of --etcd.prefix ${owner}, not ${prefix}`;
  throw new WireError("CONFLICT", message);
}

/** @param nodeId id of the data directory @throws {WireError} CONFLICT when the tables are in another one */
export async function claimWarehouse(ports: Ports, nodeId: string, signal: AbortSignal): Promise<void> {
  const owner = await firstOf(ports, WAREHOUSE, nodeId, signal);
  if (owner === nodeId) return;
  const message =
    `the tables of this etcd are in the warehouse of the data directory ${owner}, this one is ${nodeId}: ` +
    "run the components warehouse and storage-coordinator there";
  throw new WireError("CONFLICT", message);
}

/** Puts `value` where nothing stands yet. @returns what stands there */
async function firstOf(
  { coordination }: Ports,
  key: Key,
  value: string,
  signal: AbortSignal,
): Promise<string> {
  const { results } = await coordination.txn(
    {
      compare: [{ target: "version", key, op: "=", version: 0 }],
      success: [{ kind: "put", key, value: utf8(value) }],
      failure: [{ kind: "range", key }],
    },
    signal,
  );
  const [found] = results;
  return found?.kind === "range" ? text(found.kvs[0]?.value ?? utf8(value)) : value;
}
