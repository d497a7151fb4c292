// Versions of sources and sinks, and going back to one: rows 15 to 17 and 29 of the specification's table (1.3).
import { rolledBack, settingsOf, type PageRequest } from "@millrace/ingest";
import { taskAnswer, versionAnswer, versionsAnswer } from "./answer-schemas.ts";
import { ApiError } from "./api-errors.ts";
import { versionsBody } from "./api-responses.ts";
import {
  checkVersions,
  keyOfSink,
  keyOfSource,
  pageOf,
  sinkOf,
  sourceOf,
  versionNotFound,
} from "./lookups.ts";
import { operation, type Operation } from "./operation.ts";
import { pageQuery, parseVersion } from "./request-schemas.ts";
import { checkedPlan, planFor } from "./table-changes.ts";
import { runTask } from "./task-runner.ts";

const SOURCE = "/branches/{branchId}/sources/{sourceId}";
const SINK = `${SOURCE}/sinks/{sinkId}`;

const list = {
  method: "GET",
  access: "read",
  status: 200,
  query: pageQuery,
  answer: versionsAnswer,
} as const;
const get = { method: "GET", access: "read", status: 200, answer: versionAnswer } as const;
const rollback = { method: "PUT", access: "write", status: 202, answer: taskAnswer } as const;
const SINK_ERRORS = ["sourceNotFound", "sinkNotFound"] as const;

export const versionOperations: readonly Operation[] = [
  operation({
    ...list,
    id: "listSourceVersions",
    tag: "sources",
    path: `${SOURCE}/versions`,
    summary: "List versions of a source, ordered by number",
    errors: ["sourceNotFound"],
    handle: async ({ query, ...asked }) => {
      const key = keyOfSource(await sourceOf(asked));
      const page = pageOf(query);
      const found = await asked.deps.repository.sourceVersions(key, byNumber(page), asked.deps.signal);
      return versionsBody(key, found, page);
    },
  }),
  operation({
    ...get,
    id: "getSourceVersion",
    tag: "sources",
    path: `${SOURCE}/versions/{versionNumber}`,
    summary: "Get a version of a source",
    errors: ["sourceNotFound", "sourceVersionNotFound"],
    handle: async (asked) => {
      const number = parseVersion(asked.path["versionNumber"] ?? "");
      const key = keyOfSource(await sourceOf(asked));
      const found = await asked.deps.repository.sourceVersion(key, number, asked.deps.signal);
      if (found === undefined) throw versionNotFound("source", key.sourceId, number);
      return found.version;
    },
  }),
  operation({
    ...rollback,
    id: "rollbackSourceVersion",
    tag: "sources",
    path: `${SOURCE}/versions/{versionNumber}/rollback`,
    summary: "Make a new version that says what an older one said",
    errors: ["resourceLimitReached", "sourceNotFound", "sourceVersionNotFound", "resourceLocked"],
    handle: async ({ by, ...asked }) => {
      const version = parseVersion(asked.path["versionNumber"] ?? "");
      const source = await sourceOf(asked);
      checkVersions(source);
      const key = keyOfSource(source);
      const { repository, signal } = asked.deps;
      const found = await repository.sourceVersion(key, version, signal);
      if (found === undefined) throw versionNotFound("source", key.sourceId, version);
      return runTask(asked.deps, {
        type: "api.rollback.sourceVersion",
        key,
        result: "Source version was rolled back successfully.",
        isRepeatable: false,
        work: (within) => repository.changeSource(key, { kind: "rollback", version }, by, within),
      });
    },
  }),
  operation({
    ...list,
    id: "listSinkVersions",
    tag: "sinks",
    path: `${SINK}/versions`,
    summary: "List versions of a sink, ordered by number",
    errors: SINK_ERRORS,
    handle: async ({ query, ...asked }) => {
      const key = keyOfSink(await sinkOf(asked));
      const page = pageOf(query);
      const found = await asked.deps.repository.sinkVersions(key, byNumber(page), asked.deps.signal);
      return versionsBody(key, found, page);
    },
  }),
  operation({
    ...get,
    id: "getSinkVersion",
    tag: "sinks",
    path: `${SINK}/versions/{versionNumber}`,
    summary: "Get a version of a sink",
    errors: [...SINK_ERRORS, "sinkVersionNotFound"],
    handle: async (asked) => {
      const number = parseVersion(asked.path["versionNumber"] ?? "");
      const key = keyOfSink(await sinkOf(asked));
      const found = await asked.deps.repository.sinkVersion(key, number, asked.deps.signal);
      if (found === undefined) throw versionNotFound("sink", key.sinkId, number);
      return found.version;
    },
  }),
  operation({
    ...rollback,
    id: "rollbackSinkVersion",
    tag: "sinks",
    path: `${SINK}/versions/{versionNumber}/rollback`,
    summary: "Make a new version that says what an older one said",
    errors: ["resourceLimitReached", ...SINK_ERRORS, "sinkVersionNotFound", "resourceLocked"],
    handle: async ({ by, ...asked }) => {
      const version = parseVersion(asked.path["versionNumber"] ?? "");
      const sink = await sinkOf(asked);
      checkVersions(sink);
      const key = keyOfSink(sink);
      const { repository, signal } = asked.deps;
      const found = await repository.sinkVersion(key, version, signal);
      if (found === undefined) throw versionNotFound("sink", key.sinkId, version);
      const { tableId, mapping } = found.table;
      const planned = await planFor(sink, (now) => {
        const target = rolledBack(now.table, settingsOf(found.table));
        // It was the sink's own in that version.
        return checkedPlan(asked.deps, now, { target, tableId, columns: mapping.columns }, "growing");
      });
      return runTask(asked.deps, {
        type: "api.rollback.sinkVersion",
        key,
        result: "Sink version was rolled back successfully.",
        isRepeatable: false,
        work: async (within) => {
          const { table } = await planned(await sinkOf(asked));
          await table?.prepare(within);
          return repository.changeSink(key, { kind: "rollback", version }, by, within);
        },
      });
    },
  }),
];

/** `2` and `0000000002` are the same. @throws {ApiError} 400 */
function byNumber(page: PageRequest): PageRequest {
  if (/^[0-9]{0,10}$/.test(page.afterId)) return page;
  const message = `invalid value ${JSON.stringify(page.afterId)} for "afterId", must be a integer`;
  throw new ApiError("invalidFieldType", message);
}
