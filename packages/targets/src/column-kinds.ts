// What columns of a mapping are in a table, and whether a table that is there can take them (keboola-stream
// specification 1.8).
import { SYSTEM_COLUMNS, type Column } from "@millrace/ingest";
import { DIFFERENCES_NAMED_MAX } from "./limits.ts";

/** What the platform makes itself is typed, what senders give is text. */
export type ColumnKind = "uuid" | "moment" | "text" | "offset";

export function columnKind({ type }: Column): ColumnKind {
  if (type === "uuid") return "uuid";
  return type === "datetime" ? "moment" : "text";
}

/** Every column of a sink's table, in order: the mapping's, then the system's. */
export function tableColumns(
  columns: readonly Column[],
): readonly (readonly [name: string, kind: ColumnKind])[] {
  return [
    ...columns.map((column) => [column.name, columnKind(column)] as const),
    [SYSTEM_COLUMNS.journal, "text"],
    [SYSTEM_COLUMNS.offset, "offset"],
  ];
}

export interface TableColumns {
  /** Types as the target prints them, by name. */
  readonly found: ReadonlyMap<string, string>;
  readonly expected: readonly (readonly [name: string, type: string])[];
  /** Made by Millrace: columns may be missing, which are added, and there may be more, of former mappings. */
  readonly isOwn: boolean;
}

/** How the columns of a table differ from what rows need; undefined: they do not. */
export function columnDifferences(
  tableId: string,
  { found, expected, isOwn }: TableColumns,
): string | undefined {
  const all: string[] = [];
  const names = new Set<string>();
  for (const [name, type] of expected) {
    names.add(name);
    const has = found.get(name);
    if (has === undefined && !isOwn) all.push(`"${name}" ${type} is not in the table`);
    else if (has !== undefined && has !== type)
      all.push(`"${name}" is ${has} in the table and would be ${type}`);
  }
  for (const [name, type] of found) {
    if (!isOwn && !names.has(name)) all.push(`"${name}" ${type} of the table is not in the mapping`);
  }
  if (all.length === 0) return undefined;
  const named = all.slice(0, DIFFERENCES_NAMED_MAX).join("; ");
  const more = all.length > DIFFERENCES_NAMED_MAX ? `; and ${all.length - DIFFERENCES_NAMED_MAX} more` : "";
  return `columns of the table "${tableId}" do not match expected: ${named}${more}`;
}
