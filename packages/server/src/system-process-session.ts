// What this process says of itself to the others on its etcd: keys under one lease of `distribution.ttl`, and groups
// whose members share a work. Losing the lease is not the end of the process: it does nothing that others may do
// meanwhile, gets another lease, and joins again.
import { TaskGroup, utf8, WireError } from "@millrace/base";
import { LeasedKeys, MemberGroup } from "@millrace/metadata";
import type { ComponentName } from "./components.ts";
import type { Lifecycle } from "./lifecycle.ts";
import type { PartContext } from "./part-context.ts";
import { directoryId } from "./system-directory-id.ts";

export interface ProcessSession {
  /** The id of the data directory, which one process has at a time (D8). */
  readonly nodeId: string;
  readonly leases: LeasedKeys;
  /** Joins the processes that run `component`, until the parts that were started before it stop. */
  join(component: ComponentName, signal: AbortSignal): Promise<MemberGroup>;
}

export type SessionContext = Pick<
  PartContext,
  "coordination" | "clock" | "random" | "logger" | "health" | "dataDirectory" | "onFatal"
> & { readonly config: Pick<PartContext["config"], "distribution.ttl"> };

const NODES = "stream/runtime/distribution/node/";
const GROUPS = "stream/runtime/distribution/group/";

export async function startProcessSession(
  lifecycle: Lifecycle,
  context: SessionContext,
  signal: AbortSignal,
): Promise<ProcessSession> {
  const { config, coordination: store, clock, logger, health } = context;
  const nodeId = directoryId(context.dataDirectory, context.random);
  const about = (component: string): Uint8Array => {
    const startedAt = new Date(clock.wallMs()).toISOString();
    return utf8(JSON.stringify({ component, startedAt }));
  };
  const tasks = new TaskGroup("process session", (_task, error) => context.onFatal(error));
  const ttlSeconds = Math.floor(config["distribution.ttl"] / 1000);
  const leases = new LeasedKeys({ store, clock, logger, ttlSeconds, setting: "distribution.ttl" });
  await lifecycle.start(
    "process session",
    async () => {
      await endLastLife(context, nodeId, signal);
      leases.hold(NODES + nodeId, about("process"));
      tasks.spawn("leases", (stopping) => leases.run(stopping));
      await leases.session(signal);
    },
    () => tasks.close(),
  );
  health.addDegradation(() => {
    if (leases.taken.length > 0)
      return "another process has the id of this one: is its data directory a copy?";
    return leases.lease === undefined
      ? "its lease (distribution.ttl) is lost: others do its work"
      : undefined;
  });
  return {
    nodeId,
    leases,
    join: (component, joining) =>
      lifecycle.start(
        `group ${component}`,
        async () => {
          const prefix = `${GROUPS}${component}/nodes/`;
          const value = about(component);
          const group = new MemberGroup({ store, clock, logger, prefix, id: nodeId, value, leases });
          await group.load(joining);
          tasks.spawn(component, (stopping) => group.run(stopping));
          return group;
        },
        async (group) => group.leave(),
      ),
  };
}

/** The directory is this process's alone, so what stands there under its id is of a life that has ended. */
async function endLastLife(
  { coordination, logger }: Pick<PartContext, "coordination" | "logger">,
  nodeId: string,
  signal: AbortSignal,
): Promise<void> {
  const { kvs } = await coordination.range({ key: NODES + nodeId }, signal);
  const lease = kvs[0]?.lease ?? 0n;
  if (lease === 0n) return;
  try {
    await coordination.revokeLease(lease, signal);
    logger.info("last-life-ended", { nodeId });
  } catch (thrown) {
    if (signal.aborted || WireError.from(thrown).code !== "NOT_FOUND") throw thrown;
  }
}
