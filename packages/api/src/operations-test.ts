// A record through every sink of a source, without storing it: row 9 of the specification's table (1.3, 1.11).
import {
  DEFINITION_LIMITS,
  sampleRows,
  takesNul,
  takesSignal,
  TemplateBudget,
  type SampleOutcome,
  type SampleRecord,
  type SinkDefinition,
} from "@millrace/ingest";
import { testAnswer } from "./answer-schemas.ts";
import type { ApiDependencies } from "./api-dependencies.ts";
import { ApiError, type ApiErrorName } from "./api-errors.ts";
import { keyOfSource, sourceOf } from "./lookups.ts";
import { operation, type Operation } from "./operation.ts";
import { testQuery } from "./request-schemas.ts";

/** By status of what the mapping refuses; 503: the sink has a column that this version cannot compile. */
const REFUSALS: Readonly<Record<413 | 415 | 422 | 503, ApiErrorName>> = {
  413: "payloadTooLarge",
  415: "unsupportedMediaType",
  422: "unprocessableContent",
  503: "unprocessableContent",
};
/** Who asks is no matter of the record's. */
const CREDENTIALS: readonly string[] = ["x-storageapi-token", "authorization"];

export const testOperations: readonly Operation[] = [
  operation<Uint8Array, typeof testQuery>({
    id: "testSource",
    method: "POST",
    path: "/branches/{branchId}/sources/{sourceId}/test",
    tag: "sources",
    summary:
      "Map a record, as it would be posted, by all sinks of a source; nothing is stored. Of OTLP: a flattened one",
    access: "read",
    status: 200,
    query: testQuery,
    body: "raw",
    answer: testAnswer,
    errors: ["sourceNotFound", "payloadTooLarge", "unsupportedMediaType", "unprocessableContent"],
    handle: async ({ body, headers, ip, query, ...asked }) => {
      const { deps } = asked;
      const source = await sourceOf(asked);
      const key = keyOfSource(source);
      const signal = source.type === "otlp" ? (query.signal ?? "logs") : undefined;
      const all = { afterId: "", limit: DEFINITION_LIMITS.sinksPerSourceMax };
      const { items } = await deps.repository.sinks(key, all, deps.signal);
      const record: SampleRecord = {
        acceptedAtMs: deps.clock.wallMs(),
        clientIp: ip,
        headers: Object.entries(headers).filter(([name]) => !CREDENTIALS.includes(name)),
        body,
      };
      const sinks = items.filter((sink) => takesSignal(sink, signal));
      const budget = new TemplateBudget(body.length);
      const tables = sinks.map((sink) => tableOf(deps, sink, record, budget));
      return { ...key, tables: await Promise.all(tables) };
    },
  }),
];

/** @throws {ApiError} when the sink cannot map it */
async function tableOf(
  ports: ApiDependencies,
  { sinkId, table }: SinkDefinition,
  record: SampleRecord,
  budget: TemplateBudget,
): Promise<object> {
  const mapping = { columns: table.mapping.columns, takesNul: takesNul(table.type) };
  const outcome = await sampleRows(mapping, record, ports, budget);
  if (outcome.kind === "refused") throw refusalOf(outcome);
  return { sinkId, tableId: table.tableId, rows: outcome.rows };
}

/** What a mapping refuses, as the API says it. */
export function refusalOf({ status, message }: SampleOutcome & { readonly kind: "refused" }): ApiError {
  return new ApiError(REFUSALS[status], message);
}
