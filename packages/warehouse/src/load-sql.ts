// SQL of loads, as pure text: tables from mappings, inserts from staged objects, and the loaded end of D23.
import type {
  Column,
  REMOVED_END as RemovedEnd,
  StagedObject,
  SYSTEM_COLUMNS as Names,
} from "@millrace/ingest";
import { qualified, quoteName, quoteText, SYSTEM_SCHEMA, type TableId } from "./table-id.ts";

/** Names as the port fixes them; only its types are imported, so that this process does not load the ingest package. */
const SYSTEM_COLUMNS: typeof Names = { journal: "_journal", offset: "_offset" };

/** The same of the loaded end of a journal whose table was removed. */
export const REMOVED_END: typeof RemovedEnd = Number.MAX_SAFE_INTEGER;

/** Loaded end of each partition, written in the transaction of its rows (D23). */
export const LOADED_TABLE = `${quoteName(SYSTEM_SCHEMA)}."loaded"`;

export const CREATE_BOOKKEEPING: readonly string[] = [
  `CREATE SCHEMA IF NOT EXISTS ${quoteName(SYSTEM_SCHEMA)}`,
  `CREATE TABLE IF NOT EXISTS ${LOADED_TABLE} ("table" VARCHAR NOT NULL, "journal" VARCHAR NOT NULL,
     "loaded_end" BIGINT NOT NULL, PRIMARY KEY ("table", "journal"))`,
];

/** DuckDB type of a mapping column: what the platform makes itself is typed, what senders give is text. */
export function columnType(column: Column): string {
  switch (column.type) {
    case "uuid":
      return "UUID";
    case "datetime":
      return "TIMESTAMP";
    case "ip":
    case "body":
    case "headers":
    case "path":
    case "template":
      return "VARCHAR";
  }
}

/** Every column of a sink's table and its type, in order. */
export function tableColumns(columns: readonly Column[]): readonly (readonly [name: string, type: string])[] {
  return [
    ...columns.map((column) => [column.name, columnType(column)] as const),
    [SYSTEM_COLUMNS.journal, "VARCHAR"],
    [SYSTEM_COLUMNS.offset, "BIGINT"],
  ];
}

export function createTable(id: TableId, columns: readonly Column[]): readonly string[] {
  const fields = tableColumns(columns).map(([name, type], i) => {
    return `${quoteName(name)} ${type}${i < columns.length ? "" : " NOT NULL"}`;
  });
  return [
    `CREATE SCHEMA IF NOT EXISTS ${quoteName(id.schema)}`,
    `CREATE TABLE IF NOT EXISTS ${qualified(id)} (${fields.join(", ")})`,
  ];
}

export function addColumn(id: TableId, column: Column): string {
  return `ALTER TABLE ${qualified(id)} ADD COLUMN IF NOT EXISTS ${quoteName(column.name)} ${columnType(column)}`;
}

export function dropTable(id: TableId): string {
  return `DROP TABLE IF EXISTS ${qualified(id)}`;
}

/** Of the journals of a table that is gone, but for those that it never takes again. */
export function forgetEnds(tableId: string): string {
  const isOther = `"table" = ${quoteText(tableId)} AND "loaded_end" < ${REMOVED_END}`;
  return `DELETE FROM ${LOADED_TABLE} WHERE ${isOther}`;
}

/**
 * Inserts the rows of staged objects that share one sink version: Parquet with `_offset`, `c0`, `c1`, … (StagedObject).
 * @param files absolute paths, in journal order
 */
export function insertObjects(
  id: TableId,
  journal: string,
  object: StagedObject,
  files: readonly string[],
): string {
  const journalName = quoteName(SYSTEM_COLUMNS.journal);
  const offset = quoteName(SYSTEM_COLUMNS.offset);
  const names = object.columns.map((column) => quoteName(column.name));
  const values = object.columns.map((column, i) => {
    const type = columnType(column);
    return type === "VARCHAR" ? `c${i}` : `CAST(c${i} AS ${type})`;
  });
  const list = files.map((file) => quoteText(file)).join(", ");
  return (
    `INSERT INTO ${qualified(id)} (${[...names, journalName, offset].join(", ")}) ` +
    `SELECT ${[...values, quoteText(journal), offset].join(", ")} FROM read_parquet([${list}])`
  );
}

/**
 * Writes the loaded end of a partition (D23).
 * @param isKnown whether it has one: an update costs a third of INSERT OR REPLACE
 */
export function moveLoadedEnd(tableId: string, journal: string, end: number, isKnown: boolean): string {
  const table = quoteText(tableId);
  if (!isKnown) return `INSERT INTO ${LOADED_TABLE} VALUES (${table}, ${quoteText(journal)}, ${end})`;
  return (
    `UPDATE ${LOADED_TABLE} SET "loaded_end" = ${end} ` +
    `WHERE "table" = ${table} AND "journal" = ${quoteText(journal)}`
  );
}
