// The Target port over PostgreSQL.
//
// T1 Rows and loaded ends commit in one transaction, which holds a lock on the row of each partition's loaded end from
//    before it is read: two importers of a partition go one after the other (D23).
// T2 A connection that is lost while COMMIT is under way leaves the outcome open. The loaded end tells: it is looked at
//    once; when it has not moved, the commit may still come, and whoever asks again waits for it at the lock.
// T3 Nothing is remembered between two calls: tables are looked at anew, since others may change them.
// T4 A table that was made here gets what columns it lacks; one that others made must have exactly the mapping's, and
//    is never removed.
// T5 A table is removed in the transaction that moves the loaded ends of its journals to REMOVED_END: one that waits
//    for them finds itself done, and one that comes later makes no table anew.
import { WireError, type Clock } from "@millrace/base";
import {
  REMOVED_END,
  type Column,
  type LoadOutcome,
  type LoadRequest,
  type PartitionLoad,
  type Target,
} from "@millrace/ingest";
import type { ObjectStore } from "@millrace/stores";
import { columnDifferences } from "./column-kinds.ts";
import { stagedLines } from "./staged-lines.ts";
import { LOOK_AGAIN_MS } from "./limits.ts";
import { judgeLoad } from "./load-judgement.ts";
import type { PostgresConnection } from "./postgres-connection.ts";
import { leavesOutcomeOpen, postgresFailure } from "./postgres-errors.ts";
import type { PostgresRow, PostgresSession } from "./postgres-session.ts";
import { PostgresSessions } from "./postgres-sessions.ts";
import * as sql from "./postgres-sql.ts";
import { runsOfOneVersion } from "./staged-runs.ts";
import { parseTableName, type TableName } from "./table-name.ts";

export interface PostgresTargetPorts {
  readonly connection: PostgresConnection;
  readonly stagingStore: ObjectStore;
  readonly clock: Clock;
}

/** A table as it is; without columns when there is none. */
interface FoundTable {
  readonly encoding: string;
  readonly kind: string | null;
  readonly isOwn: boolean;
  readonly columns: ReadonlyMap<string, string>;
}

type Ends = ReadonlyMap<string, number>;

const RELATIONS_WITH_ROWS: readonly (string | null)[] = ["r", "p"];

export class PostgresTarget implements Target {
  readonly #sessions: PostgresSessions;
  readonly #stagingStore: ObjectStore;

  constructor({ connection, stagingStore, clock }: PostgresTargetPorts) {
    this.#sessions = new PostgresSessions(connection, clock);
    this.#stagingStore = stagingStore;
  }

  /** Lets go of the database; what is under way ends first. */
  close(): void {
    this.#sessions.close();
  }

  async check(tableId: string, columns: readonly Column[], signal: AbortSignal): Promise<string | undefined> {
    let name: TableName;
    try {
      name = tableName(tableId);
    } catch (thrown) {
      return (thrown as WireError).message;
    }
    return this.#use(signal, async (session) => problemOf(tableId, columns, await describe(session, name)));
  }

  prepare(tableId: string, columns: readonly Column[], signal: AbortSignal): Promise<void> {
    return this.#use(signal, (session) => ensureTable(session, tableId, columns, "INVALID_ARGUMENT"));
  }

  async loadedEnds(tableId: string, signal: AbortSignal): Promise<Ends> {
    const table = keyOf(tableName(tableId));
    return this.#use(signal, async (session) => readEnds(session, table));
  }

  /** T5 */
  drop(tableId: string, journals: readonly string[], signal: AbortSignal): Promise<void> {
    const name = tableName(tableId);
    return this.#use(signal, (session) => drop(session, tableId, name, [...journals].sort()));
  }

  async load(request: LoadRequest, signal: AbortSignal): Promise<LoadOutcome> {
    const outcome = await this.#use(signal, (session) => this.#load(session, request, signal));
    return outcome.kind === "open" ? this.#lookAgain(request, outcome, signal) : outcome;
  }

