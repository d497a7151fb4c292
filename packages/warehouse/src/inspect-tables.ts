// Looks into the warehouse's file while no platform runs: read-only, so that not a byte of it changes. What a process
// that was killed left in the engine's own log is seen, but not written to the file.
import { systemClock, WireError } from "@millrace/base";
import type { DuckDBConnection, DuckDBInstance } from "@duckdb/node-api";
import { LOADED_TABLE } from "./load-sql.ts";
import { parseTableId, qualified, quoteText } from "./table-id.ts";

export interface LoadedEnd {
  readonly table: string;
  readonly journal: string;
  readonly end: number;
}

/** Rows of one journal whose offsets lie in [bucket * bucketBytes, (bucket + 1) * bucketBytes). */
export interface RowBucket {
  readonly bucket: number;
  readonly rows: number;
  readonly distinctOffsets: number;
  /** Sum of the offsets, each counted from the bucket's begin. */
  readonly offsetSum: number;
}

/** Offsets [begin, end) of a journal. */
export interface RowSpan {
  readonly journal: string;
  readonly begin: number;
  readonly end: number;
}

export interface InspectedTables {
  /** Of every table that ever got rows, by table and journal. */
  loadedEnds(): Promise<readonly LoadedEnd[]>;
  /** Journals that `table` has rows of, with their number. @throws {WireError} NOT_FOUND: there is no such table */
  rowsByJournal(table: string): Promise<ReadonlyMap<string, number>>;
  /** Rows of a span, in buckets of `bucketBytes` offsets, ascending. @throws {WireError} NOT_FOUND */
  buckets(table: string, span: RowSpan, bucketBytes: number): Promise<readonly RowBucket[]>;
  close(): void;
}

/** A process whose parent was killed needs a moment to let go of the file. */
const OPEN_ATTEMPTS = 60;
const OPEN_PAUSE_MS = 100;
const MEMORY = "512MiB";

/**
 * Opens the warehouse's `file`.
 * @throws {WireError} CONFLICT while a process has it open for writing, CORRUPT when the engine cannot read it
 */
export async function inspectTables(file: string, signal: AbortSignal): Promise<InspectedTables> {
  const engine = await openReadOnly(file, signal);
  const connection = await engine.connect();
  return {
    loadedEnds: async () => {
      const rows = await query(
        connection,
        `SELECT "table", "journal", "loaded_end" FROM ${LOADED_TABLE} ORDER BY ALL`,
      );
      return rows.map(([table, journal, end]) => ({
        table: String(table),
        journal: String(journal),
        end: Number(end),
      }));
    },
    rowsByJournal: async (table) => {
      const sql = `SELECT "_journal", count(*) FROM ${qualified(parseTableId(table))} GROUP BY 1 ORDER BY 1`;
      return new Map(
        (await query(connection, sql)).map(([journal, rows]) => [String(journal), Number(rows)]),
      );
    },
    buckets: async (table, { journal, begin, end }, bucketBytes) => {
      const sql =
        `SELECT "_offset" // ${bucketBytes}, count(*), count(DISTINCT "_offset"), sum("_offset" % ${bucketBytes}) ` +
        `FROM ${qualified(parseTableId(table))} WHERE "_journal" = ${quoteText(journal)} ` +
        `AND "_offset" >= ${begin} AND "_offset" < ${end} GROUP BY 1 ORDER BY 1`;
      return (await query(connection, sql)).map(([bucket, rows, distinctOffsets, offsetSum]) => ({
        bucket: Number(bucket),
        rows: Number(rows),
        distinctOffsets: Number(distinctOffsets),
        offsetSum: Number(offsetSum),
      }));
    },
    close: () => {
      connection.closeSync();
      engine.closeSync();
    },
  };
}

async function openReadOnly(file: string, signal: AbortSignal): Promise<DuckDBInstance> {
  // Only here: whoever imports this package for its process must not load the engine.
  const { DuckDBInstance: Engine } = await import("@duckdb/node-api");
  for (let attempt = 1; ; attempt++) {
    try {
      return await Engine.create(file, {
        access_mode: "READ_ONLY",
        autoinstall_known_extensions: "false",
        autoload_known_extensions: "false",
        threads: "1",
        memory_limit: MEMORY,
        // Nothing may be spilled beside the file.
        temp_directory: "",
      });
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      if (!/lock/i.test(message))
        throw new WireError("CORRUPT", `${file}: ${firstLine(message)}`, { cause: error });
      if (attempt === OPEN_ATTEMPTS) throw new WireError("CONFLICT", `${file} is open in another process`);
      await systemClock.sleep(OPEN_PAUSE_MS, signal);
    }
  }
}

async function query(connection: DuckDBConnection, sql: string): Promise<readonly (readonly unknown[])[]> {
  try {
    return (await connection.runAndReadAll(sql)).getRows();
  } catch (error) {
    const message = firstLine(error instanceof Error ? error.message : String(error));
    const code = message.startsWith("Catalog Error") ? "NOT_FOUND" : "CORRUPT";
    throw new WireError(code, message, { cause: error });
  }
}

function firstLine(text: string): string {
  return text.split("\n", 1)[0]!;
}
