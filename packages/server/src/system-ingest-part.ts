// The parts between the source and the table: definitions, the pipeline, the HTTP source.
import { TaskStore } from "@millrace/api";
import { TaskGroup } from "@millrace/base";
import type { JournalTransport } from "@millrace/client";
import {
  DeadLetterJournals,
  DefinitionMirror,
  DoorSync,
  openPipeline,
  ownsAll,
  Partitions,
  Purges,
  type PartitionIntegrity,
  type Pipeline,
  type PipelineComponent,
  type PurgePorts,
  type TargetRegistry,
} from "@millrace/ingest";
import { Evaluators, evaluatorProcesses, launchEvaluator } from "@millrace/jsonata";
import { addMirrorMetrics, wholeShare, type GroupShare } from "@millrace/metadata";
import { partitionTemplate } from "./journal-templates.ts";
import type { Lifecycle } from "./lifecycle.ts";
import type { DefinedContext, PartContext } from "./part-context.ts";
import type { Journals } from "./system-journals-part.ts";
import type { ProcessSession } from "./system-process-session.ts";

/** Definitions as this process sees them, followed from the coordination store. */
export async function startDefinitions(
  lifecycle: Lifecycle,
  context: DefinedContext,
  signal: AbortSignal,
): Promise<DefinitionMirror> {
  const mirror = new DefinitionMirror({ ...context, store: context.coordination });
  addMirrorMetrics(context.metrics, "definitions", () => mirror.size);
  context.health.addDegradation(() =>
    mirror.undecodable === 0
      ? undefined
      : `${mirror.undecodable} definitions cannot be opened: see keyspace-value-undecodable in the log`,
  );
  const tasks = new TaskGroup("definitions", (_task, error) => context.onFatal(error));
  return lifecycle.start(
    "definitions",
    async () => {
      await mirror.load(signal);
      tasks.spawn("mirror", (stopping) => mirror.run(stopping));
      return mirror;
    },
    () => tasks.close(),
  );
}

/** Tasks of the API, and the removal of the records of old ones (D27). */
export function startTasks(
  lifecycle: Lifecycle,
  context: Pick<PartContext, "coordination" | "clock" | "random" | "logger" | "metrics" | "onFatal">,
): Promise<TaskStore> {
  const store = new TaskStore({ ...context, store: context.coordination });
  const tasks = new TaskGroup("task records", (_task, error) => context.onFatal(error));
  return lifecycle.start(
    "tasks",
    () => {
      tasks.spawn("removal", (stopping) => store.run(stopping));
      return Promise.resolve(store);
    },
    async () => {
      await store.close();
      await tasks.close();
    },
  );
}

export const PIPELINE: readonly PipelineComponent[] = ["storage-reader", "storage-coordinator"];

/** Those who run the pipeline's components on the same etcd. */
export interface PipelineGroups {
  readonly reader: GroupShare;
  readonly coordinator: GroupShare;
}

/** @returns undefined for a process that is alone with its store */
export async function joinPipeline(
  session: ProcessSession | undefined,
  components: readonly PipelineComponent[],
  signal: AbortSignal,
): Promise<PipelineGroups | undefined> {
  if (session === undefined) return undefined;
  const share = async (component: PipelineComponent): Promise<GroupShare> =>
    components.includes(component) ? session.join(component, signal) : wholeShare(session.nodeId);
  return { reader: await share("storage-reader"), coordinator: await share("storage-coordinator") };
}

/** What the doors of all processes have seen of the definitions. */
export async function startDoorSync(
  lifecycle: Lifecycle,
  context: PartContext,
  signal: AbortSignal,
): Promise<DoorSync> {
  const doors = new DoorSync({ ...context, store: context.coordination });
  const tasks = new TaskGroup("doors", (_task, error) => context.onFatal(error));
  return lifecycle.start(
    "doors",
    async () => {
      await doors.load(signal);
      tasks.spawn("mirror", (stopping) => doors.run(stopping));
      return doors;
    },
    () => tasks.close(),
  );
}

