// Which of the ingest components run in this process, and what each needs of the others.
import type { ProjectTokens } from "@millrace/api";
import { assert } from "@millrace/base";
import type { Broker } from "@millrace/broker";
import {
  DeadLetters,
  DefinitionRepository,
  publishSeen,
  type DefinitionMirror,
  type DoorSync,
  type Pipeline,
  type PipelineComponent,
} from "@millrace/ingest";
import type { SinkTargets } from "@millrace/targets";
import type { Warehouse } from "@millrace/warehouse";
import type { ComponentName } from "./components.ts";
import { addPipelineHealth } from "./pipeline-health.ts";
import { feedSources } from "./console-sources.ts";
import type { FeedSample } from "./console-feed.ts";
import { endpointUrl } from "./endpoints.ts";
import type { Lifecycle } from "./lifecycle.ts";
import { startApi, type ConsoleParts } from "./system-api-part.ts";
import type { BrokerPart } from "./system-broker-part.ts";
import { claimPrefix, claimWarehouse } from "./stream-home.ts";
import { isCluster } from "./system-coordination.ts";
import {
  joinPipeline,
  openDeadLetterJournals,
  openPartitions,
  startDefinitions,
  startDoorSync,
  startPipeline,
  startTasks,
} from "./system-ingest-part.ts";
import { startProcessSession, type ProcessSession } from "./system-process-session.ts";
import { framesOf, startHttpSource } from "./system-http-source-part.ts";
import { needs, type PartContext } from "./part-context.ts";
import { sqlProxy } from "./system-sql-proxy.ts";
import { startTargets } from "./system-targets-part.ts";

interface IngestParts {
  readonly components: ReadonlySet<ComponentName>;
  readonly broker: BrokerPart | undefined;
  readonly warehouse: Warehouse | undefined;
  readonly tokens: ProjectTokens | undefined;
  readonly listening: (name: string, at: { host: string; port: number }, path?: string) => void;
}

const PIPELINE: readonly PipelineComponent[] = ["storage-reader", "storage-coordinator"];

export async function startIngest(
  lifecycle: Lifecycle,
  context: PartContext,
  parts: IngestParts,
  signal: AbortSignal,
): Promise<void> {
  const { components, listening } = parts;
  const wanted: readonly ComponentName[] = [...PIPELINE, "http-source", "api", "console"];
  const first = wanted.find((component) => components.has(component));
  if (first === undefined) return;
  if (components.has("console") && !components.has("api")) throw needs("console", "api");
  if (parts.broker === undefined) throw needs(first, "broker");
  if (parts.warehouse === undefined) throw needs(first, "warehouse");
  const { warehouse } = parts;
  const { broker } = parts.broker;
  const { transport } = broker;

  let session: ProcessSession | undefined;
  if (isCluster(context.config)) {
    await claimPrefix(context, context.config["etcd.prefix"], signal);
    session = await startProcessSession(lifecycle, context, signal);
    await claimWarehouse(context, session.nodeId, signal);
  }
  const catalog = await startDefinitions(lifecycle, context, signal);
  const pipelineComponents = PIPELINE.filter((component) => components.has(component));
  const groups = await joinPipeline(session, pipelineComponents, signal);
  const targets = await startTargets(lifecycle, context, { catalog, warehouse });
  const pipeline = await startPipeline(
    lifecycle,
    context,
    { broker, catalog, targets, groups },
    pipelineComponents,
    signal,
  );
  addPipelineHealth(context.health, pipeline);
  let sourceUrl = context.config["http-source.public-url"];
  const partitions = openPartitions(context, { transport, catalog, integrity: pipeline.integrity });
  const letterJournals = openDeadLetterJournals(context, { transport, catalog });
  if (components.has("http-source")) {
    const doorGroup = await session?.join("http-source", signal);
    const at = await startHttpSource(lifecycle, context, {
      transport,
      catalog,
      partitions,
      deadLetters: letterJournals,
      diskUse: {
        sinkBytes: (sink) => pipeline.statistics.lagBytes(sink),
        allBytes: () => pipeline.statistics.allLagBytes(),
      },
      share: () => 1 / Math.max(1, doorGroup?.members.length ?? 1),
    });
    listening("http-source", at);
    if (session !== undefined) await publishDoor(lifecycle, context, catalog, session);
    if (sourceUrl === "") sourceUrl = endpointUrl(at.host, at.port);
  }
  if (!components.has("api")) return;
  assert(parts.tokens !== undefined, "a process with the API has the project's tokens");
  const deadLetters = new DeadLetters({
    ...context,
    store: context.coordination,
    transport,
    catalog,
    partitions,
    deadLetters: letterJournals,
    frames: framesOf(context, transport),
  });
  const at = await startApiParts(lifecycle, context, {
    catalog,
    deadLetters,
    pipeline,
    broker,
    warehouse,
    tokens: parts.tokens,
    targets,
    sourceUrl,
    components,
    doors: session === undefined ? undefined : await startDoorSync(lifecycle, context, signal),
  });
  listening("api", at);
  if (components.has("console")) listening("console", at, "/console/");
}

