// Sources, sinks and the pipeline of an etcd belong to one process: another would rotate the same slices into a
// warehouse of its own. The claim stands under the broker's lease, so that it ends with the process. For good they
// belong to the brokers below one prefix, which have the partitions' journals.
import { text, utf8, WireError } from "@millrace/base";
import type { Broker } from "@millrace/broker";
import { keyOf } from "@millrace/metadata";
import type { PartContext } from "./part-context.ts";

const CLAIM = keyOf("/millrace/pipeline/claim");
const PREFIX = keyOf("/millrace/pipeline/prefix");
const RETRY_MS = 1000;

/**
 * Waits until no other process has it. @param prefix root of the brokers' keys
 * @throws {WireError} CONFLICT when it belongs to the brokers of another prefix; of the coordination store
 * @throws `signal.reason`
 */
export async function claimPipeline(
  context: Pick<PartContext, "coordination" | "clock" | "logger" | "health">,
  { lease }: Pick<Broker, "lease">,
  prefix: string,
  signal: AbortSignal,
): Promise<void> {
  const { coordination, clock, logger, health } = context;
  const owned = await coordination.txn(
    {
      compare: [{ target: "version", key: PREFIX, op: "=", version: 0 }],
      success: [{ kind: "put", key: PREFIX, value: utf8(prefix) }],
      failure: [{ kind: "range", key: PREFIX }],
    },
    signal,
  );
  const [found] = owned.results;
  const owner = found?.kind === "range" ? text(found.kvs[0]?.value ?? utf8(prefix)) : prefix;
  if (owner !== prefix) {
    const message = `the sources of this etcd belong to the brokers of --etcd.prefix ${owner}, not ${prefix}`;
    throw new WireError("CONFLICT", message);
  }
  let isTaken = false;
  health.addReason(() => (isTaken ? "the pipeline of this etcd runs in another process" : undefined));
  const compare = [{ target: "version", key: CLAIM, op: "=", version: 0 }] as const;
  const success = [{ kind: "put", key: CLAIM, value: utf8(prefix), lease }] as const;
  while (!(await coordination.txn({ compare, success }, signal)).succeeded) {
    if (!isTaken) logger.warn("pipeline-taken", { key: CLAIM, retryMs: RETRY_MS });
    isTaken = true;
    await clock.sleep(RETRY_MS, signal);
  }
  isTaken = false;
}
