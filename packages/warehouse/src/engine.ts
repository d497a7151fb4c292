// DuckDB opened for this platform: one database file, its configuration locked, no network, no files but the staging
// directory (which query-guard.ts keeps from users).
import { DuckDBInstance, type DuckDBConnection } from "@duckdb/node-api";
import { WireError } from "@millrace/base";
import { quoteText } from "./table-id.ts";
import { CREATE_BOOKKEEPING } from "./load-sql.ts";

export interface EngineOptions {
  /** Database file; its directory exists. */
  readonly file: string;
  /** The one directory that loads may read, absolute, ending in '/'. */
  readonly stagingDir: string;
  /** Directory for spilling. */
  readonly tempDir: string;
  /** Bytes that the engine may use before it spills, >= 64 MiB. */
  readonly memoryBytes: number;
  /** >= 1. */
  readonly threads: number;
}

export type Engine = DuckDBInstance;
export type { DuckDBConnection as EngineConnection } from "@duckdb/node-api";

/**
 * At each checkpoint the engine compresses the last row group of every table anew, though it holds only some of its
 * rows. Its default of 16 MiB made that a third of the cost of loading; a start replays up to this much.
 */
const CHECKPOINT_THRESHOLD = "64MiB";

/**
 * A connection for results. What is buffered of them counts neither text nor lists: with the engine's default a result
 * of large values filled the memory before a row of it was looked at. This little is one chunk.
 */
export async function connectForResults(engine: Engine): Promise<DuckDBConnection> {
  const connection = await engine.connect();
  await connection.run("SET SESSION streaming_buffer_size = '1KiB'");
  return connection;
}

/** Opens the database, makes its bookkeeping tables and locks its configuration. */
export async function openEngine(options: EngineOptions): Promise<Engine> {
  const engine = await DuckDBInstance.create(options.file, {
    autoinstall_known_extensions: "false",
    autoload_known_extensions: "false",
    allow_community_extensions: "false",
    checkpoint_threshold: CHECKPOINT_THRESHOLD,
    threads: String(options.threads),
    memory_limit: `${Math.floor(options.memoryBytes / 1024)}KiB`,
    temp_directory: options.tempDir,
  });
  const connection = await engine.connect();
  try {
    for (const sql of [
      "SET GLOBAL TimeZone = 'UTC'",
      "SET GLOBAL preserve_insertion_order = true",
      ...CREATE_BOOKKEEPING,
      `SET GLOBAL allowed_directories = [${quoteText(options.stagingDir)}]`,
      "SET GLOBAL enable_external_access = false",
      // A session's own; SQL that a user sent is a SELECT.
      "SET GLOBAL allowed_configs = ['streaming_buffer_size']",
      "SET GLOBAL lock_configuration = true",
    ]) {
      await connection.run(sql);
    }
  } finally {
    connection.closeSync();
  }
  return engine;
}

/**
 * What an error of the engine says of the engine itself, whatever was asked of it; undefined when the statement, its
 * data or its limits are to blame. The beginning of the text is the error's type, the one thing that tells.
 *
 * After a FATAL error (a checkpoint that met a full disk) the engine answers nothing more: only opening the database
 * anew helps.
 */
export function engineFailure(error: unknown): WireError | undefined {
  const text = error instanceof Error ? error.message : String(error);
  if (isLost(error)) return new WireError("UNAVAILABLE", `the engine starts anew: ${text}`, { cause: error });
  if (text.startsWith("INTERNAL Error")) return new WireError("INTERNAL", text, { cause: error });
  const isOfStorage = /^(IO|TransactionContext) Error/.test(text);
  if (!isOfStorage && !/^Out of Memory Error.*max_temp_directory_size/s.test(text)) return undefined;
  const isFull = /no space left|max_temp_directory_size/i.test(text);
  return new WireError(isFull ? "DISK_FULL" : "UNAVAILABLE", text, { cause: error });
}

/** Whether the engine can do nothing more. */
export function isLost(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith("FATAL Error");
}

/** Runs `work` in a transaction: commits when it resolves, rolls back when it throws. */
export async function inTransaction<T>(
  connection: DuckDBConnection,
  mode: "" | "READ ONLY",
  work: () => Promise<T>,
): Promise<T> {
  await connection.run(`BEGIN TRANSACTION ${mode}`);
  let result: T;
  try {
    result = await work();
  } catch (error) {
    await connection.run("ROLLBACK").catch(() => undefined);
    throw error;
  }
  await connection.run("COMMIT");
  return result;
}