/** Shows the API's processes what this process's door has seen. */
function publishDoor(
  lifecycle: Lifecycle,
  context: PartContext,
  catalog: DefinitionMirror,
  session: ProcessSession,
): Promise<unknown> {
  return lifecycle.start(
    "door",
    async () => publishSeen(catalog, { ...session, clock: context.clock }),
    async (end) => end(),
  );
}

async function startApiParts(
  lifecycle: Lifecycle,
  context: PartContext,
  parts: {
    readonly catalog: DefinitionMirror;
    readonly deadLetters: DeadLetters;
    readonly pipeline: Pipeline;
    readonly broker: Broker;
    readonly warehouse: Warehouse;
    readonly tokens: ProjectTokens;
    readonly targets: SinkTargets;
    readonly sourceUrl: string;
    readonly components: ReadonlySet<ComponentName>;
    /** Of other processes too; absent: there are none. */
    readonly doors: DoorSync | undefined;
  },
): Promise<{ host: string; port: number }> {
  const { catalog, pipeline, broker, warehouse, doors } = parts;
  const { coordination, secrets, clock, random, logger } = context;
  const tasks = await startTasks(lifecycle, context);
  let apiUrl = "";
  const { host, port } = warehouse.address;
  const consoleParts: ConsoleParts = {
    transport: broker.transport,
    sql: sqlProxy(endpointUrl(host, port), context.tokens.innerToken),
    sample: () => Promise.resolve(sampleOf(context, parts)),
  };
  const part = await startApi(
    lifecycle,
    context,
    {
      repository: new DefinitionRepository({ store: coordination, secrets, clock, random }),
      tasks,
      tokens: parts.tokens,
      book: context.tokens,
      statistics: {
        total: (key) => pipeline.statistics.total(key),
        files: (key, options) => pipeline.statistics.files(key, options),
        clear: (sinks, within) => pipeline.clearStatistics(sinks, within),
      },
      targets: parts.targets,
      deadLetters: parts.deadLetters,
      settled: async (revision, signal) => {
        await catalog.waitForRevision(revision, signal);
        await doors?.wait(catalog.revision, signal);
      },
      urls: () => ({ api: apiUrl, httpSource: parts.sourceUrl }),
      clock,
      random,
      logger,
    },
    parts.components.has("console") ? consoleParts : undefined,
  );
  apiUrl = endpointUrl(part.address.host, part.address.port);
  return part.address;
}

function sampleOf(
  context: PartContext,
  { catalog, pipeline, broker }: { catalog: DefinitionMirror; pipeline: Pipeline; broker: Broker },
): FeedSample {
  const snapshots = pipeline.statistics.snapshot(context.clock.wallMs());
  const { problems } = pipeline.health();
  const sources = catalog.sources().map((source) => ({ source, sinks: catalog.sinks(source) }));
  const total = (field: "accepted" | "loaded"): number =>
    snapshots.reduce((sum, each) => sum + each[field], 0);
  const counter = (name: string): number => context.metrics.counter(name, "").value();
  return {
    totals: {
      acceptedRecords: total("accepted"),
      loadedRows: total("loaded"),
      appendedBytes: counter("gazette_spool_commit_bytes_total"),
      appends: counter("gazette_spool_commits_total"),
    },
    sources: feedSources(sources, snapshots, problems),
    unhealthy: context.health.reasons(),
    degraded: [
      ...broker.failingStores().map(({ url, reason }) => `fragment store ${url} unhealthy: ${reason}`),
      ...problems
        .filter(({ sink }) => sink === undefined)
        .map(({ subject, problem }) => `${subject}: ${problem}`),
    ],
  };
}
