// One life of a whole platform, put together from its real parts on simulated ports.
import {
  MetricsRegistry,
  silentLogger,
  TaskGroup,
  type Metrics,
  type Random,
  type WireError,
} from "@millrace/base";
import { openBroker, type Broker } from "@millrace/broker";
import { inlineCodecs, openSpools, SPOOL_DEFAULTS, type Spools } from "@millrace/fragments";
import {
  DefinitionMirror,
  DefinitionRepository,
  onlyTarget,
  openPipeline,
  Partitions,
  plainSecrets,
  type Pipeline,
} from "@millrace/ingest";
import { BufferPool, PartitionPublisher, publisherMetrics, QueueBudget } from "@millrace/ingest/testkit";
import { openDurableStore, type EmbeddedStore } from "@millrace/metadata";
import { newJournalSpec } from "@millrace/protocol";
import { objectStores } from "@millrace/stores";
import { lossyFramePort, type FrameFaults } from "./frame-port.ts";
import type { Process } from "./process.ts";
import { trustingSpools } from "./trusting-spools.ts";
import { FRAGMENTS, LOCAL_PREFIX, RAW_PREFIX, STAGING, tableOf, type World } from "./world.ts";

const SOURCE = { projectId: 1, branchId: 1, sourceId: "sim" } as const;
const LANES = 2;

export interface Node {
  readonly process: Process;
  readonly broker: Broker;
  readonly coordination: EmbeddedStore;
  readonly pipeline: Pipeline;
  readonly publishers: readonly TablePublisher[];
  readonly frames: FrameFaults;
  readonly random: Random;
  /**
   * Graceful stop.
   * @param signal ends the wait for rows to be loaded, not the rest
   */
  close(signal: AbortSignal): Promise<void>;
}

/** Publishes rows of one partition. */
export interface TablePublisher {
  readonly table: string;
  readonly publisher: PartitionPublisher;
}

/** @throws what a start refuses with */
export async function openNode(world: World, process: Process): Promise<Node> {
  const { life, disk, signal } = process;
  const random = world.random.fork(`life ${process.number}`);
  const stores = life.stores(objectStores({ file: (url) => world.store(url) }));
  const onFatal = (error: WireError): void => world.onFatal(process, error);
  const metrics = new MetricsRegistry();
  const ports = { clock: life.clock(world.clock), random, logger: silentLogger, metrics, onFatal, disk };

  const coordination = await openDurableStore({ ...ports, ...coordinationOptions(world) });
  const opened = await openSpools(ports, spoolOptions(world), signal);
  const spools = world.controls.withoutReadChecks ? trustingSpools(opened, disk) : opened;
  const broker = await openBroker(
    { ...ports, spools, stores, coordination, codecs: inlineCodecs },
    {
      id: { zone: "local", suffix: "broker-1" },
      endpoint: "http://127.0.0.1:8080",
      autoCreate: [
        { prefix: RAW_PREFIX, template: template(world, [FRAGMENTS]) },
        { prefix: LOCAL_PREFIX, template: template(world, []) },
      ],
      autoSuspend: () => world.swarm.autoSuspend,
      onFatal,
    },
    signal,
  );
  const tasks = new TaskGroup("node", (_task, error) => world.fail(error));
  const catalog = new DefinitionMirror({ ...ports, secrets: plainSecrets, store: coordination });
  await catalog.load(signal);
  tasks.spawn("definitions", (signal) => catalog.run(signal));
  await define(world, coordination, catalog, ports, signal);

  const { transport } = broker;
  const pipeline = await openPipeline(
    {
      ...ports,
      store: coordination,
      transport,
      catalog,
      stores,
      stagingStore: stores.open(STAGING),
      targets: onlyTarget("duckdb", world.target),
      onFragmentRemoved: (fragment) => broker.fragmentRemoved(fragment),
    },
    { cleanup: { fragments: { keptMs: world.swarm.keptMs, keptBytes: world.swarm.keptBytes } } },
    signal,
  );
  pipeline.failure.catch((error: unknown) => world.fail(error));
  const frames = {
    lostAnswers: world.swarm.faults.lostAnswers,
    freshIdentity: world.controls.withoutSequences,
  };
  const partitions = new Partitions(
    { ...ports, store: coordination, transport, catalog, integrity: pipeline.integrity },
    template(world, [FRAGMENTS]),
  );
  const framePort = lossyFramePort(transport, random.fork("frames"), frames);
  const publishers = openPublishers(world, { ...ports, frames: framePort, partitions, metrics }, tasks);
  const parts = { publishers, pipeline, tasks, broker, spools, coordination };
  return {
    process,
    broker,
    coordination,
    pipeline,
    publishers,
    frames,
    random,
    close: (signal) => close(parts, signal),
  };
}

