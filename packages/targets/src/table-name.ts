// Names of tables: `<schema>.<table>`, the same rule for every kind of target. In SQL everything is quoted.
import { WireError } from "@millrace/base";

export interface TableName {
  readonly schema: string;
  readonly table: string;
}

/** Where targets keep what they know themselves; sinks may not use it. */
export const SYSTEM_SCHEMA = "_millrace";

/**
 * @param schema of a name without one
 * @param isReserved whether a schema, in lower case, is the target's own
 * @throws {WireError} INVALID_ARGUMENT with the rule that was broken
 */
export function parseTableName(
  tableId: string,
  schema: string,
  isReserved: (schema: string) => boolean,
): TableName {
  const parts = tableId.split(".");
  const [named = "", table = ""] = parts.length === 1 ? [schema, parts[0]] : parts;
  const valid = /^[A-Za-z_][A-Za-z0-9_]{0,62}$/;
  if (parts.length > 2 || !valid.test(named) || !valid.test(table)) {
    const rule = "expected <schema>.<table>, each 1 to 63 of [A-Za-z0-9_], not starting with a digit";
    throw new WireError("INVALID_ARGUMENT", `table "${tableId}" is not a table name (${rule})`);
  }
  const lower = named.toLowerCase();
  if (lower === SYSTEM_SCHEMA || isReserved(lower)) {
    throw new WireError("INVALID_ARGUMENT", `schema "${named}" is reserved`);
  }
  return { schema: named, table: table };
}
