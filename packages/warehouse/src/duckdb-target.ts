// The Target port over DuckDB: rows and the loaded end of their partition commit in one transaction (D23), each object
// with the columns of the sink version that mapped it (D22).
//
// L1 What writes is done one after the other: of two transactions that touch the same bookkeeping rows DuckDB would
//    refuse one. A table is made ready before loads that wait: a person waits for that.
// L2 Whether a table fits is seen in what is committed, on a connection of its own, and so while a load is under way.
import { open } from "node:fs/promises";
import { assert, WireError } from "@millrace/base";
import type {
  Column,
  LoadOutcome,
  LoadRequest,
  PartitionLoad,
  StagedObject,
  TableFit,
  Target,
} from "@millrace/ingest";
import { engineFailure, inTransaction, isLost, type Engine, type EngineConnection } from "./engine.ts";
import {
  addColumn,
  createTable,
  dropTable,
  forgetEnds,
  insertObjects,
  LOADED_TABLE,
  moveLoadedEnd,
  REMOVED_END,
} from "./load-sql.ts";
import { StagedCheck } from "./staged-check.ts";
import { checkTable } from "./table-check.ts";
import { parseTableId, quoteName, quoteText, type TableId } from "./table-id.ts";
import { WorkTurns, type Urgency } from "./work-turns.ts";

type Ends = ReadonlyMap<string, number>;

/** A connection, and the turns of those who use it. */
interface Lane {
  readonly turns: WorkTurns;
  connection: EngineConnection | undefined;
}

export class DuckDBTarget implements Target {
  readonly #engine: Engine;
  readonly #resolvePath: (path: string) => string;
  readonly #onLost: (error: unknown) => void;
  readonly #directory: string;
  readonly #staged: StagedCheck;
  /** L1 */
  readonly #writing: Lane = { turns: new WorkTurns(), connection: undefined };
  /** L2 */
  readonly #looking: Lane = { turns: new WorkTurns(), connection: undefined };
  #problem: string | undefined;
  /** Columns known to be in a table, so that a load asks nothing when nothing changed. */
  readonly #known = new Map<string, Set<string>>();

  /**
   * @param resolvePath absolute file of a staged object's path
   * @param onLost told when the engine can do nothing more
   * @param directory of the database's files
   */
  constructor(
    engine: Engine,
    resolvePath: (path: string) => string,
    onLost: (error: unknown) => void,
    directory: string,
  ) {
    this.#engine = engine;
    this.#resolvePath = resolvePath;
    this.#onLost = onLost;
    this.#directory = directory;
    this.#staged = new StagedCheck(resolvePath);
  }

  /** Why nothing can be loaded now, known from the last load. */
  problem(): string | undefined {
    return this.#problem;
  }

  /** Lets go of the engine once what is under way is over. */
  async close(): Promise<void> {
    for (const { turns, connection } of [this.#writing, this.#looking]) {
      await turns.idle();
      connection?.closeSync();
    }
  }

  check(
    tableId: string,
    columns: readonly Column[],
    _signal: AbortSignal,
    fit: TableFit = "same",
  ): Promise<string | undefined> {
    return this.#inTurn(this.#looking, "soon", (connection) => checkTable(connection, tableId, columns, fit));
  }

  prepare(
    tableId: string,
    columns: readonly Column[],
    _signal: AbortSignal,
    fit: TableFit = "same",
  ): Promise<void> {
    return this.#inTurn(this.#writing, "soon", async (connection) => {
      const problem = await checkTable(connection, tableId, columns, fit);
      if (problem !== undefined) throw new WireError("INVALID_ARGUMENT", problem);
      await this.#ensureTable(connection, tableId, parseTableId(tableId), columns);
    });
  }

  /**
   * In one transaction with the loaded ends: a load that comes later finds itself done, and makes no table anew. A
   * schema goes with its last table.
   */
  async drop(tableId: string, journals: readonly string[], _signal: AbortSignal): Promise<void> {
    const id = parseTableId(tableId);
    await this.#inTurn(this.#writing, "later", async (connection) => {
      await inTransaction(connection, "", async () => {
        const ends = await readEnds(connection, tableId);
        await connection.run(dropTable(id));
        for (const journal of journals)
          await connection.run(moveLoadedEnd(tableId, journal, REMOVED_END, ends.has(journal)));
        await connection.run(forgetEnds(tableId));
        if (id.schema !== "main" && (await isEmpty(connection, id.schema)))
          await connection.run(`DROP SCHEMA IF EXISTS ${quoteName(id.schema)}`);
      });
      this.#known.delete(tableId);
    });
    await this.#settle();
  }

  async load(request: LoadRequest, _signal: AbortSignal): Promise<LoadOutcome> {
    try {
      const outcome = await this.#inTurn(this.#writing, "later", (connection) =>
        this.#load(connection, request),
      );
      if (outcome.kind !== "refused") await this.#settle();
      this.#problem = undefined;
      return outcome;
    } catch (error) {
      const failure = loadFailure(error);
      this.#problem = failure.code === "DISK_FULL" ? failure.message : undefined;
      throw failure;
    }
  }

  loadedEnds(tableId: string, _signal: AbortSignal): Promise<Ends> {
    return this.#inTurn(this.#writing, "later", (connection) => readEnds(connection, tableId));
  }

  /**
   * The engine syncs its log at each commit, and after a checkpoint that is a new file, but it does not sync the
   * directory: a power cut could take the log with loads whose staged objects are gone. After one that was loaded
   * already too: whoever loaded it may have died before this.
   */
  async #settle(): Promise<void> {
    const directory = await open(this.#directory);
    try {
      await directory.sync();
    } finally {
      await directory.close();
    }
  }

  async #load(connection: EngineConnection, request: LoadRequest): Promise<LoadOutcome> {
    const { tableId } = request.target;
    const id = parseTableId(tableId);
    // Of a table that is perhaps removed.
    if (!this.#known.has(tableId)) {
      const verdict = judge(request.partitions, await readEnds(connection, tableId));
      if (verdict !== "load") return verdict;
    }
    await this.#ensureTable(connection, tableId, id, request.columns);
    for (const object of request.partitions.flatMap((partition) => partition.objects)) {
      await this.#ensureTable(connection, tableId, id, object.columns);
    }
    return inTransaction(connection, "", async () => {
      const ends = await readEnds(connection, tableId);
      const verdict = judge(request.partitions, ends);
      if (verdict !== "load") return verdict;
      let rows = 0;
      for (const partition of request.partitions) {
        rows += await this.#insertPartition(connection, id, partition);
        const { journal, end } = partition;
        await connection.run(moveLoadedEnd(tableId, journal, end, ends.has(journal)));
      }
      return { kind: "loaded", rows };
    });
  }

  async #insertPartition(
    connection: EngineConnection,
    id: TableId,
    partition: PartitionLoad,
  ): Promise<number> {
    let rows = 0;
    await this.#staged.check(partition.journal, partition.objects);
    for (const run of runsOfOneVersion(partition.objects)) {
      const files = run.map((object) => this.#resolvePath(object.path));
      const expected = run.reduce((sum, object) => sum + object.rows, 0);
      const result = await connection.run(insertObjects(id, partition.journal, run[0]!, files));
      if (result.rowsChanged !== expected) {
        const facts = {
          journal: partition.journal,
          begin: partition.begin,
          expected,
          found: result.rowsChanged,
        };
        throw new WireError(
          "CORRUPT",
          `staged objects hold ${result.rowsChanged} rows instead of ${expected}`,
          { facts },
        );
      }
      rows += expected;
    }
    return rows;
  }

  async #ensureTable(
    connection: EngineConnection,
    tableId: string,
    id: TableId,
    columns: readonly Column[],
  ): Promise<void> {
    let known = this.#known.get(tableId);
    if (known !== undefined && columns.every((column) => known?.has(column.name))) return;
    if (known === undefined) {
      for (const sql of createTable(id, columns)) await connection.run(sql);
      known = new Set();
      this.#known.set(tableId, known);
    }
    for (const column of columns) {
      if (known.has(column.name)) continue;
      await connection.run(addColumn(id, column));
      known.add(column.name);
    }
  }

  #inTurn<T>(lane: Lane, urgency: Urgency, work: (connection: EngineConnection) => Promise<T>): Promise<T> {
    return lane.turns.take(urgency, async () => {
      try {
        lane.connection ??= await this.#engine.connect();
        return await work(lane.connection);
      } catch (error) {
        if (isLost(error)) this.#onLost(error);
        throw error;
      }
    });
  }
}

