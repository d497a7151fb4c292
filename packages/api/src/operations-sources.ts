// Sources: lists, changes, life cycle, rows 1 to 17 of the specification's table (1.3).
import { DEFINITION_LIMITS, type SourceDefinition, type SourceKey } from "@millrace/ingest";
import { sourceAnswer, sourcesAnswer, taskAnswer } from "./answer-schemas.ts";
import { ApiError } from "./api-errors.ts";
import { sourceBody, sourcesBody } from "./api-responses.ts";
import {
  checkVersions,
  alreadyExists,
  branchOf,
  keyOfSource,
  limitReached,
  pageOf,
  sourceKeyOf,
  sourceNotFound,
  sourceOf,
  type Asked,
} from "./lookups.ts";
import { operation, type Operation } from "./operation.ts";
import {
  createSourceSchema,
  deleteSourceQuery,
  idOf,
  pageQuery,
  signatureOf,
  updateSourceSchema,
} from "./request-schemas.ts";
import { purgeSource } from "./source-purging.ts";
import { runTask } from "./task-runner.ts";

const SOURCES = "/branches/{branchId}/sources";
const SOURCE = `${SOURCES}/{sourceId}`;

const shared = { tag: "sources" } as const;
const task = { ...shared, access: "write", status: 202, answer: taskAnswer } as const;

