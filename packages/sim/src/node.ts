// One life of a whole platform process, put together from its real parts on simulated ports.
import { MetricsRegistry, never, silentLogger, TaskGroup, type Random, type WireError } from "@millrace/base";
import { openBroker, type Broker } from "@millrace/broker";
import { Life } from "@millrace/broker/testkit";
import { inlineCodecs, openSpools, SPOOL_DEFAULTS, type Spools } from "@millrace/fragments";
import { DefinitionMirror, DefinitionRepository, openPipeline, Partitions, type Pipeline } from "@millrace/ingest";
import { BufferPool, PartitionPublisher, publisherMetrics, QueueBudget } from "@millrace/ingest/testkit";
import { openDurableStore, type EmbeddedStore } from "@millrace/metadata";
import { newJournalSpec } from "@millrace/protocol";
import { objectStores } from "@millrace/stores";
import { lossyFramePort, type FrameFaults } from "./frame-port.ts";
import type { World } from "./world.ts";

export const SINK = { projectId: 1, branchId: 1, sourceId: "sim", sinkId: "rows" } as const;
export const TABLE = "main.rows";
export const FRAGMENTS = "file:///fragments/";
export const STAGING = "file:///staging/";
/** Journals below this prefix are made by their first append. */
export const RAW_PREFIX = "raw/";

export interface Node {
  readonly life: Life;
  readonly broker: Broker;
  readonly coordination: EmbeddedStore;
  readonly pipeline: Pipeline;
  readonly publisher: PartitionPublisher;
  readonly frames: FrameFaults;
  readonly random: Random;
  /** Graceful stop: what was accepted becomes rows, everything is synced. */
  close(): Promise<void>;
}

export async function openNode(world: World, number: number): Promise<Node> {
  const life = new Life();
  const random = world.random.fork(`life ${number}`);
  const disk = world.disk.open();
  const clock = life.clock(world.clock);
  const stores = life.stores(objectStores({ file: (url) => world.store(url) }));
  const metrics = new MetricsRegistry();
  const onFatal = (error: WireError): void => world.fail(error);
  const ports = { clock, random, logger: silentLogger, metrics, onFatal, disk };

  const coordination = await openDurableStore({ ...ports, dir: "coordination", log: logOptions(world) });
  const spools = await openSpools(ports, spoolOptions(world), never);
  const broker = await openBroker(
    { ...ports, spools, stores, coordination, codecs: inlineCodecs },
    {
      id: { zone: "local", suffix: "broker-1" },
      endpoint: "http://127.0.0.1:8080",
      autoCreate: [{ prefix: RAW_PREFIX, template: template(world) }],
    },
    never,
  );
  const tasks = new TaskGroup("node", (_task, error) => world.fail(error));
  const catalog = new DefinitionMirror({ ...ports, store: coordination });
  await catalog.load(never);
  tasks.spawn("definitions", (signal) => catalog.run(signal));
  if (catalog.sink(SINK) === undefined) await define(coordination, catalog, ports);

  const { transport } = broker;
  const pipeline = await openPipeline(
    { ...ports, store: coordination, transport, catalog, stores, stagingStore: stores.open(STAGING), target: world.target },
    {},
    never,
  );
  pipeline.failure.catch((error: unknown) => world.fail(error));
  const frames = { lostAnswers: world.swarm.lostAnswers, freshIdentity: world.controls.withoutSequences };
  const publisher = new PartitionPublisher(
    {
      ...ports,
      frames: lossyFramePort(transport, random.fork("frames"), frames),
      partitions: new Partitions({ ...ports, store: coordination, transport, catalog }, template(world)),
      turns: { atEnd: (run) => void clock.after(0, run) },
      budget: new QueueBudget({ queuedBytesMax: 1 << 24, partitionQueuedBytesMax: 1 << 24 }),
      buffers: new BufferPool(4, 1 << 20),
      metrics: publisherMetrics(metrics),
    },
    { key: SINK, n: 0 },
    1,
    tasks,
  );
  return {
    life,
    broker,
    coordination,
    pipeline,
    publisher,
    frames,
    random,
    close: () => close({ publisher, pipeline, tasks, broker, spools, coordination }),
  };
}

async function close(parts: {
  publisher: PartitionPublisher;
  pipeline: Pipeline;
  tasks: TaskGroup;
  broker: Broker;
  spools: Spools;
  coordination: EmbeddedStore;
}): Promise<void> {
  await parts.publisher.drain();
  await parts.pipeline.drain(never);
  await parts.pipeline.close();
  await parts.tasks.close();
  await parts.broker.close();
  await parts.spools.close();
  await parts.coordination.close();
}

/** Segments small enough to be recycled many times in a run. */
function logOptions({ swarm }: World) {
  const { segmentBytes } = swarm;
  return { segmentBytes, firstSegmentBytes: segmentBytes, groupBytesMax: segmentBytes / 4 };
}

function spoolOptions(world: World) {
  const { segmentBytes } = world.swarm;
  return {
    log: { ...SPOOL_DEFAULTS.log, ...logOptions(world) },
    checkpointLogBytes: 2 * segmentBytes,
    reserveBytes: 2 * segmentBytes,
    directBytesMin: 16 * 1024,
    tailBytesMax: 64 * 1024,
  };
}

function template(world: World) {
  const { name: _name, ...spec } = newJournalSpec({ name: "sim/template", replication: 1 });
  const fragment = {
    ...spec.fragment,
    length: world.swarm.fragmentBytes,
    compressionCodec: "GZIP" as const,
    stores: [FRAGMENTS],
    refreshIntervalMs: 60_000,
  };
  return { ...spec, fragment };
}

async function define(
  store: EmbeddedStore,
  catalog: DefinitionMirror,
  ports: Pick<ConstructorParameters<typeof DefinitionRepository>[0], "clock" | "random">,
): Promise<void> {
  const repository = new DefinitionRepository({ ...ports, store });
  const by = { type: "system" } as const;
  const description = "";
  await repository.createSource({ ...SINK, name: "sim", description }, by, never);
  const columns = [
    { type: "path", name: "id", path: "id" },
    { type: "body", name: "body" },
  ] as const;
  const sink = { ...SINK, name: "rows", description, tableId: TABLE, columns, settings: {} };
  const outcome = await repository.createSink(sink, by, never);
  if (outcome.kind === "created") await catalog.waitForRevision(outcome.revision, never);
}
