// Runs users' queries within their limits. Over a limit is an error that says so, never a shortened result.
import {
  DuckDBListVector,
  StatementType,
  type DuckDBDataChunk,
  type DuckDBResult,
  type DuckDBValue,
} from "@duckdb/node-api";
import { abortScope, WireError, type AbortScope, type Clock } from "@millrace/base";
import {
  connectForResults,
  engineFailure,
  inTransaction,
  isLost,
  type Engine,
  type EngineConnection,
} from "./engine.ts";
import { checkTree, describeEngineError, splitExplain } from "./query-guard.ts";
import { HeldBytes, ResultBytes } from "./result-bytes.ts";
import { distinctColumns, type MakeEncoder } from "./result-encoders.ts";

export interface QueryLimits {
  /** Rows of a result, >= 1. */
  readonly rows: number;
  /** Bytes of an encoded result. */
  readonly bytes: number;
  /** Time that a query may take, milliseconds. */
  readonly timeMs: number;
}

export const DEFAULT_LIMITS: QueryLimits = { rows: 1_000_000, bytes: 512 * 1024 * 1024, timeMs: 60_000 };

/** An engine that is asked whether it is there answers in this time, or is not there. */
const PROBE_MS = 5000;

/** Between two interrupts of a query that goes on. */
const INTERRUPT_PAUSE_MS = 20;

/** Bytes of all results that are being made or sent: one of the greatest size. */
const HELD_BYTES_MAX = DEFAULT_LIMITS.bytes;

/** Bytes of a statement's text. */
export const MAX_QUERY_BYTES = 1024 * 1024;

export type ParameterValue = string | number | boolean | null;

export interface Query {
  readonly sql: string;
  /** For `$1, $2…` or `?`, or by name for `$name`. */
  readonly parameters: readonly ParameterValue[] | Readonly<Record<string, ParameterValue>>;
  readonly limits: QueryLimits;
}

export interface QueryResult {
  readonly contentType: string;
  readonly body: readonly Uint8Array[];
  readonly rows: number;
  /** Call once the body is sent or given up: until then its bytes count as held. */
  readonly release: () => void;
}

/** At most `concurrency` queries run, at most `queue` wait. */
export class QueryRunner {
  readonly #engine: Engine;
  readonly #clock: Clock;
  readonly #onLost: (error: unknown) => void;
  readonly #concurrency: number;
  readonly #queueMax: number;
  readonly #held = new HeldBytes(HELD_BYTES_MAX);
  /** Of the queries that run. */
  readonly #scopes = new Set<AbortScope>();
  #running = 0;
  readonly #waiting = new Set<() => void>();

  /** @param ports.onLost told when the engine can do nothing more */
  constructor(
    engine: Engine,
    ports: { clock: Clock; onLost: (error: unknown) => void },
    bounds: { concurrency: number; queue: number },
  ) {
    this.#engine = engine;
    this.#clock = ports.clock;
    this.#onLost = ports.onLost;
    this.#concurrency = bounds.concurrency;
    this.#queueMax = bounds.queue;
  }

  /**
   * @param signal interrupts the query
   * @throws {WireError} INVALID_ARGUMENT (with `position`, 1-based, where known), TOO_LARGE (over a limit),
   *   REQUEST_TIMEOUT, OVERLOADED
   */
  async run(query: Query, makeEncoder: MakeEncoder, signal: AbortSignal): Promise<QueryResult> {
    await this.#enter(signal);
    try {
      signal.throwIfAborted();
      const connection = await this.#connect();
      try {
        return await this.#runOn(connection, query, makeEncoder, signal);
      } finally {
        connection.closeSync();
      }
    } finally {
      this.#leave();
    }
  }

