// Whether a sink's mapping and a table fit each other (keboola-stream specification 1.8): a table that is there must
// have exactly the columns of the mapping, or rows would be accepted that can never be loaded. Only a sink whose
// mapping is changed finds its own table with the columns of older versions, and adds those that it lacks.
import { WireError } from "@millrace/base";
import type { Column, TableFit } from "@millrace/ingest";
import type { EngineConnection } from "./engine.ts";
import { tableColumns } from "./load-sql.ts";
import { parseTableId, quoteText, reservedSchema, type TableId } from "./table-id.ts";

/** Differences that a refusal names; there may be a hundred. */
const DIFFERENCES_NAMED_MAX = 5;

/** Why `tableId` cannot take rows of `columns`; undefined when it can, or when it has yet to be made. */
export async function checkTable(
  connection: EngineConnection,
  tableId: string,
  columns: readonly Column[],
  fit: TableFit,
): Promise<string | undefined> {
  try {
    const id = parseTableId(tableId);
    if (await isCatalog(connection, id.schema)) throw reservedSchema(id.schema);
    return differences(tableId, await columnsOf(connection, id), tableColumns(columns), fit);
  } catch (thrown) {
    if (thrown instanceof WireError && thrown.code === "INVALID_ARGUMENT") return thrown.message;
    throw thrown;
  }
}

/** The database file's own name is a catalog too. */
async function isCatalog(connection: EngineConnection, schema: string): Promise<boolean> {
  const result = await connection.runAndReadAll("SELECT database_name FROM duckdb_databases()");
  return result.getRows().some(([name]) => String(name).toLowerCase() === schema.toLowerCase());
}

/** Columns of the table by name in lower case, with their types; empty when there is none. */
async function columnsOf(connection: EngineConnection, id: TableId): Promise<ReadonlyMap<string, string>> {
  const result = await connection.runAndReadAll(
    "SELECT column_name, data_type FROM duckdb_columns() WHERE database_name = current_database() " +
      `AND lower(schema_name) = ${quoteText(id.schema.toLowerCase())} ` +
      `AND lower(table_name) = ${quoteText(id.table.toLowerCase())}`,
  );
  return new Map(result.getRows().map(([name, type]) => [String(name).toLowerCase(), String(type)]));
}

function differences(
  tableId: string,
  found: ReadonlyMap<string, string>,
  expected: readonly (readonly [name: string, type: string])[],
  fit: TableFit,
): string | undefined {
  if (found.size === 0) return undefined;
  const all: string[] = [];
  const names = new Set<string>();
  for (const [name, type] of expected) {
    names.add(name.toLowerCase());
    const has = found.get(name.toLowerCase());
    if (has === undefined) {
      if (fit === "same") all.push(`"${name}" ${type} is not in the table`);
    } else if (has !== type) all.push(`"${name}" is ${has} in the table and would be ${type}`);
  }
  for (const [name, type] of found) {
    if (fit === "same" && !names.has(name)) all.push(`"${name}" ${type} of the table is not in the mapping`);
  }
  if (all.length === 0) return undefined;
  const named = all.slice(0, DIFFERENCES_NAMED_MAX).join("; ");
  const more = all.length > DIFFERENCES_NAMED_MAX ? `; and ${all.length - DIFFERENCES_NAMED_MAX} more` : "";
  return `columns of the table "${tableId}" do not match expected: ${named}${more}`;
}
