// Which of the ingest components run in this process, and where each finds the others: in this process, or by the etcd.
import type { ProjectTokens } from "@millrace/api";
import { assert } from "@millrace/base";
import {
  DeadLetters,
  publishSeen,
  type DefinitionMirror,
  type Pipeline,
  type PipelineComponent,
} from "@millrace/ingest";
import type { Warehouse } from "@millrace/warehouse";
import { STAGING_USERS } from "./component-rules.ts";
import type { ComponentName } from "./components.ts";
import { addPipelineHealth } from "./pipeline-health.ts";
import { endpointUrl } from "./endpoints.ts";
import type { Lifecycle } from "./lifecycle.ts";
import type { BrokerPart } from "./system-broker-part.ts";
import { claimPrefix, claimSecrets, claimStaging, claimWarehouse } from "./stream-home.ts";
import { isCluster } from "./system-coordination.ts";
import {
  joinPipeline,
  openDeadLetterJournals,
  openPartitions,
  PIPELINE,
  startDefinitions,
  startDoorSync,
  startEvaluators,
  startPipeline,
  startPurges,
} from "./system-ingest-part.ts";
import { journalsOf, startJournals } from "./system-journals-part.ts";
import { startProcessSession, type ProcessSession } from "./system-process-session.ts";
import { framesOf, startHttpSource } from "./system-http-source-part.ts";
import { announceTables, startTables, tablesOf, type Tables } from "./system-tables-part.ts";
import { startTargets } from "./system-targets-part.ts";
import { targetOf } from "./system-warehouse-part.ts";
import { startWorkDoor } from "./system-work-door.ts";
import type { DefinedContext, PartContext } from "./part-context.ts";
import { startSecrets } from "./system-secrets.ts";

interface IngestParts {
  readonly components: ReadonlySet<ComponentName>;
  readonly broker: BrokerPart | undefined;
  readonly warehouse: Warehouse | undefined;
  readonly tokens: ProjectTokens | undefined;
  readonly listening: (name: string, at: { host: string; port: number }, path?: string) => void;
}

const DEFINED: readonly ComponentName[] = [...PIPELINE, "http-source", "api"];

export async function startIngest(
  lifecycle: Lifecycle,
  context: PartContext,
  parts: IngestParts,
  signal: AbortSignal,
): Promise<void> {
  const { components, warehouse } = parts;
  const has = (names: readonly ComponentName[]): boolean => names.some((name) => components.has(name));
  const isWanted = has(DEFINED);
  if (!isWanted && (warehouse === undefined || !isCluster(context.config))) return;
  const isOneOfMany = isCluster(context.config);
  if (isOneOfMany) await claimPrefix(context, context.config["etcd.prefix"], signal);
  const secrets = isWanted ? await startSecrets(lifecycle, context, signal) : undefined;
  if (isOneOfMany && secrets !== undefined) await claimSecrets({ ...context, secrets }, signal);
  const session = isOneOfMany ? await openSession(lifecycle, context, parts, signal) : undefined;
  const tables = await openTables(lifecycle, context, { ...parts, session }, signal);
  if (secrets !== undefined)
    await startDefined(lifecycle, { ...context, secrets }, { ...parts, session, tables }, signal);
}

/** What the processes of an etcd have to have in common is looked at before anything begins. */
async function openSession(
  lifecycle: Lifecycle,
  context: PartContext,
  { components, warehouse }: IngestParts,
  signal: AbortSignal,
): Promise<ProcessSession> {
  const { config, stores } = context;
  const session = await startProcessSession(lifecycle, context, signal);
  if (warehouse !== undefined) await claimWarehouse(context, session.nodeId, signal);
  if (STAGING_USERS.some((component) => components.has(component)))
    await claimStaging({ ...context, stagingStore: stores.open(config["staging.store"]) }, signal);
  return session;
}