  /** Ends the queries that run. */
  close(): void {
    for (const scope of this.#scopes)
      scope.abort(new WireError("SHUTTING_DOWN", "the warehouse is stopping"));
  }

  /** Resolves when the engine answers. @throws {WireError} UNAVAILABLE when it does not, or not soon */
  async probe(): Promise<void> {
    let cancel = (): void => undefined;
    const late = new Promise<never>((_, reject) => {
      const error = new WireError("UNAVAILABLE", `the engine has not answered in ${PROBE_MS} ms`);
      cancel = this.#clock.after(PROBE_MS, () => reject(error));
    });
    try {
      await Promise.race([this.#selectOne(), late]);
    } finally {
      cancel();
    }
  }

  async #connect(): Promise<EngineConnection> {
    try {
      return await connectForResults(this.#engine);
    } catch (error) {
      if (isLost(error)) this.#onLost(error);
      throw engineFailure(error) ?? error;
    }
  }

  async #selectOne(): Promise<void> {
    const connection = await this.#engine.connect();
    try {
      await connection.run("SELECT 1");
    } catch (error) {
      if (isLost(error)) this.#onLost(error);
      throw new WireError("UNAVAILABLE", `the engine does not answer: ${(error as Error).message}`, {
        cause: error,
      });
    } finally {
      connection.closeSync();
    }
  }

  async #runOn(
    connection: EngineConnection,
    query: Query,
    makeEncoder: MakeEncoder,
    signal: AbortSignal,
  ): Promise<QueryResult> {
    const startMs = this.#clock.monotonicMs();
    const { timeMs } = query.limits;
    const bytes = new ResultBytes(query.limits.bytes, this.#held);
    const scope = abortScope(signal);
    this.#scopes.add(scope);
    const cancelTimer = this.#clock.after(timeMs, () =>
      scope.abort(new WireError("REQUEST_TIMEOUT", `the query took longer than ${timeMs} ms`)),
    );
    const cancelInterrupts = this.#interruptOnceAborted(connection, scope.signal);
    try {
      const collected = await inTransaction(connection, "READ ONLY", async () => {
        const result = await execute(connection, query);
        return await collect(
          result,
          query.limits,
          makeEncoder,
          bytes,
          () => this.#clock.monotonicMs() - startMs,
        );
      });
      return { ...collected, release: () => bytes.release() };
    } catch (error) {
      bytes.release();
      scope.signal.throwIfAborted();
      if (isTooLong(error)) throw bytes.tooLarge();
      if (isLost(error)) this.#onLost(error);
      throw queryError(error, query.sql);
    } finally {
      cancelTimer();
      cancelInterrupts();
      scope.dispose();
      this.#scopes.delete(scope);
    }
  }

  /** An interrupt that comes between two statements is lost, so it is repeated. @returns what ends it */
  #interruptOnceAborted(connection: EngineConnection, signal: AbortSignal): () => void {
    let cancel = (): void => undefined;
    const interrupt = (): void => {
      connection.interrupt();
      cancel = this.#clock.after(INTERRUPT_PAUSE_MS, interrupt);
    };
    if (signal.aborted) interrupt();
    else signal.addEventListener("abort", interrupt, { once: true });
    return () => {
      signal.removeEventListener("abort", interrupt);
      cancel();
    };
  }

  async #enter(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#running < this.#concurrency) {
      this.#running++;
      return;
    }
    if (this.#waiting.size >= this.#queueMax) {
      throw new WireError("OVERLOADED", `${this.#concurrency} queries run and ${this.#queueMax} wait`);
    }
    await new Promise<void>((resolve, reject) => {
      const enter = (): void => {
        signal.removeEventListener("abort", leave);
        resolve();
      };
      const leave = (): void => {
        this.#waiting.delete(enter);
        reject(signal.reason as Error);
      };
      this.#waiting.add(enter);
      signal.addEventListener("abort", leave, { once: true });
    });
  }

  #leave(): void {
    const [next] = this.#waiting;
    if (next === undefined) {
      this.#running--;
      return;
    }
    this.#waiting.delete(next);
    next();
  }
}

