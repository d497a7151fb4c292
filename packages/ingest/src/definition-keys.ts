// Keys of the definitions in the coordination store (specification 5.4). `deleted` keys are reserved: an ID that was
// deleted keeps its versions.
import { keyOf, type Key } from "@millrace/metadata";
import { sinkPath, sourcePath, type SinkKey, type SourceKey } from "./definitions.ts";

export const DEFINITION_PREFIX: Key = "stream/definition/";

export type EntityState = "active" | "deleted";

export type DefinitionKeyKind = "source" | "sink" | "other";

export function branchKey(key: Pick<SourceKey, "projectId" | "branchId">): Key {
  return `${DEFINITION_PREFIX}branch/active/${key.projectId}/${key.branchId}`;
}

export function sourceKey(key: SourceKey, state: EntityState): Key {
  return keyOf(`${DEFINITION_PREFIX}source/${state}/${sourcePath(key)}`);
}

/** Prefix of all sources of a branch. */
export function sourcesPrefix(key: Pick<SourceKey, "projectId" | "branchId">, state: EntityState): Key {
  return `${DEFINITION_PREFIX}source/${state}/${key.projectId}/${key.branchId}/`;
}

export function sourceVersionsPrefix(key: SourceKey): Key {
  return keyOf(`${DEFINITION_PREFIX}source/version/${sourcePath(key)}/`);
}

export function sourceVersionKey(key: SourceKey, version: number): Key {
  return keyOf(`${sourceVersionsPrefix(key)}${versionText(version)}`);
}

export function sinkKey(key: SinkKey, state: EntityState): Key {
  return keyOf(`${DEFINITION_PREFIX}sink/${state}/${sinkPath(key)}`);
}

export function sinksPrefix(key: SourceKey, state: EntityState): Key {
  return keyOf(`${DEFINITION_PREFIX}sink/${state}/${sourcePath(key)}/`);
}

export function sinkVersionsPrefix(key: SinkKey): Key {
  return keyOf(`${DEFINITION_PREFIX}sink/version/${sinkPath(key)}/`);
}

export function sinkVersionKey(key: SinkKey, version: number): Key {
  return keyOf(`${sinkVersionsPrefix(key)}${versionText(version)}`);
}

/** What the secrets of a source are sealed for: the same in its records of every state and version. */
export function secretPlace(key: SourceKey): string {
  return `${DEFINITION_PREFIX}source/${sourcePath(key)}`;
}

/** The same of the secret of signatures. */
export function signaturePlace(key: SourceKey): string {
  return `${secretPlace(key)} signature`;
}

/** The same of a sink's. */
export function sinkSecretPlace(key: SinkKey): string {
  return `${DEFINITION_PREFIX}sink/${sinkPath(key)}`;
}

/** Of the tombstones that purges leave. */
export const NEXT_PREFIX: Key = `${DEFINITION_PREFIX}next/`;

/** Where a purge leaves which life of a source's or sink's ID comes next. */
export function nextKey(key: SourceKey | SinkKey): Key {
  return keyOf(`${NEXT_PREFIX}${"sinkId" in key ? sinkPath(key) : sourcePath(key)}`);
}

/** `0000000001`: sorts as the number does. */
export function versionText(version: number): string {
  return String(version).padStart(10, "0");
}

export function definitionKindOf(key: Key): DefinitionKeyKind {
  if (/^stream\/definition\/source\/(active|deleted)\//.test(key)) return "source";
  if (/^stream\/definition\/sink\/(active|deleted)\//.test(key)) return "sink";
  return "other";
}
