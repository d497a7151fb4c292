// Statistics: rows 25, 26 and 31 of the specification's table (1.3, 1.12).
import { DEFINITION_LIMITS, effectiveSink, type SinkKey, type SourceDefinition } from "@millrace/ingest";
import { aggregationAnswer, emptyAnswer, filesAnswer, sinkTotalAnswer } from "./answer-schemas.ts";
import type { ApiDependencies } from "./api-dependencies.ts";
import { pageBody, sinkBody, sourceBody } from "./api-responses.ts";
import { branchOf, pageOf, sinkOf, sourceOf } from "./lookups.ts";
import { operation, type Operation } from "./operation.ts";
import { filesQuery, pageQuery } from "./request-schemas.ts";

const STATISTICS = "/branches/{branchId}/sources/{sourceId}/sinks/{sinkId}/statistics";

const shared = { method: "GET", tag: "sinks", access: "read", status: 200 } as const;
const NOT_FOUND = ["sourceNotFound", "sinkNotFound"] as const;

export const statisticsOperations: readonly Operation[] = [
  operation({
    ...shared,
    id: "sinkStatisticsTotal",
    path: `${STATISTICS}/total`,
    summary: "What a sink has taken, and where it is",
    answer: sinkTotalAnswer,
    errors: NOT_FOUND,
    handle: async (asked) => {
      const { deadLetters, signal } = asked.deps;
      const sink = await sinkOf(asked);
      const letters = await deadLetters.count(sink, signal);
      return { ...taken(asked.deps, sink), ...(letters === undefined ? {} : { deadLetters: letters }) };
    },
  }),
  operation({
    ...shared,
    id: "sinkStatisticsFiles",
    path: `${STATISTICS}/files`,
    summary: "Files of a sink: imported ones first, failing ones last",
    query: filesQuery,
    answer: filesAnswer,
    errors: NOT_FOUND,
    handle: async ({ query, ...asked }) => ({
      files: asked.deps.statistics.files(await sinkOf(asked), { failedFiles: query.failedFiles ?? false }),
    }),
  }),
  operation({
    id: "clearSinkStatistics",
    method: "DELETE",
    path: `${STATISTICS}/clear`,
    tag: "sinks",
    summary: "Let the statistics of a sink begin anew",
    access: "write",
    status: 200,
    answer: emptyAnswer,
    errors: NOT_FOUND,
    handle: async (asked) => {
      await asked.deps.statistics.clear([await sinkOf(asked)], asked.deps.signal);
      return {};
    },
  }),
  operation({
    id: "clearSourceStatistics",
    method: "DELETE",
    path: "/branches/{branchId}/sources/{sourceId}/statistics/clear",
    tag: "sources",
    summary: "Let the statistics of all sinks of a source begin anew",
    access: "write",
    status: 200,
    answer: emptyAnswer,
    errors: ["sourceNotFound"],
    handle: async (asked) => {
      const source = await sourceOf(asked);
      const all = { afterId: "", limit: DEFINITION_LIMITS.sinksPerSourceMax };
      const { items } = await asked.deps.repository.sinks(source, all, asked.deps.signal);
      await asked.deps.statistics.clear(items, asked.deps.signal);
      return {};
    },
  }),
  operation({
    id: "aggregateSources",
    method: "GET",
    path: "/branches/{branchId}/aggregation/sources",
    tag: "internal",
    summary: "Sources with their sinks, and these with their statistics and files",
    access: "read",
    status: 200,
    query: pageQuery,
    answer: aggregationAnswer,
    errors: [],
    handle: async ({ deps, query, ...asked }) => {
      const branch = branchOf({ deps, ...asked });
      const request = pageOf(query);
      const page = await deps.repository.sources(branch, request, deps.signal);
      const sources = await Promise.all(page.items.map((source) => aggregated(deps, source)));
      return { ...branch, page: pageBody(page, request, page.items.at(-1)?.sourceId), sources };
    },
  }),
];

/** What a sink has taken, and how far its table is behind. */
function taken({ statistics }: ApiDependencies, sink: SinkKey): object {
  const { bytes, ms } = statistics.lag(sink);
  return { ...statistics.total(sink), lag: { seconds: Math.floor(ms / 1000), bytes } };
}

async function aggregated(deps: ApiDependencies, source: SourceDefinition): Promise<object> {
  const all = { afterId: "", limit: DEFINITION_LIMITS.sinksPerSourceMax };
  const { items } = await deps.repository.sinks(source, all, deps.signal);
  const counts = await deps.deadLetters.counts(source, items, deps.signal);
  const sinks = items.map((sink) => {
    const letters = counts.get(sink.sinkId);
    const counted = letters === undefined ? {} : { deadLetters: letters };
    const statistics = { ...taken(deps, sink), ...counted, files: deps.statistics.files(sink, {}) };
    return { ...sinkBody(effectiveSink(sink, source)), statistics };
  });
  return { ...sourceBody(source, deps.urls()), sinks };
}
