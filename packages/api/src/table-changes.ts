// Whether the table of a sink can take what its mapping makes: asked before anything is accepted for it.
import { abortScope, WireError } from "@millrace/base";
import {
  keptPassword,
  placeOf,
  programsProblem,
  settingsOf,
  type Column,
  type SinkDefinition,
  type TableFit,
  type TargetSettings,
} from "@millrace/ingest";
import type { ApiDependencies } from "./api-dependencies.ts";
import { ApiError } from "./api-errors.ts";
import { settingsFrom } from "./table-schema.ts";

export interface TableChange {
  /** Makes the table ready. @throws {WireError} INVALID_ARGUMENT with what speaks against it */
  prepare(signal: AbortSignal): Promise<void>;
}

/** Where rows go and what they are. */
export interface TablePlan {
  readonly target: TargetSettings;
  readonly tableId: string;
  readonly columns: readonly Column[];
}

/** A target that does not answer a person's question within this time is told to be away. */
const CHECK_MS_MAX = 10_000;

/** Records of a sink whose table cannot be made would be acknowledged and never become rows. @throws {ApiError} 400 */
export async function checkTable(
  deps: ApiDependencies,
  { target, tableId, columns }: TablePlan,
  fit: TableFit,
): Promise<TableChange> {
  await checkPrograms(deps, columns, "body.table.mapping.columns");
  const scope = abortScope(deps.signal);
  const cancel = deps.clock.after(CHECK_MS_MAX, () => {
    scope.abort(new WireError("UNAVAILABLE", `the target has not answered in ${CHECK_MS_MAX} ms`));
  });
  try {
    const opened = await deps.targets.at(target, scope.signal);
    const problem = await opened.check(tableId, columns, scope.signal, fit);
    if (problem !== undefined) throw new ApiError("badRequest", problem, "body.table");
  } catch (thrown) {
    const place = placeOf(target);
    if (thrown instanceof ApiError || place === undefined || deps.signal.aborted) throw thrown;
    const { message } = WireError.from(thrown);
    throw new ApiError("badRequest", `${target.type} ${place}: ${message}`, "body.table.connection");
  } finally {
    cancel();
    scope.dispose();
  }
  return {
    prepare: async (within) => (await deps.targets.at(target, within)).prepare(tableId, columns, within, fit),
  };
}

/**
 * Programs that are compiled elsewhere.
 * @param field of the request that the columns stand in
 * @throws {ApiError} 400 with the first that is none
 */
export async function checkPrograms(
  { evaluator }: Pick<ApiDependencies, "evaluator">,
  columns: readonly Column[],
  field: string,
): Promise<void> {
  const problem = await programsProblem(columns, evaluator);
  if (problem === undefined) return;
  throw new ApiError("badRequest", problem.message, `${field}[${problem.index}].template.content`);
}

export interface CheckedPlan {
  readonly plan: TablePlan;
  /** What has to be made ready; undefined when nothing changes about the table. */
  readonly table: TableChange | undefined;
}

/**
 * What is wrong with a change is told before its task begins. The task asks what it returns with the sink as it is
 * under its lock: if that has changed meanwhile, the change is planned again, and takes nothing back.
 * @throws what `plan` throws
 */
export async function planFor(
  sink: SinkDefinition,
  plan: (sink: SinkDefinition) => Promise<CheckedPlan>,
): Promise<(now: SinkDefinition) => Promise<CheckedPlan>> {
  const early = await plan(sink);
  return async (now) => (now.version.number === sink.version.number ? early : plan(now));
}

/** @param fit of a table that the sink has not now @throws {ApiError} 400 */
export async function checkedPlan(
  deps: ApiDependencies,
  sink: SinkDefinition,
  plan: TablePlan,
  fit: TableFit,
): Promise<CheckedPlan> {
  return { plan, table: await checkNewTable(deps, sink, plan, fit) };
}

async function checkNewTable(
  deps: ApiDependencies,
  { table }: SinkDefinition,
  plan: TablePlan,
  fit: TableFit,
): Promise<TableChange | undefined> {
  const { target, tableId, columns } = plan;
  const isThere =
    target.type === table.type && placeOf(target) === placeOf(table) && tableId === table.tableId;
  if (!isThere) return checkTable(deps, plan, fit);
  const before = JSON.stringify([settingsOf(table), table.mapping.columns]);
  return before === JSON.stringify([target, columns]) ? undefined : checkTable(deps, plan, "growing");
}

/** What a request makes of a sink's table; what is not given stays. @throws {ApiError} 400 */
export function changedPlan(
  { table }: SinkDefinition,
  given: {
    readonly type?: TargetSettings["type"];
    readonly connection?: object;
    readonly tableId?: string;
    readonly mapping?: { readonly columns: readonly Column[] };
  } = {},
): TablePlan {
  const { tableId = table.tableId, mapping = table.mapping, type = table.type, connection } = given;
  const before = settingsOf(table);
  const isSame = type === before.type && connection === undefined;
  let target = isSame ? before : settingsFrom(type, connection);
  try {
    target = keptPassword(before, target);
  } catch (thrown) {
    throw new ApiError("badRequest", WireError.from(thrown).message, "body.table.connection.password");
  }
  return { target, tableId, columns: mapping.columns };
}