async function execute(connection: EngineConnection, query: Query): Promise<DuckDBResult> {
  const { kind, select, skipped } = splitExplain(query.sql);
  const tree = await connection.runAndReadAll("SELECT json_serialize_sql($1::VARCHAR)", [select]);
  checkTree(String(tree.getRows()[0]?.[0]), skipped);
  const statements = await connection.extractStatements(query.sql);
  if (statements.count !== 1)
    throw new WireError("INVALID_ARGUMENT", `expected one statement, got ${statements.count}`);
  const statement = await statements.prepare(0);
  const expected = kind === "select" ? StatementType.SELECT : StatementType.EXPLAIN;
  if (statement.statementType !== expected) {
    throw new WireError("INVALID_ARGUMENT", "only one SELECT, or EXPLAIN of one, is allowed here");
  }
  statement.bind(bindings(query.parameters));
  return statement.stream();
}

function bindings(parameters: Query["parameters"]): DuckDBValue[] | Record<string, DuckDBValue> {
  if (Array.isArray(parameters)) return parameters.map((value: ParameterValue) => bindable(value));
  return Object.fromEntries(Object.entries(parameters).map(([name, value]) => [name, bindable(value)]));
}

/** JSON integers are bound as integers. */
function bindable(value: ParameterValue): DuckDBValue {
  return typeof value === "number" && Number.isSafeInteger(value) ? BigInt(value) : value;
}

/** Items in the lists of a chunk, whose values are made as a whole. */
const LIST_ITEMS_MAX = 4_000_000;

/** @throws what says that the result is over a limit, as soon as it is */
async function collect(
  result: DuckDBResult,
  limits: QueryLimits,
  makeEncoder: MakeEncoder,
  bytes: ResultBytes,
  elapsedMs: () => number,
): Promise<Omit<QueryResult, "release">> {
  const types = result.columnTypes();
  const names = result.columnNames().map((name, i) => ({ name, type: String(types[i]) }));
  const encoder = makeEncoder(distinctColumns(names), bytes);
  let rows = 0;
  for (
    let chunk = await result.fetchChunk();
    chunk !== null && chunk.rowCount > 0;
    chunk = await result.fetchChunk()
  ) {
    rows += chunk.rowCount;
    if (rows > limits.rows) throw new WireError("TOO_LARGE", `the result has more than ${limits.rows} rows`);
    checkLists(chunk);
    encoder.chunk(chunk);
  }
  await encoder.end({ rows, elapsedMs: elapsedMs() });
  return { contentType: encoder.contentType, body: bytes.end(), rows };
}

function checkLists(chunk: DuckDBDataChunk): void {
  for (let column = 0; column < chunk.columnCount; column++) {
    let vector = chunk.getColumnVector(column);
    while (vector instanceof DuckDBListVector) {
      vector = vector.childVector;
      if (vector.itemCount > LIST_ITEMS_MAX) {
        const found = `lists of ${vector.itemCount} items in ${chunk.rowCount} rows`;
        throw new WireError("TOO_LARGE", `the result has ${found}, more than ${LIST_ITEMS_MAX}: unnest them`);
      }
    }
  }
}

/** A value too long for a string of this process, whose limit is above that of a result. */
function isTooLong(error: unknown): boolean {
  if (error instanceof RangeError) return true;
  return error instanceof Error && "code" in error && error.code === "ERR_STRING_TOO_LONG";
}

function queryError(error: unknown, sql: string): WireError {
  if (error instanceof WireError) return error;
  const failure = engineFailure(error);
  if (failure !== undefined) return failure;
  const text = error instanceof Error ? error.message : String(error);
  const { message, position } = describeEngineError(text, sql);
  if (/^out of memory/i.test(message)) return new WireError("TOO_LARGE", message, { cause: error });
  return new WireError("INVALID_ARGUMENT", message, {
    facts: position === undefined ? {} : { position },
    cause: error,
  });
}
