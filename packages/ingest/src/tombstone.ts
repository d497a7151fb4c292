// What a purge leaves among the definitions under nextKey: which life of an ID comes next, and what of earlier ones is
// still to be removed. A source's tombstone may still have sinks to bury; a sink's has a life for each purge that is
// not through.
//
//   life of a sink:  table ──> storage ──> bytes ──> late ──> gone, or `done` when its table has stayed
//
// X1 A stage is done again whenever nobody knows whether it was: each of them leaves what is gone alone.
// X2 Another life begins when the storage model has nothing of the ones before: from `bytes` on.
import { utf8 } from "@millrace/base";
import type { Key } from "@millrace/metadata";
import { NEXT_PREFIX } from "./definition-keys.ts";
import type { SinkKey, SourceKey } from "./definitions.ts";
import { JsonFields, parseJson } from "./storage-json.ts";
import { decodeSettings } from "./target-settings.ts";
import { placedAt, type TargetRef } from "./target-ref.ts";

/** What is to be done next for a life. */
export const PURGE_STAGES = ["table", "storage", "bytes", "late", "done"] as const;
export type PurgeStage = (typeof PURGE_STAGES)[number];

export interface PurgedLife {
  /** 0 of the first life. */
  readonly incarnation: number;
  /** When it was purged, UTC ISO 8601: the same for all sinks of a source that went together. */
  readonly at: string;
  /** Settings of the target with the table's ID, as a definition has them: a password in it is sealed. */
  readonly table: object;
  readonly stage: PurgeStage;
  /** Why its table has stayed. */
  readonly kept?: string;
  /** Its journals, as far as they were known when the storage model was cleared. */
  readonly journals: readonly string[];
}

export interface SinkTombstone {
  readonly kind: "sink";
  readonly key: SinkKey;
  /** Of the next life. */
  readonly incarnation: number;
  readonly lives: readonly PurgedLife[];
}

export interface SourceTombstone {
  readonly kind: "source";
  readonly key: SourceKey;
  readonly incarnation: number;
  /** When the purge began whose sinks are not all taken yet. */
  readonly purging?: string;
}

export type Tombstone = SinkTombstone | SourceTombstone;

/** Lives of a sink that may be under way to be removed; another purge waits. */
export const PURGED_LIVES_MAX = 8;

export function encodeTombstone(tombstone: Tombstone): Uint8Array {
  const { kind: _kind, key: _key, ...value } = tombstone;
  if (tombstone.kind === "sink" && tombstone.lives.length === 0) {
    return utf8(JSON.stringify({ incarnation: tombstone.incarnation }));
  }
  return utf8(JSON.stringify(value));
}

/** @throws {WireError} CORRUPT */
export function decodeTombstone(key: Key, bytes: Uint8Array): Tombstone {
  const fields = new JsonFields(parseJson(bytes, key), key);
  const incarnation = fields.integer("incarnation", 1);
  const [projectId, branchId, sourceId = "", sinkId] = key.slice(NEXT_PREFIX.length).split("/");
  const source = { projectId: Number(projectId), branchId: Number(branchId), sourceId };
  if (sinkId === undefined) {
    const purging = fields.has("purging") ? { purging: fields.time("purging") } : {};
    return { kind: "source", key: source, incarnation, ...purging };
  }
  const lives = fields.has("lives") ? fields.list("lives", lifeIn) : [];
  return { kind: "sink", key: { ...source, sinkId }, incarnation, lives };
}

function lifeIn(value: unknown, what: string): PurgedLife {
  const fields = new JsonFields(value, what);
  const table = fields.object("table");
  decodeSettings(table);
  table.text("tableId");
  return {
    incarnation: fields.integer("incarnation"),
    at: fields.time("at"),
    table: (value as PurgedLife).table,
    stage: fields.oneOf("stage", PURGE_STAGES),
    ...(fields.has("kept") ? { kept: fields.text("kept") } : {}),
    journals: fields.list("journals", (name, item) => new JsonFields({ name }, item).text("name")),
  };
}

/** The table that a life had. */
export function tableOf({ table }: PurgedLife, what: string): TargetRef {
  const fields = new JsonFields(table, what);
  return placedAt(decodeSettings(fields), fields.text("tableId"));
}

/** X2 */
export function isCleared({ stage }: PurgedLife): boolean {
  return stage === "bytes" || stage === "late" || stage === "done";
}

/** What is to be done first; undefined: nothing. */
export function nextLife({ lives }: SinkTombstone): PurgedLife | undefined {
  const byStage = PURGE_STAGES.filter((stage) => stage !== "done").flatMap((stage) =>
    lives.filter((life) => life.stage === stage),
  );
  return byStage[0];
}

/** The tombstone with `life` in the place of what it was. A life that has nothing to say is gone. */
export function withLife(tombstone: SinkTombstone, life: PurgedLife): SinkTombstone {
  const isSame = (other: PurgedLife): boolean => other.incarnation === life.incarnation;
  const isOver = life.stage === "done" && life.kept === undefined;
  const lives = tombstone.lives.flatMap((other) => (isSame(other) ? (isOver ? [] : [life]) : [other]));
  return { ...tombstone, lives };
}

/**
 * The tombstone of a sink that is purged. What earlier purges have said about tables that stayed is forgotten.
 * @returns undefined when too many lives are under way
 */
export function buried(
  before: SinkTombstone | undefined,
  sink: { readonly key: SinkKey; readonly incarnation: number; readonly table: object },
  at: string,
): SinkTombstone | undefined {
  const { key, incarnation, table } = sink;
  const pending = (before?.lives ?? []).filter(({ stage }) => stage !== "done");
  if (pending.length >= PURGED_LIVES_MAX) return undefined;
  const life: PurgedLife = { incarnation, at, table, stage: "table", journals: [] };
  return { kind: "sink", key, incarnation: incarnation + 1, lives: [...pending, life] };
}

/** Whether another life may begin (X2). */
export function isOver(tombstone: Tombstone): boolean {
  return tombstone.kind === "source" ? tombstone.purging === undefined : tombstone.lives.every(isCleared);
}
