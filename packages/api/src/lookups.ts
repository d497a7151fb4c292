// What a request's path is about: found, or 404 with the specification's texts (1.6).
import {
  DEFINITION_LIMITS,
  effectiveSink,
  sinkPath,
  sourcePath,
  versionText,
  type EffectiveSink,
  type PageRequest,
  type SinkDefinition,
  type SinkKey,
  type SourceDefinition,
  type SourceKey,
} from "@millrace/ingest";
import type { ApiDependencies } from "./api-dependencies.ts";
import { ApiError } from "./api-errors.ts";
import { parseBranch } from "./request-schemas.ts";

/** The only project there is. */
export const PROJECT_ID = 1;

export type BranchKey = Pick<SourceKey, "projectId" | "branchId">;

/** What a lookup needs of a call. */
export interface Asked {
  readonly deps: ApiDependencies;
  readonly path: Readonly<Record<string, string>>;
}

/** @throws {ApiError} 400 */
export function branchOf({ path }: Asked): BranchKey {
  return { projectId: PROJECT_ID, branchId: parseBranch(path["branchId"] ?? "") };
}

/** The key that the path names, whether or not there is such a source. @throws {ApiError} 400 about the branch */
export function sourceKeyOf(asked: Asked): SourceKey {
  return { ...branchOf(asked), sourceId: asked.path["sourceId"] ?? "" };
}

/** @throws {ApiError} 404 */
export async function sourceOf(asked: Asked): Promise<SourceDefinition> {
  const key = sourceKeyOf(asked);
  const source = await asked.deps.repository.source(key, asked.deps.signal);
  return source ?? refuse(sourceNotFound(key.sourceId));
}

/** @throws {ApiError} 404 about the source */
export async function sinkKeyOf(asked: Asked): Promise<SinkKey> {
  return { ...keyOfSource(await sourceOf(asked)), sinkId: asked.path["sinkId"] ?? "" };
}

/** @throws {ApiError} 404 about the source, or the sink */
export async function sinkOf(asked: Asked): Promise<EffectiveSink> {
  return (await sinkAndSourceOf(asked)).sink;
}

/** @throws {ApiError} 404 about the source, or the sink */
export async function sinkAndSourceOf(
  asked: Asked,
): Promise<{ readonly sink: EffectiveSink; readonly source: SourceDefinition }> {
  const source = await sourceOf(asked);
  const sinkId = asked.path["sinkId"] ?? "";
  const sink = await asked.deps.repository.sink({ ...keyOfSource(source), sinkId }, asked.deps.signal);
  return sink === undefined ? refuse(sinkNotFound(sinkId)) : { sink: effectiveSink(sink, source), source };
}

export function keyOfSource({ projectId, branchId, sourceId }: SourceKey): SourceKey {
  return { projectId, branchId, sourceId };
}

export function keyOfSink({ projectId, branchId, sourceId, sinkId }: SinkKey): SinkKey {
  return { projectId, branchId, sourceId, sinkId };
}

/** `1/flights`: an object as tasks and locks name it. */
export function objectKeyOf(key: SourceKey | SinkKey): string {
  const path = "sinkId" in key ? sinkPath(key) : sourcePath(key);
  return path.slice(`${key.projectId}/`.length);
}

export function pageOf(query: { readonly afterId?: string; readonly limit?: number }): PageRequest {
  return { afterId: query.afterId ?? "", limit: query.limit ?? DEFINITION_LIMITS.pageLimitMax };
}

export function sourceNotFound(sourceId: string): ApiError {
  return new ApiError("sourceNotFound", `Source "${sourceId}" not found in the branch`);
}

export function sinkNotFound(sinkId: string): ApiError {
  return new ApiError("sinkNotFound", `Sink "${sinkId}" not found in the source`);
}

export function versionNotFound(what: "source" | "sink", id: string, version: number): ApiError {
  const where = what === "source" ? "in the branch" : "in the source";
  const subject = what === "source" ? "Source" : "Sink";
  const text = `${subject} version "${id}/${versionText(version)}" not found ${where}`;
  return new ApiError(`${what}VersionNotFound`, text);
}

/** @param shown its ID, or its whole key when a task has it */
export function alreadyExists(what: "source" | "sink", shown: string): ApiError {
  if (what === "source") {
    return new ApiError(
      "sourceAlreadyExists",
      `Source "${shown}" already exists in the branch`,
      "body.sourceId",
    );
  }
  return new ApiError("sinkAlreadyExists", `Sink "${shown}" already exists in the source`, "body.sinkId");
}

export function limitReached(what: "source" | "sink", max: number): ApiError {
  const where = what === "source" ? "branch" : "source";
  const text = `${what} count limit reached in the ${where}, the maximum is ${max}.`;
  return new ApiError("resourceLimitReached", text);
}

export function versionLimitReached(what: "source" | "sink", max: number): ApiError {
  return new ApiError(
    "resourceLimitReached",
    `version count limit reached in the ${what}, the maximum is ${max}.`,
  );
}

/** Before content is changed. @throws {ApiError} 422 */
export function checkVersions(entity: SourceDefinition | SinkDefinition): void {
  const max = DEFINITION_LIMITS.versionsMax;
  if (entity.version.number >= max) throw versionLimitReached("sinkId" in entity ? "sink" : "source", max);
}

export function refuse(error: ApiError): never {
  throw error;
}
