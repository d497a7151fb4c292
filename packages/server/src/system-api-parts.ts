// The configuration API over the definitions and the pipeline's statistics, with the console's feed beside it.
import type { ProjectTokens } from "@millrace/api";
import {
  DefinitionRepository,
  SourcePurge,
  systemTurns,
  WorkTurns,
  type DeadLetters,
  type DefinitionMirror,
  type DoorSync,
  type Pipeline,
} from "@millrace/ingest";
import type { ProgramEvaluator } from "@millrace/jsonata";
import type { SinkTargets } from "@millrace/targets";
import type { ComponentName } from "./components.ts";
import { feedSources } from "./console-sources.ts";
import type { FeedSample } from "./console-feed.ts";
import { endpointUrl } from "./endpoints.ts";
import type { Lifecycle } from "./lifecycle.ts";
import { startApi, type ConsoleParts } from "./system-api-part.ts";
import { startTasks } from "./system-ingest-part.ts";
import type { Journals } from "./system-journals-part.ts";
import { sqlProxy } from "./system-sql-proxy.ts";
import type { Tables } from "./system-tables-part.ts";
import type { DefinedContext, PartContext } from "./part-context.ts";

export async function startApiParts(
  lifecycle: Lifecycle,
  context: DefinedContext,
  parts: {
    readonly catalog: DefinitionMirror;
    readonly deadLetters: DeadLetters;
    readonly pipeline: Pipeline;
    readonly journals: Journals;
    readonly tables: Tables;
    readonly tokens: ProjectTokens;
    readonly targets: SinkTargets;
    readonly evaluator: ProgramEvaluator;
    readonly sourceUrl: string;
    readonly components: ReadonlySet<ComponentName>;
    /** Of other processes too; absent: there are none. */
    readonly doors: DoorSync | undefined;
  },
): Promise<{ host: string; port: number }> {
  const { catalog, pipeline, journals, tables, doors } = parts;
  const { coordination, secrets, clock, random, logger } = context;
  const tasks = await startTasks(lifecycle, context);
  let apiUrl = "";
  const consoleParts: ConsoleParts = {
    transport: journals.transport,
    sql: sqlProxy(tables.sqlUrl, tables.sqlToken),
    sample: () => Promise.resolve(sampleOf(context, parts)),
  };
  const part = await startApi(
    lifecycle,
    context,
    {
      repository: new DefinitionRepository(
        { store: coordination, secrets, clock, random },
        context.config["stream.partitions"],
      ),
      tasks,
      tokens: parts.tokens,
      book: context.tokens,
      statistics: {
        total: (key) => pipeline.statistics.total(key),
        lag: (key) => pipeline.statistics.lag(key, clock.wallMs()),
        files: (key, options) => pipeline.statistics.files(key, options),
        clear: (sinks, within) => pipeline.clearStatistics(sinks, within),
      },
      targets: parts.targets,
      purge: new SourcePurge({ store: coordination, clock }),
      evaluator: parts.evaluator,
      turns: new WorkTurns(systemTurns),
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
  { catalog, pipeline, journals }: { catalog: DefinitionMirror; pipeline: Pipeline; journals: Journals },
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
      ...journals.failingStores().map(({ url, reason }) => `fragment store ${url} unhealthy: ${reason}`),
      ...problems
        .filter(({ sink }) => sink === undefined)
        .map(({ subject, problem }) => `${subject}: ${problem}`),
    ],
  };
}