/**
 * The loaded end decides, never what the importer believes (D23). A partition that comes back to this table goes on
 * behind what the tables between have of it.
 */
function judge(partitions: readonly PartitionLoad[], ends: Ends): "load" | LoadOutcome {
  let done = 0;
  for (const { journal, begin, end, startsTarget } of partitions) {
    assert(begin <= end, "begin <= end", { journal, begin, end });
    const loadedEnd = ends.get(journal);
    if (loadedEnd !== undefined && loadedEnd >= end) done++;
    else if (startsTarget ? (loadedEnd ?? 0) > begin : loadedEnd !== begin) {
      return { kind: "refused", journal, begin, loadedEnd };
    }
  }
  if (done === partitions.length) return { kind: "already" };
  const partly = partitions.find(({ journal, end }) => (ends.get(journal) ?? -1) >= end);
  if (partly === undefined) return "load";
  return {
    kind: "refused",
    journal: partly.journal,
    begin: partly.begin,
    loadedEnd: ends.get(partly.journal),
  };
}

async function readEnds(connection: EngineConnection, tableId: string): Promise<Ends> {
  const result = await connection.runAndReadAll(
    `SELECT "journal", "loaded_end" FROM ${LOADED_TABLE} WHERE "table" = ${quoteText(tableId)}`,
  );
  return new Map(result.getRows().map(([journal, end]) => [String(journal), Number(end)]));
}

/** Whether a schema has neither tables nor views. */
async function isEmpty(connection: EngineConnection, schema: string): Promise<boolean> {
  const name = quoteText(schema);
  const result = await connection.runAndReadAll(
    `SELECT (SELECT count(*) FROM duckdb_tables() WHERE schema_name = ${name}) + ` +
      `(SELECT count(*) FROM duckdb_views() WHERE schema_name = ${name})`,
  );
  return Number(result.getRows()[0]?.[0]) === 0;
}

/** Neighbours of one sink version go into one INSERT. */
function* runsOfOneVersion(objects: readonly StagedObject[]): Iterable<readonly StagedObject[]> {
  let run: StagedObject[] = [];
  for (const object of objects) {
    if (object.rows === 0) continue;
    if (run.length > 0 && run[0]?.sinkVersion !== object.sinkVersion) {
      yield run;
      run = [];
    }
    run.push(object);
  }
  if (run.length > 0) yield run;
}

function loadFailure(error: unknown): WireError {
  if (error instanceof WireError) return error;
  const message = `load failed: ${error instanceof Error ? error.message : String(error)}`;
  const failure = engineFailure(error);
  if (failure !== undefined) return new WireError(failure.code, message, { cause: error });
  const isOfRows = /^load failed: (conversion|invalid input|constraint|catalog|binder|parser) error/i;
  return new WireError(isOfRows.test(message) ? "UNPROCESSABLE" : "UNAVAILABLE", message, { cause: error });
}
