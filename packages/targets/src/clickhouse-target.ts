// The Target port over ClickHouse's HTTP interface.
//
// There are no transactions. Instead (D23):
// H1 A load's rows go in inserts whose cuts and tokens are functions of the load: the server takes a token once, within
//    the window that the table was made with. Each is one block, all of it or none.
// H2 The loaded ends move by one insert after all rows; the greatest end counts, so that one which comes late, from an
//    importer that slept, moves nothing back.
// H3 The limit: an importer that sleeps between looking at the ends and its insert, until the table has taken as many
//    other inserts as its window has, doubles the rows of that insert.
// H5 A table is removed after the loaded ends of its journals have moved to REMOVED_END: a load that looks at them then
//    finds itself done. One that has looked before may make the table anew, with its rows.
// H4 Readers may see rows of a load before all of it is there; within H3 they never see one twice.
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
import { ClickHouseClient, type ClickHouseConnection } from "./clickhouse-client.ts";
import { NOT_THERE } from "./clickhouse-errors.ts";
import * as sql from "./clickhouse-sql.ts";
import { columnDifferences } from "./column-kinds.ts";
import { stagedLines } from "./staged-lines.ts";
import { insertCuts } from "./insert-cuts.ts";
import { INSERT_BYTES } from "./limits.ts";
import { judgeLoad } from "./load-judgement.ts";
import { runsOfOneVersion } from "./staged-runs.ts";
import { parseTableName, type TableName } from "./table-name.ts";

export interface ClickHouseTargetPorts {
  readonly connection: ClickHouseConnection;
  readonly stagingStore: ObjectStore;
  readonly clock: Clock;
}

interface FoundTable {
  /** Undefined: there is no table. */
  readonly engine: string | undefined;
  readonly engineFull: string;
  readonly isOwn: boolean;
  /** Whether there is a table of loaded ends. */
  readonly hasEnds: boolean;
  readonly columns: ReadonlyMap<string, string>;
}

/** Of the cuts and tokens: with other ones a load that was under way would be done twice. */
const TOKEN_VERSION = "1";

export class ClickHouseTarget implements Target {
  readonly #client: ClickHouseClient;
  readonly #stagingStore: ObjectStore;

  constructor({ connection, stagingStore, clock }: ClickHouseTargetPorts) {
    this.#client = new ClickHouseClient(connection, clock);
    this.#stagingStore = stagingStore;
  }

  async check(tableId: string, columns: readonly Column[], signal: AbortSignal): Promise<string | undefined> {
    let name: TableName;
    try {
      name = tableName(tableId);
    } catch (thrown) {
      return (thrown as WireError).message;
    }
    return problemOf(tableId, columns, await this.#describe(name, signal));
  }

  prepare(tableId: string, columns: readonly Column[], signal: AbortSignal): Promise<void> {
    return this.#ensureTable(tableId, columns, "INVALID_ARGUMENT", signal);
  }

  async loadedEnds(tableId: string, signal: AbortSignal): Promise<ReadonlyMap<string, number>> {
    const { schema, table } = tableName(tableId);
    try {
      const rows = await this.#client.ask(sql.READ_ENDS, { param_t: `${schema}.${table}` }, signal);
      return new Map(rows.map(([journal, end]) => [String(journal), Number(end)]));
    } catch (thrown) {
      const exception = WireError.from(thrown).facts["exception"];
      if (typeof exception === "number" && NOT_THERE.includes(exception)) return new Map();
      throw thrown;
    }
  }

  /** H5 */
  async drop(tableId: string, journals: readonly string[], signal: AbortSignal): Promise<void> {
    const name = tableName(tableId);
    const { engine, isOwn, hasEnds } = await this.#describe(name, signal);
    if (engine !== undefined && !isOwn) {
      throw new WireError("INVALID_ARGUMENT", `"${tableId}" was made by others and is not removed`);
    }
    if (!hasEnds) await this.#makeEnds(signal);
    const ends = journals.map((journal) => ({ journal, begin: 0, end: REMOVED_END }));
    if (ends.length > 0) await this.#moveEnds(name, ends, signal);
    await this.#client.run(sql.dropTable(name), signal);
    // Else another sink's rows would count as loaded into the next table of this name.
    const others = [...(await this.loadedEnds(tableId, signal)).entries()].filter(
      ([, end]) => end < REMOVED_END,
    );
    if (others.length > 0) await this.#client.run(sql.forgetEnds(name), signal);
  }

  async load({ target, columns, partitions }: LoadRequest, signal: AbortSignal): Promise<LoadOutcome> {
    const { tableId } = target;
    const all = new Map(columns.map((column) => [column.name, column]));
    for (const object of partitions.flatMap(({ objects }) => objects)) {
      for (const column of object.columns) if (!all.has(column.name)) all.set(column.name, column);
    }
    const verdict = judgeLoad(partitions, await this.loadedEnds(tableId, signal), "each");
    if (verdict.kind !== "load") return verdict;
    await this.#ensureTable(tableId, [...all.values()], "UNPROCESSABLE", signal);
    const name = tableName(tableId);
    for (const partition of verdict.partitions) await this.#insert(name, partition, signal);
    await this.#moveEnds(name, verdict.partitions, signal);
    const objects = verdict.partitions.flatMap((partition) => partition.objects);
    return { kind: "loaded", rows: objects.reduce((sum, { rows }) => sum + rows, 0) };
  }

  /** H1. */
  async #insert(name: TableName, partition: PartitionLoad, signal: AbortSignal): Promise<void> {
    const { journal, begin, end, objects } = partition;
    let i = 0;
    for (const run of runsOfOneVersion(objects)) {
      const { columns } = run[0]!;
      const statement = sql.insertRows(name, columns);
      for await (const rows of insertCuts(
        stagedLines(this.#stagingStore, run, { journal, takesNul: true }, signal),
        INSERT_BYTES,
      )) {
        const token = `millrace ${TOKEN_VERSION} ${journal} ${begin}-${end} ${i++}`;
        const options = { ...sql.INSERT_SETTINGS, insert_deduplication_token: token };
        await this.#client.insert(statement, options, rows, signal);
      }
    }
  }

  /** H2. */
  async #moveEnds(
    { schema, table }: TableName,
    partitions: readonly Pick<PartitionLoad, "journal" | "begin" | "end">[],
    signal: AbortSignal,
  ): Promise<void> {
    const lines = partitions.map(({ journal, begin, end }) => {
      return `${escaped(`${schema}.${table}`)}\t${escaped(journal)}\t${begin}\t${end}\n`;
    });
    const rows = Buffer.from(lines.join(""), "utf8");
    await this.#client.insert(sql.MOVE_ENDS, { async_insert: "0" }, rows, signal);
  }

