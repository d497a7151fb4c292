// Sinks: lists, changes, life cycle, rows 18 to 23 and 28 of the specification's table (1.3).
import {
  DEFINITION_LIMITS,
  effectiveSink,
  settingsOf,
  type EntityState,
  type PageRequest,
  type SinkKey,
} from "@millrace/ingest";
import { sinkAnswer, sinksAnswer, taskAnswer } from "./answer-schemas.ts";
import type { ApiDependencies } from "./api-dependencies.ts";
import { ApiError } from "./api-errors.ts";
import { sinkBody, sinksBody } from "./api-responses.ts";
import {
  checkVersions,
  alreadyExists,
  keyOfSink,
  keyOfSource,
  limitReached,
  pageOf,
  sinkKeyOf,
  sinkOf,
  sourceOf,
  type Asked,
} from "./lookups.ts";
import { operation, type Operation } from "./operation.ts";
import { createSinkSchema, idOf, pageQuery, updateSinkSchema } from "./request-schemas.ts";
import { changedPlan, checkedPlan, checkTable, planFor } from "./table-changes.ts";
import { runTask } from "./task-runner.ts";

const SINKS = "/branches/{branchId}/sources/{sourceId}/sinks";
const SINK = `${SINKS}/{sinkId}`;

const shared = { tag: "sinks" } as const;
const task = { ...shared, access: "write", status: 202, answer: taskAnswer } as const;
const NOT_FOUND = ["sourceNotFound", "sinkNotFound"] as const;

