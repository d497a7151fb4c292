// One ClickHouse over its HTTP interface: a statement for each request, an answer that is whole or an error.
import { abortScope, WireError, type Clock } from "@millrace/base";
import { clickHouseFailure } from "./clickhouse-errors.ts";
import { ANSWER_BYTES_MAX, INSERT_ATTEMPTS, INSERT_PAUSE_MS, REQUEST_MS } from "./limits.ts";

export interface ClickHouseConnection {
  /** Scheme, host and port. */
  readonly url: string;
  readonly user: string;
  readonly password: string;
}

/** Settings of a statement, and its parameters with `param_` before their names. */
export type QueryOptions = Readonly<Record<string, string>>;

export class ClickHouseClient {
  readonly #connection: ClickHouseConnection;
  readonly #clock: Clock;

  constructor(connection: ClickHouseConnection, clock: Clock) {
    this.#connection = connection;
    this.#clock = clock;
  }

  /** Rows of a question. @throws {WireError} */
  async ask(
    query: string,
    options: QueryOptions,
    signal: AbortSignal,
  ): Promise<readonly (readonly unknown[])[]> {
    const answer = await this.#post(`${query} FORMAT JSONCompact`, options, undefined, signal);
    try {
      return (JSON.parse(answer) as { data: readonly (readonly unknown[])[] }).data;
    } catch (cause) {
      throw new WireError("UNAVAILABLE", "ClickHouse: an answer that is no JSON", { cause });
    }
  }

  async run(statement: string, signal: AbortSignal): Promise<void> {
    await this.#post(statement, {}, undefined, signal);
  }

  /**
   * An insert that says itself whether it was done before: sent again as long as nobody knows what became of it.
   * @throws {WireError} of the last attempt
   */
  async insert(
    statement: string,
    options: QueryOptions,
    rows: Uint8Array,
    signal: AbortSignal,
  ): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        await this.#post(statement, options, rows, signal);
        return;
      } catch (thrown) {
        const error = WireError.from(thrown);
        if (signal.aborted || error.retry !== "same-request" || attempt >= INSERT_ATTEMPTS) throw thrown;
      }
      await this.#clock.sleep(INSERT_PAUSE_MS * attempt, signal);
    }
  }

  async #post(
    statement: string,
    options: QueryOptions,
    rows: Uint8Array | undefined,
    signal: AbortSignal,
  ): Promise<string> {
    const { url, user, password } = this.#connection;
    const scope = abortScope(signal);
    const cancel = this.#clock.after(REQUEST_MS, () => {
      scope.abort(new WireError("OUTCOME_UNKNOWN", `ClickHouse has not answered in ${REQUEST_MS} ms`));
    });
    // Waits for the end: an error that comes late would stand in an answer of status 200.
    const parameters = new URLSearchParams({ wait_end_of_query: "1", ...options });
    if (rows !== undefined) parameters.set("query", statement);
    try {
      const response = await fetch(`${url}/?${parameters.toString()}`, {
        method: "POST",
        redirect: "error",
        headers: { "x-clickhouse-user": user, "x-clickhouse-key": password, "content-type": "text/plain" },
        body: rows === undefined ? statement : Buffer.from(rows.buffer, rows.byteOffset, rows.byteLength),
        signal: scope.signal,
      });
      const text = await bounded(response);
      if (response.ok) return text;
      const exception = Number(response.headers.get("x-clickhouse-exception-code") ?? Number.NaN);
      throw clickHouseFailure(response.status, Number.isNaN(exception) ? undefined : exception, text);
    } catch (thrown) {
      signal.throwIfAborted();
      if (scope.signal.aborted) throw scope.signal.reason;
      throw thrown instanceof WireError ? thrown : unreachable(thrown);
    } finally {
      cancel();
      scope.dispose();
    }
  }
}

/** `fetch` says "fetch failed", and why in its cause. */
function unreachable(thrown: unknown): WireError {
  const { message, cause } = thrown as Error;
  const why =
    cause instanceof Error ? cause.message || ((cause as NodeJS.ErrnoException).code ?? "") : message;
  return new WireError("UNAVAILABLE", `ClickHouse cannot be reached: ${why}`, { cause: thrown });
}

async function bounded(response: Response): Promise<string> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of response.body ?? []) {
    parts.push(part);
    bytes += part.length;
    if (bytes > ANSWER_BYTES_MAX)
      throw new WireError("UNAVAILABLE", `ClickHouse: an answer of more than ${ANSWER_BYTES_MAX} bytes`);
  }
  return Buffer.concat(parts).toString("utf8");
}