  async #makeEnds(signal: AbortSignal): Promise<void> {
    await this.#client.run(sql.CREATE_SYSTEM_DATABASE, signal);
    await this.#client.run(sql.CREATE_LOADED, signal);
  }

  async #describe({ schema, table }: TableName, signal: AbortSignal): Promise<FoundTable> {
    const parameters = { param_d: schema, param_t: table };
    const tables = await this.#client.ask(sql.DESCRIBE_TABLES, parameters, signal);
    const found = tables.find(([database, name]) => database === schema && name === table);
    const hasEnds = tables.length > (found === undefined ? 0 : 1);
    if (found === undefined)
      return { engine: undefined, engineFull: "", isOwn: false, hasEnds, columns: new Map() };
    const [, , engine, engineFull, comment] = found.map(String);
    const columns = await this.#client.ask(sql.DESCRIBE_COLUMNS, parameters, signal);
    return {
      engine: engine ?? "",
      engineFull: engineFull ?? "",
      isOwn: comment?.startsWith(sql.OWN_COMMENT) === true,
      hasEnds,
      columns: new Map(columns.map(([name, type]) => [String(name), sql.plainType(String(type))])),
    };
  }

  async #ensureTable(
    tableId: string,
    columns: readonly Column[],
    refusal: "INVALID_ARGUMENT" | "UNPROCESSABLE",
    signal: AbortSignal,
  ): Promise<void> {
    const name = tableName(tableId);
    const found = await this.#describe(name, signal);
    const problem = problemOf(tableId, columns, found);
    if (problem !== undefined) throw new WireError(refusal, problem);
    if (!found.hasEnds) await this.#makeEnds(signal);
    if (found.engine === undefined) {
      await this.#client.run(sql.createDatabase(name.schema), signal);
      await this.#client.run(sql.createTable(name, columns), signal);
      return;
    }
    for (const typed of sql.typedColumns(columns)) {
      if (!found.columns.has(typed[0])) await this.#client.run(sql.addColumn(name, typed), signal);
    }
  }
}

/** @throws {WireError} INVALID_ARGUMENT */
function tableName(tableId: string): TableName {
  return parseTableName(
    tableId,
    "default",
    (schema) => schema === "system" || schema === "information_schema",
  );
}

function problemOf(tableId: string, columns: readonly Column[], found: FoundTable): string | undefined {
  const { engine, engineFull, columns: present, isOwn } = found;
  if (engine === undefined) return undefined;
  const expected = sql.typedColumns(columns);
  return (
    sql.engineProblem(tableId, engine, engineFull) ??
    columnDifferences(tableId, { found: present, expected, isOwn })
  );
}

function escaped(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll("\t", "\\t").replaceAll("\n", "\\n");
}