/** Who evaluates JSONata: no process is started before there is something to evaluate. */
export function startEvaluators(
  lifecycle: Lifecycle,
  { clock, logger, metrics }: Pick<PartContext, "clock" | "logger" | "metrics">,
): Promise<Evaluators> {
  return lifecycle.start(
    "templates",
    () => {
      const ports = { launch: launchEvaluator, clock, logger, metrics };
      return Promise.resolve(new Evaluators(ports, evaluatorProcesses()));
    },
    (evaluators) => evaluators.close(),
  );
}

/** @param components without any it follows what the others do */
export async function startPipeline(
  lifecycle: Lifecycle,
  context: PartContext,
  parts: {
    readonly journals: Journals;
    readonly catalog: DefinitionMirror;
    readonly targets: TargetRegistry;
    /** Who shares the work; absent: nobody. */
    readonly groups: PipelineGroups | undefined;
    readonly isWarehouseElsewhere: boolean;
  },
  components: readonly PipelineComponent[],
  signal: AbortSignal,
): Promise<Pipeline> {
  const { config, coordination, stores } = context;
  const { journals, catalog, targets, groups, isWarehouseElsewhere } = parts;
  const shares = groups === undefined ? {} : { shares: groups };
  const { transport, fragmentRemoved: onFragmentRemoved } = journals;
  const store = coordination;
  const stagingStore = stores.open(config["staging.store"]);
  // What is staged elsewhere may take as long as it likes.
  const canDrain = components.length === PIPELINE.length;
  const pipeline = await lifecycle.start(
    "pipeline",
    () =>
      openPipeline(
        {
          ...context,
          ...shares,
          store,
          transport,
          stagingStore,
          catalog,
          targets,
          isWarehouseElsewhere,
          onFragmentRemoved,
        },
        {
          components,
          publishes: groups !== undefined,
          reader: { keyBytesMax: config["stream.key-memory"] },
          cleanup: {
            fragments: { keptMs: config["stream.retention"], keptBytes: config["stream.retention-size"] },
          },
        },
        signal,
      ),
    async (opened, stopSignal) => {
      // Others go on with what is left as soon as this process has left the group.
      if (canDrain && (groups === undefined || groups.coordinator.members.length < 2)) {
        const { remaining } = await opened.drain(stopSignal);
        for (const [journal, bytes] of remaining)
          context.logger.warn("left-for-next-start", { journal, bytes });
      }
      await opened.close();
    },
  );
  pipeline.failure.catch((error: unknown) => context.onFatal(error));
  return pipeline;
}

/** Removes what purged sources have left. */
export function startPurges(
  lifecycle: Lifecycle,
  context: DefinedContext,
  parts: {
    readonly transport: JournalTransport;
    readonly targets: PurgePorts["targets"];
    readonly groups: PipelineGroups | undefined;
  },
): Promise<void> {
  const { config, coordination, stores } = context;
  const purges = new Purges({
    ...context,
    store: coordination,
    transport: parts.transport,
    targets: parts.targets,
    stagingStore: stores.open(config["staging.store"]),
    fragmentStores: partitionTemplate(config).fragment.stores,
    share: parts.groups?.coordinator ?? ownsAll,
  });
  const tasks = new TaskGroup("purges", (_task, error) => context.onFatal(error));
  return lifecycle.start(
    "purges",
    () => {
      tasks.spawn("purges", (stopping) => purges.run(stopping));
      return Promise.resolve();
    },
    () => tasks.close(),
  );
}

export function openPartitions(
  context: PartContext,
  parts: {
    readonly transport: JournalTransport;
    readonly catalog: DefinitionMirror;
    readonly integrity: PartitionIntegrity;
  },
): Partitions {
  return new Partitions(
    { ...context, ...parts, store: context.coordination },
    partitionTemplate(context.config),
  );
}

export function openDeadLetterJournals(
  context: PartContext,
  parts: { readonly transport: JournalTransport; readonly catalog: DefinitionMirror },
): DeadLetterJournals {
  return new DeadLetterJournals(
    { ...context, ...parts, store: context.coordination },
    partitionTemplate(context.config),
  );
}
