// Whether the table of a sink can take what its mapping makes: asked before anything is accepted for it.
import type { Column, SinkDefinition, TableFit } from "@millrace/ingest";
import type { ApiDependencies } from "./api-dependencies.ts";
import { ApiError } from "./api-errors.ts";

export interface TableChange {
  /** Makes the table ready. @throws {WireError} INVALID_ARGUMENT with what speaks against it */
  prepare(signal: AbortSignal): Promise<void>;
}

/** Records of a sink whose table cannot be made would be acknowledged and never become rows. @throws {ApiError} 400 */
export async function checkTable(
  deps: ApiDependencies,
  tableId: string,
  columns: readonly Column[],
  fit: TableFit,
): Promise<TableChange> {
  const { target, signal } = deps;
  const problem = await target.check(tableId, columns, signal, fit);
  if (problem !== undefined) throw new ApiError("badRequest", problem);
  return { prepare: (within) => target.prepare(tableId, columns, within, fit) };
}

/**
 * @param fit of a table that the sink has not now
 * @returns what has to be made ready; undefined when nothing changes about the table
 * @throws {ApiError} 400
 */
export async function checkNewTable(
  deps: ApiDependencies,
  { table }: SinkDefinition,
  tableId: string,
  columns: readonly Column[],
  fit: TableFit,
): Promise<TableChange | undefined> {
  if (tableId !== table.tableId) return checkTable(deps, tableId, columns, fit);
  const isSame = JSON.stringify(columns) === JSON.stringify(table.mapping.columns);
  return isSame ? undefined : checkTable(deps, tableId, columns, "growing");
}
