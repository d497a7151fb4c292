// Where rows of a slice or file go: a table of a target. Two of them are one place only if everything of them is the
// same: the table `main.t` of one database has nothing to do with that of another.
import type { SinkDefinition } from "./definitions.ts";
import type { JsonFields } from "./storage-json.ts";
import { placeOf, TARGET_KINDS, type TargetKind, type TargetSettings } from "./target-settings.ts";

export interface TargetRef {
  readonly kind: TargetKind;
  /** Which one of its kind; absent where there is only one, as of the warehouse. */
  readonly connection?: string;
  /** Name of the table there, e.g. `main.flights`. */
  readonly tableId: string;
}

export function targetOf({ table }: Pick<SinkDefinition, "table">): TargetRef {
  return placedAt(table, table.tableId);
}

/** The table `tableId` of the target of `settings`. */
export function placedAt(settings: TargetSettings, tableId: string): TargetRef {
  const connection = placeOf(settings);
  return { kind: settings.type, ...(connection === undefined ? {} : { connection }), tableId };
}

/** The same for refs that are the same place, and only for those. */
export function targetName({ kind, connection = "", tableId }: TargetRef): string {
  return JSON.stringify([kind, connection, tableId]);
}

export function isSameTarget(a: TargetRef, b: TargetRef): boolean {
  return a.kind === b.kind && a.connection === b.connection && a.tableId === b.tableId;
}

/** As a person is told: which target it is, without the table. */
export function shownTarget({ kind, connection }: Pick<TargetRef, "kind" | "connection">): string {
  return connection === undefined ? kind : `${kind} ${connection}`;
}

/** Records of the first version name a table alone: that of the warehouse. @throws {WireError} CORRUPT */
export function decodeTarget(fields: JsonFields): TargetRef {
  const kind = fields.has("kind") ? fields.oneOf("kind", TARGET_KINDS) : "duckdb";
  const connection = fields.has("connection") ? { connection: fields.text("connection") } : {};
  return { kind, ...connection, tableId: fields.text("tableId") };
}