  /** One transaction. `open`: COMMIT was sent and not answered (T2). */
  async #load(
    session: PostgresSession,
    request: LoadRequest,
    signal: AbortSignal,
  ): Promise<LoadOutcome | OpenOutcome> {
    const { partitions } = request;
    const { tableId } = request.target;
    const columns = allColumns(request);
    const name = tableName(tableId);
    if (await isRemoved(session, name, partitions)) return { kind: "already" }; // T5
    await ensureTable(session, tableId, columns, "UNPROCESSABLE");
    await session.query(sql.BEGIN);
    const ends = await lockEnds(session, keyOf(name), partitions);
    const verdict = judgeLoad(partitions, ends, "together");
    if (verdict.kind !== "load") {
      await session.query("ROLLBACK");
      return verdict;
    }
    let rows = 0;
    for (const partition of partitions) rows += await this.#copy(session, name, partition, signal);
    await session.query(sql.MOVE_ENDS, [
      keyOf(name),
      partitions.map(({ journal }) => journal),
      partitions.map(({ begin }) => begin),
      partitions.map(({ end }) => end),
    ]);
    try {
      await session.commit();
    } catch (error) {
      if (!leavesOutcomeOpen(error) || error instanceof WireError) throw error;
      session.destroy();
      return { kind: "open", rows, error };
    }
    return { kind: "loaded", rows };
  }

  async #copy(
    session: PostgresSession,
    name: TableName,
    { journal, begin, objects }: PartitionLoad,
    signal: AbortSignal,
  ): Promise<number> {
    let rows = 0;
    for (const run of runsOfOneVersion(objects)) {
      const { columns } = run[0]!;
      const expected = run.reduce((sum, object) => sum + object.rows, 0);
      const copied = await session.copyIn(
        sql.copyRows(name, columns),
        stagedLines(this.#stagingStore, run, { journal, takesNul: false }, signal),
      );
      if (copied !== expected) {
        const facts = { journal, begin, expected, found: copied };
        throw new WireError("CORRUPT", `PostgreSQL took ${copied} rows instead of ${expected}`, { facts });
      }
      rows += copied;
    }
    return rows;
  }

  async #lookAgain(
    { target, partitions }: LoadRequest,
    open: OpenOutcome,
    signal: AbortSignal,
  ): Promise<LoadOutcome> {
    const unknown = new WireError("OUTCOME_UNKNOWN", "PostgreSQL did not answer COMMIT", {
      cause: open.error,
    });
    const look = (session: PostgresSession): Promise<Ends> =>
      readEnds(session, keyOf(tableName(target.tableId)));
    let ends: Ends;
    try {
      ends = await this.#sessions.use(signal, look, LOOK_AGAIN_MS);
    } catch {
      signal.throwIfAborted();
      throw unknown;
    }
    if (!partitions.every(({ journal, end }) => (ends.get(journal) ?? -1) >= end)) throw unknown;
    return { kind: "loaded", rows: open.rows };
  }

  async #use<T>(signal: AbortSignal, work: (session: PostgresSession) => Promise<T>): Promise<T> {
    try {
      return await this.#sessions.use(signal, work);
    } catch (error) {
      signal.throwIfAborted();
      throw postgresFailure(error);
    }
  }
}

interface OpenOutcome {
  readonly kind: "open";
  readonly rows: number;
  readonly error: unknown;
}

/** @throws {WireError} INVALID_ARGUMENT */
function tableName(tableId: string): TableName {
  return parseTableName(tableId, "public", (schema) => {
    return schema === "information_schema" || schema.startsWith("pg_");
  });
}

/** A table's key in the table of loaded ends: the same with and without its schema said. */
function keyOf({ schema, table }: TableName): string {
  return `${schema}.${table}`;
}

async function describe(session: PostgresSession, { schema, table }: TableName): Promise<FoundTable> {
  const rows = await session.query(sql.DESCRIBE, [schema, table]);
  const [encoding, kind, comment] = rows[0] ?? ["", null, null];
  const named = rows.filter((row) => row[3] !== null);
  return {
    encoding: encoding ?? "",
    kind: kind ?? null,
    isOwn: comment?.startsWith(sql.OWN_COMMENT) === true,
    columns: new Map(named.map((row) => [row[3]!, row[4]!])),
  };
}

/** Why a table cannot have rows of `columns` (T4). */
function problemOf(tableId: string, columns: readonly Column[], found: FoundTable): string | undefined {
  if (found.encoding !== "UTF8") return `the encoding of the database is ${found.encoding}, UTF8 is needed`;
  const long = columns.find(({ name }) => Buffer.byteLength(name) > sql.NAME_BYTES_MAX);
  if (long !== undefined) {
    const bytes = Buffer.byteLength(long.name);
    return `column name "${long.name}" has ${bytes} bytes, a name in PostgreSQL at most ${sql.NAME_BYTES_MAX}`;
  }
  if (found.kind === null) return undefined;
  if (!RELATIONS_WITH_ROWS.includes(found.kind)) return `"${tableId}" is there and is not a table`;
  const { columns: present, isOwn } = found;
  return columnDifferences(tableId, { found: present, expected: sql.typedColumns(columns), isOwn });
}

