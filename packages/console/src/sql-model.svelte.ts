// The SQL box as the page's state: one query at a time, its answer or error, and the history.
import { ApiError, type ApiClient } from "./api-client.ts";
import { errorPlace, type ErrorPlace } from "./error-caret.ts";
import { plural } from "./format.ts";
import { parseAnswer, type SqlAnswer } from "./result-table.ts";
import { newer, older, remember, restoreHistory, saveText, type SqlHistory } from "./sql-history.ts";

const HISTORY_KEY = "millrace.sql-history";

/** More than a page should hold; a larger result is refused with a message that says so. */
export const ROWS_MAX = 50_000;

export interface SqlFailure {
  readonly message: string;
  readonly place: ErrorPlace | undefined;
  /** 1-based, in the query that was sent. */
  readonly position: number | undefined;
}

export class SqlModel {
  text = $state("");
  answer = $state.raw<SqlAnswer | null>(null);
  failure = $state.raw<SqlFailure | null>(null);
  /** Milliseconds from sending to the parsed answer. */
  tookMs = $state(0);
  running = $state(false);
  #history = $state.raw<SqlHistory>(restoreHistory(null));
  readonly #api: ApiClient;
  readonly #storage: Storage | undefined;
  readonly #announce: (text: string) => void;
  #abort: AbortController | undefined;

  constructor(api: ApiClient, storage: Storage | undefined, announce: (text: string) => void) {
    this.#api = api;
    this.#storage = storage;
    this.#announce = announce;
    this.#history = restoreHistory(storage?.getItem(HISTORY_KEY) ?? null);
  }

  get hasHistory(): boolean {
    return this.#history.entries.length > 0;
  }

  async run(): Promise<void> {
    const query = this.text;
    if (query.trim() === "" || this.running) return;
    this.#remember(query);
    const abort = new AbortController();
    this.#abort = abort;
    this.running = true;
    const startMs = performance.now();
    try {
      const answer = await this.#api.postJson("api/sql", { query, limits: { rows: ROWS_MAX } }, abort.signal);
      this.answer = parseAnswer(answer);
      this.failure = null;
      this.#announce(`The query gave ${plural(this.answer.rowCount, "row")}`);
    } catch (thrown) {
      this.answer = null;
      this.failure = abort.signal.aborted ? cancelled : failureOf(thrown, query);
      this.#announce(`The query failed: ${this.failure.message}`);
    } finally {
      this.tookMs = performance.now() - startMs;
      this.running = false;
    }
  }

  cancel(): void {
    this.#abort?.abort();
  }

  /** @returns whether there was an older or newer query to show */
  walk(direction: "up" | "down"): boolean {
    const step = direction === "up" ? older(this.#history, this.text) : newer(this.#history);
    if (step === undefined) return false;
    [this.#history, this.text] = step;
    return true;
  }

  #remember(query: string): void {
    this.#history = remember(this.#history, query);
    try {
      this.#storage?.setItem(HISTORY_KEY, saveText(this.#history));
    } catch {
      // Storage is full: the history lives as long as the page.
    }
  }
}

const cancelled: SqlFailure = { message: "cancelled", place: undefined, position: undefined };

function failureOf(thrown: unknown, query: string): SqlFailure {
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  const position = thrown instanceof ApiError ? thrown.position : undefined;
  return { message, position, place: errorPlace(query, position) };
}