export const sinkOperations: readonly Operation[] = [
  operation({
    ...task,
    id: "createSink",
    method: "POST",
    path: SINKS,
    summary: "Create a sink; one that was deleted goes on with its versions",
    body: createSinkSchema,
    errors: ["sourceNotFound", "sinkAlreadyExists", "resourceLimitReached", "resourceLocked"],
    handle: async ({ body, by, ...asked }) => {
      const { deps } = asked;
      const { repository, signal } = deps;
      const source = keyOfSource(await sourceOf(asked));
      const key = { ...source, sinkId: idOf(body.sinkId, body.name, "sinkId") };
      if ((await repository.sink(key, signal)) !== undefined) throw alreadyExists("sink", key.sinkId);
      await checkCount(deps, key);
      const { name, description = "", allowedSignals = [], settings = {} } = body;
      const { tableId, mapping } = body.table;
      const plan = { target: settingsOf(body.table), tableId, columns: mapping.columns };
      const table = await checkTable(deps, plan, "same");
      const input = { ...key, name, description, allowedSignals, ...plan, settings };
      return runTask(deps, {
        type: "api.create.sink",
        key,
        result: "Sink has been created successfully.",
        isRepeatable: false,
        work: async (within) => {
          await table.prepare(within);
          return repository.createSink(input, by, within);
        },
      });
    },
  }),
  operation({
    ...shared,
    id: "listSinks",
    method: "GET",
    path: SINKS,
    summary: "List sinks of a source, ordered by ID",
    access: "read",
    status: 200,
    query: pageQuery,
    answer: sinksAnswer,
    errors: ["sourceNotFound"],
    handle: async ({ query, ...asked }) => {
      return listSinks(asked, pageOf(query), "active");
    },
  }),
  operation({
    ...shared,
    id: "listDeletedSinks",
    method: "GET",
    path: `${SINKS}/deleted`,
    summary: "List deleted sinks of a source, ordered by ID",
    access: "read",
    status: 200,
    query: pageQuery,
    answer: sinksAnswer,
    errors: ["sourceNotFound"],
    handle: async ({ query, ...asked }) => {
      return listSinks(asked, pageOf(query), "deleted");
    },
  }),
  operation({
    ...shared,
    id: "getSink",
    method: "GET",
    path: SINK,
    summary: "Get a sink",
    access: "read",
    status: 200,
    answer: sinkAnswer,
    errors: NOT_FOUND,
    handle: async (asked) => sinkBody(await sinkOf(asked)),
  }),
  operation({
    ...task,
    id: "updateSink",
    method: "PATCH",
    path: SINK,
    summary: "Change a sink; what is not given stays",
    body: updateSinkSchema,
    errors: ["resourceLimitReached", ...NOT_FOUND, "resourceLocked"],
    handle: async ({ body, by, ...asked }) => {
      const { deps } = asked;
      const sink = await sinkOf(asked);
      checkVersions(sink);
      const key = keyOfSink(sink);
      const { type: _type, table: given, ...update } = body;
      const planned = await planFor(sink, (found) =>
        checkedPlan(deps, found, changedPlan(found, given), "same"),
      );
      return runTask(deps, {
        type: "api.update.sink",
        key,
        result: "Sink has been updated successfully.",
        isRepeatable: false,
        work: async (within) => {
          const { plan, table } = await planned(await sinkOf(asked));
          await table?.prepare(within);
          const command = { kind: "update", ...update, ...plan } as const;
          return deps.repository.changeSink(key, command, by, within);
        },
      });
    },
  }),
  operation({
    ...task,
    id: "deleteSink",
    method: "DELETE",
    path: SINK,
    summary: "Delete a sink; it can be undeleted, and what it has taken becomes rows all the same",
    errors: [...NOT_FOUND, "resourceLocked"],
    handle: async (call) => changeState(call, keyOfSink(await sinkOf(call)), "delete", "deleted"),
  }),
  operation({
    ...task,
    id: "disableSink",
    method: "PUT",
    path: `${SINK}/disable`,
    summary: "Disable a sink: it takes no records",
    errors: [...NOT_FOUND, "resourceLocked"],
    handle: async (call) => changeState(call, keyOfSink(await sinkOf(call)), "disable", "disabled"),
  }),
  operation({
    ...task,
    id: "enableSink",
    method: "PUT",
    path: `${SINK}/enable`,
    summary: "Enable a sink",
    errors: [...NOT_FOUND, "resourceLocked"],
    handle: async (call) => changeState(call, keyOfSink(await sinkOf(call)), "enable", "enabled"),
  }),
  operation({
    ...task,
    id: "undeleteSink",
    method: "PUT",
    path: `${SINK}/undelete`,
    summary: "Undelete a sink of a source that is there",
    errors: ["sourceNotFound", "deletedSinkNotFound", "resourceLimitReached", "resourceLocked"],
    handle: async (call) => {
      const key = await sinkKeyOf(call);
      const { repository, signal } = call.deps;
      if ((await repository.sink(key, signal, "deleted")) === undefined) {
        const message = `Deleted sink "${key.sinkId}" not found in the source`;
        throw new ApiError("deletedSinkNotFound", message);
      }
      await checkCount(call.deps, key);
      return changeState(call, key, "undelete", "undeleted");
    },
  }),
];

async function listSinks(asked: Asked, page: PageRequest, state: EntityState): Promise<object> {
  const source = await sourceOf(asked);
  const { items, totalCount } = await asked.deps.repository.sinks(source, page, asked.deps.signal, state);
  const inForce = items.map((sink) => effectiveSink(sink, source));
  return sinksBody(keyOfSource(source), { items: inForce, totalCount }, page);
}

type StateCall = Asked & Pick<Parameters<Operation["handle"]>[0], "by">;

function changeState(
  { deps, by }: StateCall,
  key: SinkKey,
  kind: "disable" | "enable" | "delete" | "undelete",
  done: string,
): Promise<object> {
  return runTask(deps, {
    type: `api.${kind}.sink`,
    key,
    result: `Sink has been ${done} successfully.`,
    isRepeatable: true,
    work: (within) => deps.repository.changeSink(key, { kind }, by, within),
  });
}

/** @throws {ApiError} 422 when the source has as many sinks as it may have */
async function checkCount({ repository, signal }: ApiDependencies, key: SinkKey): Promise<void> {
  const { totalCount } = await repository.sinks(key, { afterId: "", limit: 1 }, signal);
  const max = DEFINITION_LIMITS.sinksPerSourceMax;
  if (totalCount >= max) throw limitReached("sink", max);
}