/** Makes what is missing of table, columns and bookkeeping, in a transaction of its own. */
async function ensureTable(
  session: PostgresSession,
  tableId: string,
  columns: readonly Column[],
  refusal: "INVALID_ARGUMENT" | "UNPROCESSABLE",
): Promise<void> {
  const name = tableName(tableId);
  if (missingOf(await look(), columns).length === 0) return;
  await session.query(sql.BEGIN);
  await session.query(sql.LOCK_DEFINITIONS);
  for (const statement of missingOf(await look(), columns)) await session.query(statement);
  await session.commit();

  async function look(): Promise<{ found: FoundTable; present: PostgresRow }> {
    const found = await describe(session, name);
    const problem = problemOf(tableId, columns, found);
    if (problem !== undefined) throw new WireError(refusal, problem);
    const [present] = await session.query(sql.PRESENT, [name.schema]);
    return { found, present: present! };
  }

  function missingOf(
    { found, present }: { found: FoundTable; present: PostgresRow },
    wanted: readonly Column[],
  ): readonly string[] {
    const [schema, system, loaded] = present;
    return [
      ...(system === null ? [sql.CREATE_SYSTEM_SCHEMA] : []),
      ...(loaded === null ? [sql.CREATE_LOADED] : []),
      ...(schema === null ? [sql.createSchema(name.schema)] : []),
      ...(found.kind === null ? sql.createTable(name, wanted) : addedColumns(name, found, wanted)),
    ];
  }
}

async function drop(
  session: PostgresSession,
  tableId: string,
  name: TableName,
  journals: readonly string[],
): Promise<void> {
  const { kind, isOwn } = await describe(session, name);
  if (kind !== null && !isOwn) {
    throw new WireError("INVALID_ARGUMENT", `"${tableId}" was made by others and is not removed`);
  }
  const [present] = await session.query(sql.PRESENT, ["public"]);
  await session.query(sql.BEGIN);
  await session.query(sql.LOCK_DEFINITIONS);
  if (present?.[1] === null) await session.query(sql.CREATE_SYSTEM_SCHEMA);
  if (present?.[2] === null) await session.query(sql.CREATE_LOADED);
  await session.query(sql.MAKE_ENDS, [keyOf(name), journals]);
  await session.query(sql.LOCK_ENDS, [keyOf(name), journals]);
  if (kind !== null) await session.query(sql.dropTable(name));
  await session.query(sql.REMOVE_ENDS, [keyOf(name), journals, REMOVED_END]);
  await session.query(sql.FORGET_ENDS, [keyOf(name), REMOVED_END]);
  await session.commit();
}

/** Whether there is no table, and none is to be made for these. */
async function isRemoved(
  session: PostgresSession,
  name: TableName,
  partitions: readonly PartitionLoad[],
): Promise<boolean> {
  if ((await describe(session, name)).kind !== null) return false;
  const ends = await readEnds(session, keyOf(name));
  return partitions.length > 0 && partitions.every(({ journal }) => ends.get(journal) === REMOVED_END);
}

function addedColumns(name: TableName, found: FoundTable, columns: readonly Column[]): readonly string[] {
  return columns
    .filter((column) => !found.columns.has(column.name))
    .map((column) => sql.addColumn(name, column));
}

/** The newest version's, and those of rows that older ones mapped. */
function allColumns({ columns, partitions }: LoadRequest): readonly Column[] {
  const all = new Map(columns.map((column) => [column.name, column]));
  for (const { objects } of partitions) {
    for (const object of objects) {
      for (const column of object.columns) if (!all.has(column.name)) all.set(column.name, column);
    }
  }
  return [...all.values()];
}

/** T1. The order is the same for everybody: nobody waits in a circle. */
async function lockEnds(
  session: PostgresSession,
  table: string,
  partitions: readonly PartitionLoad[],
): Promise<Ends> {
  const journals = partitions.map(({ journal }) => journal).sort();
  await session.query(sql.MAKE_ENDS, [table, journals]);
  return endsOf(await session.query(sql.LOCK_ENDS, [table, journals]));
}

async function readEnds(session: PostgresSession, table: string): Promise<Ends> {
  const [present] = await session.query(sql.PRESENT, ["public"]);
  if (present?.[2] === null) return new Map();
  return endsOf(await session.query(sql.READ_ENDS, [table]));
}

function endsOf(rows: readonly PostgresRow[]): Ends {
  return new Map(rows.filter(([, end]) => end !== null).map(([journal, end]) => [journal!, Number(end)]));
}