/** The warehouse of this process, which others load into, or that of another one. */
async function openTables(
  lifecycle: Lifecycle,
  context: PartContext,
  parts: IngestParts & { readonly session: ProcessSession | undefined },
  signal: AbortSignal,
): Promise<Tables> {
  const { components, warehouse, session, listening } = parts;
  const target = warehouse === undefined ? undefined : await targetOf(context, warehouse);
  if (session !== undefined && STAGING_USERS.some((component) => components.has(component))) {
    const at = await startWorkDoor(lifecycle, context, target);
    listening("work", at);
    if (warehouse !== undefined) await announceTables(lifecycle, context, session, { warehouse, at });
  }
  if (warehouse !== undefined && target !== undefined) return tablesOf(context, warehouse, target);
  return startTables(lifecycle, context, signal);
}

async function startDefined(
  lifecycle: Lifecycle,
  context: DefinedContext,
  parts: IngestParts & { readonly session: ProcessSession | undefined; readonly tables: Tables },
  signal: AbortSignal,
): Promise<void> {
  const { components, listening, broker, session, tables } = parts;
  const journals =
    broker === undefined ? await startJournals(lifecycle, context, signal) : journalsOf(broker.broker);
  const { transport } = journals;
  const catalog = await startDefinitions(lifecycle, context, signal);
  const own = PIPELINE.filter((component): component is PipelineComponent => components.has(component));
  const groups = await joinPipeline(session, own, signal);
  const targets = await startTargets(lifecycle, context, { catalog, warehouse: tables.target });
  const pipeline = await startPipeline(
    lifecycle,
    context,
    { journals, catalog, targets, groups, isWarehouseElsewhere: parts.warehouse === undefined },
    own,
    signal,
  );
  addPipelineHealth(context.health, pipeline);
  if (own.includes("storage-coordinator"))
    await startPurges(lifecycle, context, { transport, targets, groups });
  let sourceUrl = context.config["http-source.public-url"];
  const partitions = openPartitions(context, { transport, catalog, integrity: pipeline.integrity });
  const letterJournals = openDeadLetterJournals(context, { transport, catalog });
  const evaluator = await startEvaluators(lifecycle, context);
  const shared = { transport, catalog, partitions, deadLetters: letterJournals, evaluator };
  if (components.has("http-source")) {
    const at = await startDoor(lifecycle, context, { ...shared, pipeline, session }, signal);
    listening("http-source", at);
    if (sourceUrl === "") sourceUrl = endpointUrl(at.host, at.port);
  }
  if (!components.has("api")) return;
  assert(parts.tokens !== undefined, "a process with the API has the project's tokens");
  const deadLetters = new DeadLetters({
    ...context,
    ...shared,
    store: context.coordination,
    frames: framesOf(context, transport),
    onAppended: pipeline.onAppended,
  });
  // Its libraries take their time to load: the other components do without.
  const { startApiParts } = await import("./system-api-parts.ts");
  const at = await startApiParts(lifecycle, context, {
    catalog,
    deadLetters,
    pipeline,
    journals,
    tables,
    tokens: parts.tokens,
    targets,
    evaluator,
    sourceUrl,
    components,
    doors: session === undefined ? undefined : await startDoorSync(lifecycle, context, signal),
  });
  listening("api", at);
  if (components.has("console")) listening("console", at, "/console/");
}

/** The HTTP source, of which each of an etcd takes its share of the limits. */
async function startDoor(
  lifecycle: Lifecycle,
  context: PartContext,
  parts: Omit<Parameters<typeof startHttpSource>[2], "diskUse" | "share"> & {
    readonly pipeline: Pipeline;
    readonly session: ProcessSession | undefined;
  },
  signal: AbortSignal,
): Promise<{ host: string; port: number }> {
  const { pipeline, session, catalog } = parts;
  const group = await session?.join("http-source", signal);
  const at = await startHttpSource(lifecycle, context, {
    ...parts,
    diskUse: {
      sinkBytes: (sink) => pipeline.statistics.lagBytes(sink),
      allBytes: () => pipeline.statistics.allLagBytes(),
      onAppended: pipeline.onAppended,
    },
    share: () => 1 / Math.max(1, group?.members.length ?? 1),
  });
  if (session !== undefined) await publishDoor(lifecycle, context, catalog, session);
  return at;
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
    async () => publishSeen(catalog.seen, { ...session, clock: context.clock }),
    async (end) => end(),
  );
}
