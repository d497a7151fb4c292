// Whether the table of a sink can take what its mapping makes: asked before anything is accepted for it.
import type { Column, SinkDefinition } from "@millrace/ingest";
import type { ApiDependencies } from "./api-dependencies.ts";
import { ApiError } from "./api-errors.ts";

export interface TableChange {
  /** Makes the table ready. @throws {WireError} INVALID_ARGUMENT with what speaks against it */
  prepare(signal: AbortSignal): Promise<void>;
}

/** Records of a sink whose table cannot be made would be acknowledged and never become rows. @throws {ApiError} 400 */
export async function checkTable(
  { target, signal }: ApiDependencies,
  tableId: string,
  columns: readonly Column[],
): Promise<void> {
  const problem = await target.check(tableId, columns, signal);
  if (problem !== undefined) throw new ApiError("badRequest", problem);
}

/** @returns what has to be made ready; undefined when nothing changes about the table. @throws {ApiError} 400 */
export async function checkNewTable(
  deps: ApiDependencies,
  { table }: SinkDefinition,
  tableId: string,
  columns: readonly Column[],
): Promise<TableChange | undefined> {
  const isSame = JSON.stringify(columns) === JSON.stringify(table.mapping.columns);
  if (tableId === table.tableId && isSame) return undefined;
  await checkTable(deps, tableId, columns);
  return { prepare: (signal) => deps.target.prepare(tableId, columns, signal) };
}