type PublisherPorts = ConstructorParameters<typeof PartitionPublisher>[0];

/** One for each partition of each sink, over one budget, as the dispatcher of the HTTP source has them. */
function openPublishers(
  world: World,
  ports: Pick<PublisherPorts, "frames" | "partitions" | "clock" | "random" | "logger"> & { metrics: Metrics },
  tasks: TaskGroup,
): TablePublisher[] {
  const shared: PublisherPorts = {
    ...ports,
    turns: { atEnd: (run) => void ports.clock.after(0, run) },
    budget: new QueueBudget({ queuedBytesMax: 1 << 24, partitionQueuedBytesMax: 1 << 24 }),
    buffers: new BufferPool(4, 1 << 20),
    metrics: publisherMetrics(ports.metrics).partitions,
  };
  return Array.from({ length: world.swarm.sinks * world.swarm.partitions }, (_, i) => {
    const sink = i % world.swarm.sinks;
    const partition = { key: sinkKey(sink), n: Math.floor(i / world.swarm.sinks) };
    return { table: tableOf(sink), publisher: new PartitionPublisher(shared, partition, LANES, tasks) };
  });
}

async function close(
  parts: Pick<Node, "publishers" | "pipeline" | "broker" | "coordination"> & {
    tasks: TaskGroup;
    spools: Spools;
  },
  signal: AbortSignal,
): Promise<void> {
  await Promise.all(parts.publishers.map(({ publisher }) => publisher.drain()));
  await parts.pipeline.drain(signal);
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

function coordinationOptions(world: World) {
  const { segmentBytes, historyMs } = world.swarm;
  return { dir: "coordination", log: logOptions(world), checkpointLogBytes: segmentBytes, historyMs };
}

function spoolOptions(world: World) {
  const { segmentBytes } = world.swarm;
  return {
    log: { ...SPOOL_DEFAULTS.log, ...logOptions(world) },
    syncBehindBytes: segmentBytes / 4,
    checkpointLogBytes: 2 * segmentBytes,
    reserveBytes: 2 * segmentBytes,
    directBytesMin: 16 * 1024,
    tailBytesMax: world.swarm.tailBytes,
  };
}

function template(world: World, stores: readonly string[]) {
  const { name: _name, ...spec } = newJournalSpec({ name: "sim/template", replication: 1 });
  const fragment = {
    ...spec.fragment,
    length: world.swarm.fragmentBytes,
    flushIntervalMs: world.swarm.flushIntervalMs,
    compressionCodec: "GZIP" as const,
    stores,
    refreshIntervalMs: 60_000,
  };
  return { ...spec, fragment };
}

function sinkKey(i: number) {
  return { ...SOURCE, sinkId: `rows${i}` };
}

/** The source and its sinks; what an earlier life has defined is found. */
async function define(
  world: World,
  store: EmbeddedStore,
  catalog: DefinitionMirror,
  ports: Pick<ConstructorParameters<typeof DefinitionRepository>[0], "clock" | "random">,
  signal: AbortSignal,
): Promise<void> {
  const repository = new DefinitionRepository({ ...ports, secrets: plainSecrets, store });
  const by = { type: "system" } as const;
  const description = "";
  const columns = [
    { type: "path", name: "id", path: "id" },
    { type: "body", name: "body" },
  ] as const;
  const keys = Array.from({ length: world.swarm.sinks }, (_, i) => sinkKey(i));
  if (keys.every((key) => catalog.sink(key) !== undefined)) return;
  await repository.createSource({ ...SOURCE, name: "sim", description }, by, signal);
  for (const [i, key] of keys.entries()) {
    const sink = { ...key, name: key.sinkId, description, tableId: tableOf(i), columns, settings: {} };
    const outcome = await repository.createSink(sink, by, signal);
    if (outcome.kind === "created") await catalog.waitForRevision(outcome.revision, signal);
  }
}
