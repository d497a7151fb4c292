// SQL of loads, as pure text: tables from mappings, inserts from staged objects, and the loaded end of D23.
import type { Column, StagedObject, SYSTEM_COLUMNS as Names } from "@millrace/ingest";
import { qualified, quoteName, quoteText, SYSTEM_SCHEMA, type TableId } from "./table-id.ts";

/** Names as the port fixes them; only its types are imported, so that this process does not load the ingest package. */
const SYSTEM_COLUMNS: typeof Names = { journal: "_journal", offset: "_offset" };

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
      return "VARCHAR";
  }
}

export function createTable(id: TableId, columns: readonly Column[]): readonly string[] {
  const fields = columns.map((column) => `${quoteName(column.name)} ${columnType(column)}`);
  fields.push(`${quoteName(SYSTEM_COLUMNS.journal)} VARCHAR NOT NULL`, `${quoteName(SYSTEM_COLUMNS.offset)} BIGINT NOT NULL`);
  return [
    `CREATE SCHEMA IF NOT EXISTS ${quoteName(id.schema)}`,
    `CREATE TABLE IF NOT EXISTS ${qualified(id)} (${fields.join(", ")})`,
  ];
}

export function addColumn(id: TableId, column: Column): string {
  return `ALTER TABLE ${qualified(id)} ADD COLUMN IF NOT EXISTS ${quoteName(column.name)} ${columnType(column)}`;
}

/** Longest row that is loaded, in bytes: above the door's own row limit. */
const MAX_ROW_BYTES = 8 * 1024 * 1024;

/**
 * Inserts the rows of staged objects that share one sink version. Objects are CSV without a header, each row led by its
 * offset, every other value quoted; a quoted empty value is an empty string, not NULL.
 * @param files absolute paths, in journal order
 */
export function insertObjects(id: TableId, journal: string, object: StagedObject, files: readonly string[]): string {
  const names = object.columns.map((column) => quoteName(column.name));
  const offset = quoteName(SYSTEM_COLUMNS.offset);
  const types = [
    `${quoteText(SYSTEM_COLUMNS.offset)}: 'BIGINT'`,
    ...object.columns.map((column) => `${quoteText(column.name)}: ${quoteText(columnType(column))}`),
  ];
  const list = files.map((file) => quoteText(file)).join(", ");
  return (
    `INSERT INTO ${qualified(id)} (${[...names, quoteName(SYSTEM_COLUMNS.journal), offset].join(", ")}) ` +
    `SELECT ${[...names, quoteText(journal), offset].join(", ")} FROM read_csv([${list}], columns = {${types.join(", ")}}, ` +
    `header = false, auto_detect = false, delim = ',', quote = '"', escape = '"', new_line = '\\n', ` +
    `allow_quoted_nulls = false, max_line_size = ${MAX_ROW_BYTES}, buffer_size = ${4 * MAX_ROW_BYTES}, strict_mode = true)`
  );
}
