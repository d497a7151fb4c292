// The parts between the source and the table: definitions, the pipeline, the HTTP source.
import { TaskStore } from "@millrace/api";
import { TaskGroup } from "@millrace/base";
import type { Broker } from "@millrace/broker";
import type { JournalTransport } from "@millrace/client";
import {
  DefinitionMirror,
  openPipeline,
  Partitions,
  type PartitionIntegrity,
  type Pipeline,
  type PipelineComponent,
  type TargetRegistry,
} from "@millrace/ingest";
import type { Fragment } from "@millrace/protocol";
import { partitionTemplate, STAGING_STORE } from "./journal-templates.ts";
import type { Lifecycle } from "./lifecycle.ts";
import type { PartContext } from "./part-context.ts";

/** Definitions as this process sees them, followed from the coordination store. */
export async function startDefinitions(
  lifecycle: Lifecycle,
  context: PartContext,
  signal: AbortSignal,
): Promise<DefinitionMirror> {
  const mirror = new DefinitionMirror({ ...context, store: context.coordination });
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
  context: Pick<PartContext, "coordination" | "clock" | "random" | "logger" | "onFatal">,
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

/** @param components at least one */
export async function startPipeline(
  lifecycle: Lifecycle,
  context: PartContext,
  parts: {
    readonly broker: Broker;
    readonly catalog: DefinitionMirror;
    readonly targets: TargetRegistry;
  },
  components: readonly PipelineComponent[],
  signal: AbortSignal,
): Promise<Pipeline> {
  const { config, coordination, stores } = context;
  const { broker, catalog, targets } = parts;
  const { transport } = broker;
  const store = coordination;
  const stagingStore = stores.open(STAGING_STORE);
  const onFragmentRemoved = (fragment: Fragment): void => broker.fragmentRemoved(fragment);
  const pipeline = await lifecycle.start(
    "pipeline",
    () =>
      openPipeline(
        { ...context, store, transport, stagingStore, catalog, targets, onFragmentRemoved },
        {
          components,
          cleanup: {
            fragments: { keptMs: config["stream.retention"], keptBytes: config["stream.retention-size"] },
          },
        },
        signal,
      ),
    async (opened, stopSignal) => {
      const { remaining } = await opened.drain(stopSignal);
      for (const [journal, bytes] of remaining)
        context.logger.warn("left-for-next-start", { journal, bytes });
      await opened.close();
    },
  );
  pipeline.failure.catch((error: unknown) => context.onFatal(error));
  return pipeline;
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
