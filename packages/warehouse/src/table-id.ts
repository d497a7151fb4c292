// Names in SQL: a target table is `<schema>.<table>`; everything is quoted, nothing is spliced raw.
import { WireError } from "@millrace/base";

export interface TableId {
  readonly schema: string;
  readonly table: string;
}

/** Bookkeeping tables live here; sinks may not use it. */
export const SYSTEM_SCHEMA = "_millrace";

/** The engine's own schemas, and its own catalogs: a schema of a catalog's name is ambiguous in every statement. */
const RESERVED_SCHEMAS: ReadonlySet<string> = new Set([
  SYSTEM_SCHEMA,
  "information_schema",
  "pg_catalog",
  "system",
  "temp",
]);

/**
 * Parses `main.flights`; a name without a schema is in `main`.
 * @throws {WireError} INVALID_ARGUMENT with the rule that was broken
 */
export function parseTableId(tableId: string): TableId {
  const parts = tableId.split(".");
  const [schema, table] = parts.length === 1 ? ["main", parts[0]] : parts;
  const valid = /^[A-Za-z_][A-Za-z0-9_]{0,62}$/;
  if (
    parts.length > 2 ||
    schema === undefined ||
    table === undefined ||
    !valid.test(schema) ||
    !valid.test(table)
  ) {
    const rule = "expected <schema>.<table>, each 1 to 63 of [A-Za-z0-9_], not starting with a digit";
    throw new WireError("INVALID_ARGUMENT", `table "${tableId}" is not a table name (${rule})`);
  }
  if (RESERVED_SCHEMAS.has(schema.toLowerCase())) throw reservedSchema(schema);
  return { schema, table };
}

export function reservedSchema(schema: string): WireError {
  return new WireError("INVALID_ARGUMENT", `schema "${schema}" is reserved`);
}

export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

export function quoteText(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

export function qualified({ schema, table }: TableId): string {
  return `${quoteName(schema)}.${quoteName(table)}`;
}
