// Changes of definitions as tasks: under the object's lock, answered with 202 and the task as it is by then.
import { WireError } from "@millrace/base";
import { type ChangeOutcome, type CreateOutcome, type SinkKey, type SourceKey } from "@millrace/ingest";
import type { ApiDependencies } from "./api-dependencies.ts";
import { ApiError } from "./api-errors.ts";
import { taskBody } from "./api-responses.ts";
import { alreadyExists, limitReached, objectKeyOf, versionLimitReached } from "./lookups.ts";
import type { TaskOutputs, TaskSuccess, TaskType, TaskWork } from "./task-store.ts";

export interface ChangeTask<T> {
  readonly type: TaskType;
  readonly key: SourceKey | SinkKey;
  /** `Source has been updated successfully.` */
  readonly result: string;
  /** May be asked for twice: a second request gets the task of the first. */
  readonly isRepeatable: boolean;
  readonly work: (signal: AbortSignal) => Promise<CreateOutcome<T> | ChangeOutcome<T>>;
}

/** A task that is done by then is answered as finished. */
const TASK_WAIT_MS = 1000;

/** @throws {ApiError} 409 when another task works on the object */
export function runTask<T>(deps: ApiDependencies, task: ChangeTask<T>): Promise<object> {
  return startTask(deps, task, (signal) => perform(deps, task, signal));
}

/** Starts `work` under the object's lock. @throws {ApiError} 409 when another task works on the object */
export async function startTask(
  deps: ApiDependencies,
  task: Pick<ChangeTask<unknown>, "type" | "key" | "isRepeatable">,
  work: TaskWork,
): Promise<object> {
  const { type, key } = task;
  const request = { projectId: key.projectId, type, objectKey: objectKeyOf(key) };
  const started = await deps.tasks.start(request, work, TASK_WAIT_MS, deps.signal);
  if (started.kind === "started") return taskBody(started.record, deps.urls());
  const { by } = started;
  if (by?.startsWith(`${type}/`) === true && task.isRepeatable) {
    const record = await deps.tasks.get(key.projectId, by, deps.signal);
    if (record !== undefined) return taskBody(record, deps.urls());
  }
  if (by?.startsWith("api.create.") === true && type.startsWith("api.create.")) {
    throw alreadyExists(whatOf(key), `${key.projectId}/${request.objectKey}`);
  }
  const url = by === undefined ? "just now" : `${deps.urls().api}/v1/tasks/${by}`;
  throw new ApiError("resourceLocked", `${whatOf(key)} "${idOf(key)}" is being changed by a task: ${url}.`);
}

async function perform<T>(
  deps: ApiDependencies,
  { key, result, work }: ChangeTask<T>,
  signal: AbortSignal,
): Promise<TaskSuccess> {
  const outcome = await work(signal);
  switch (outcome.kind) {
    case "created":
    case "changed":
    case "unchanged": {
      await deps.settled(outcome.revision, signal);
      return { result, outputs: outputsOf(deps, key) };
    }
    default:
      throw new WireError(outcome.kind === "exists" ? "CONFLICT" : "NOT_FOUND", refusalText(outcome, key));
  }
}

/** What a task is about. */
export function outputsOf(deps: ApiDependencies, key: SourceKey | SinkKey): TaskOutputs {
  const { projectId, branchId, sourceId } = key;
  const ids = { projectId, branchId, sourceId, ...("sinkId" in key ? { sinkId: key.sinkId } : {}) };
  return { url: urlOf(deps, key), ...ids };
}

type Refused = Exclude<
  CreateOutcome<unknown> | ChangeOutcome<unknown>,
  { readonly kind: "created" | "changed" | "unchanged" }
>;

/** What a task says when things have changed since its request was looked at. */
function refusalText(refusal: Refused, key: SourceKey | SinkKey): string {
  const what = whatOf(key);
  switch (refusal.kind) {
    case "exists":
      return alreadyExists(what, idOf(key)).message;
    case "limit":
      return limitReached(what, refusal.max).message;
    case "versionLimit":
      return versionLimitReached(what, refusal.max).message;
    case "purging":
      return `A ${what} of this ID is being removed: try again when that is done.`;
    case "noSource":
      return "The source is gone.";
    case "notFound":
      return `The ${what} is gone.`;
    case "noVersion":
      return "The version is gone.";
    case "deletedNotFound":
      return `There is no deleted ${what} of this ID any more.`;
  }
}

function urlOf(deps: ApiDependencies, key: SourceKey | SinkKey): string {
  const source = `${deps.urls().api}/v1/branches/${key.branchId}/sources/${key.sourceId}`;
  return "sinkId" in key ? `${source}/sinks/${key.sinkId}` : source;
}

function whatOf(key: SourceKey | SinkKey): "source" | "sink" {
  return "sinkId" in key ? "sink" : "source";
}

function idOf(key: SourceKey | SinkKey): string {
  return "sinkId" in key ? key.sinkId : key.sourceId;
}