export const sourceOperations: readonly Operation[] = [
  operation({
    ...task,
    id: "createSource",
    method: "POST",
    path: SOURCES,
    summary: "Create a source; one that was deleted goes on with its versions",
    body: createSourceSchema,
    errors: ["sourceAlreadyExists", "resourceLimitReached", "resourceLocked"],
    handle: async ({ deps, by, body, ...asked }) => {
      const branch = branchOf({ deps, ...asked });
      const key = { ...branch, sourceId: idOf(body.sourceId, body.name, "sourceId") };
      const { repository, signal } = deps;
      if ((await repository.source(key, signal)) !== undefined) throw alreadyExists("source", key.sourceId);
      const others = await repository.sources(branch, { afterId: "", limit: 1 }, signal);
      const max = DEFINITION_LIMITS.sourcesPerBranchMax;
      if (others.totalCount >= max) throw limitReached("source", max);
      const { type, name, description = "" } = body;
      const { signature } = signatureOf(body, type);
      const signed = signature === undefined || signature === null ? {} : { signature };
      const input = { ...key, type, name, description, ...signed };
      return runTask(deps, {
        type: "api.create.source",
        key,
        result: "Source has been created successfully.",
        isRepeatable: false,
        work: (within) => repository.createSource(input, by, within),
      });
    },
  }),
  operation({
    ...shared,
    id: "listSources",
    method: "GET",
    path: SOURCES,
    summary: "List sources, ordered by ID",
    access: "read",
    status: 200,
    query: pageQuery,
    answer: sourcesAnswer,
    errors: [],
    handle: async ({ deps, query, ...asked }) => {
      const branch = branchOf({ deps, ...asked });
      const page = pageOf(query);
      const found = await deps.repository.sources(branch, page, deps.signal);
      return sourcesBody(branch, found, page, deps.urls());
    },
  }),
  operation({
    ...shared,
    id: "listDeletedSources",
    method: "GET",
    path: `${SOURCES}/deleted`,
    summary: "List deleted sources, ordered by ID",
    access: "read",
    status: 200,
    query: pageQuery,
    answer: sourcesAnswer,
    errors: [],
    handle: async ({ deps, query, ...asked }) => {
      const branch = branchOf({ deps, ...asked });
      const page = pageOf(query);
      const found = await deps.repository.sources(branch, page, deps.signal, "deleted");
      return sourcesBody(branch, found, page, deps.urls());
    },
  }),
  operation({
    ...shared,
    id: "getSource",
    method: "GET",
    path: SOURCE,
    summary: "Get a source",
    access: "read",
    status: 200,
    answer: sourceAnswer,
    errors: ["sourceNotFound"],
    handle: async (asked) => sourceBody(await sourceOf(asked), asked.deps.urls()),
  }),
  operation({
    ...task,
    id: "updateSource",
    method: "PATCH",
    path: SOURCE,
    summary: "Change a source; what is not given stays",
    body: updateSourceSchema,
    errors: ["resourceLimitReached", "sourceNotFound", "resourceLocked"],
    handle: async ({ body, by, ...asked }) => {
      const source = await sourceOf(asked);
      checkVersions(source);
      const key = keyOfSource(source);
      const { signature: _signature, ...update } = body;
      const commandFor = ({ type }: SourceDefinition) =>
        ({ kind: "update", ...update, ...signatureOf(body, body.type ?? type) }) as const;
      commandFor(source);
      return runTask(asked.deps, {
        type: "api.update.source",
        key,
        result: "Source has been updated successfully.",
        isRepeatable: false,
        // As it is under its lock: its type may have changed since.
        work: async (within) =>
          asked.deps.repository.changeSource(key, commandFor(await sourceOf(asked)), by, within),
      });
    },
  }),
  operation({
    ...task,
    id: "deleteSource",
    method: "DELETE",
    path: SOURCE,
    summary: "Delete a source and with it its sinks; it can be undeleted, but not with cascade=true",
    query: deleteSourceQuery,
    errors: ["sourceNotFound", "resourceLocked"],
    handle: async ({ query, ...call }) => {
      if (query.cascade !== true)
        return changeState(call, keyOfSource(await sourceOf(call)), "delete", "deleted");
      return purgeSource(call.deps, keyOfSource(await presentOf(call)), call.by);
    },
  }),
  operation({
    ...task,
    id: "disableSource",
    method: "PUT",
    path: `${SOURCE}/disable`,
    summary: "Disable a source: it takes no records",
    errors: ["sourceNotFound", "resourceLocked"],
    handle: async (call) => changeState(call, keyOfSource(await sourceOf(call)), "disable", "disabled"),
  }),
  operation({
    ...task,
    id: "enableSource",
    method: "PUT",
    path: `${SOURCE}/enable`,
    summary: "Enable a source, and those of its sinks that are not disabled themselves",
    errors: ["sourceNotFound", "resourceLocked"],
    handle: async (call) => changeState(call, keyOfSource(await sourceOf(call)), "enable", "enabled"),
  }),
  operation({
    ...task,
    id: "undeleteSource",
    method: "PUT",
    path: `${SOURCE}/undelete`,
    summary: "Undelete a source, and those of its sinks that were not deleted themselves",
    errors: ["deletedSourceNotFound", "sourceAlreadyExists", "resourceLimitReached", "resourceLocked"],
    handle: async (call) => {
      const key = sourceKeyOf(call);
      const { repository, signal } = call.deps;
      if ((await repository.source(key, signal, "deleted")) === undefined) {
        const message = `Deleted source "${key.sourceId}" not found in the branch`;
        throw new ApiError("deletedSourceNotFound", message);
      }
      const others = await repository.sources(key, { afterId: "", limit: 1 }, signal);
      const max = DEFINITION_LIMITS.sourcesPerBranchMax;
      if (others.totalCount >= max) throw limitReached("source", max);
      return changeState(call, key, "undelete", "undeleted");
    },
  }),
  operation({
    ...shared,
    id: "rotateSourceSecret",
    method: "POST",
    path: `${SOURCE}/rotate-secret`,
    summary: "Give a source a new secret: the old URL is not known any more",
    access: "write",
    status: 200,
    answer: sourceAnswer,
    errors: ["sourceNotFound"],
    handle: async ({ deps, by, ...asked }) => {
      const key = sourceKeyOf({ deps, ...asked });
      const outcome = await deps.repository.changeSource(key, { kind: "rotateSecret" }, by, deps.signal);
      if (!("entity" in outcome)) throw sourceNotFound(key.sourceId);
      await deps.settled(outcome.revision, deps.signal);
      return sourceBody(outcome.entity, deps.urls());
    },
  }),
];

/** Also a source that is deleted. @throws {ApiError} 404 */
async function presentOf(call: Asked): Promise<SourceDefinition> {
  const deleted = await call.deps.repository.source(sourceKeyOf(call), call.deps.signal, "deleted");
  return deleted ?? sourceOf(call);
}

type StateCall = Asked & Pick<Parameters<Operation["handle"]>[0], "by">;

function changeState(
  { deps, by }: StateCall,
  key: SourceKey,
  kind: "disable" | "enable" | "delete" | "undelete",
  done: string,
): Promise<object> {
  return runTask(deps, {
    type: `api.${kind}.source`,
    key,
    result: `Source has been ${done} successfully.`,
    isRepeatable: true,
    work: (within) => deps.repository.changeSource(key, { kind }, by, within),
  });
}
