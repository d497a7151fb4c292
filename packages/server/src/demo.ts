// The demo: replays real flight records through the front door, and resumes where it stopped.
//
// E1 Records are sent in order, one request at a time, so that what was accepted is a prefix of the replay, whatever
//    dies.
// E2 Every record carries its number in the replay, and the table keeps the body of each. Once the table has everything
//    that was accepted, the next one to send is the first whose body is not there. So a data directory never gets a
//    record twice, without any state of the demo, and records that somebody else posts to the source end or shift
//    nothing, whatever number they claim.
import { WireError, type Clock, type Logger } from "@millrace/base";
import { demoBody, type FlightData } from "./demo-records.ts";

/** The doors of the platform, as the demo uses them: what any client could do over HTTP. */
export interface DemoDoors {
  /** JSON over HTTP to the configuration API. */
  api(
    method: "GET" | "POST",
    path: string,
    body: unknown,
    signal: AbortSignal,
  ): Promise<{ status: number; body: unknown }>;
  /** Posts NDJSON to the source. @returns accepted records @throws {WireError} with the source's status */
  ingest(url: string, body: string, signal: AbortSignal): Promise<number>;
  /** Write heads of a sink's partition journals, by journal. */
  partitionHeads(sourceId: string, sinkId: string, signal: AbortSignal): Promise<ReadonlyMap<string, number>>;
  /** One row of a query. */
  sql(query: string, signal: AbortSignal): Promise<Readonly<Record<string, unknown>>>;
}

export interface DemoProgress {
  /** Records accepted by this replay. */
  accepted: number;
  /** Rows of the demo in the table. */
  rows: number;
  /** Accepted records of the demo that are not in the table yet. */
  lag: number;
  /** Milliseconds since the replay began. */
  elapsedMs: number;
}

export interface DemoOptions {
  /** Records of the whole replay that the table shall have; at most what the data holds. */
  readonly rows: number;
  /** Records a second; Infinity = as fast as the platform takes them. */
  readonly rate: number;
  readonly onProgress: (progress: DemoProgress) => void;
}

const BATCH_RECORDS = 1000;
const SOURCE = {
  type: "http",
  sourceId: "flights",
  name: "Flights",
  description: "US flight records, replayed by the demo",
};
const SINK = {
  type: "table",
  sinkId: "flights",
  name: "Flights",
  description: "One row for each flight",
  table: {
    type: "duckdb",
    tableId: "main.flights",
    mapping: {
      columns: [
        { type: "uuid", name: "id" },
        { type: "datetime", name: "received_at" },
        // Records that someone else posts have no number.
        { type: "path", name: "row", path: "row", defaultValue: "", rawString: true },
        ...["date", "delay", "distance", "origin", "destination"].map((name) => ({
          type: "path",
          name,
          path: name,
          defaultValue: "",
          rawString: true,
        })),
        { type: "body", name: "body" },
      ],
    },
  },
};
const TABLE = SINK.table.tableId;
const SOURCES_PATH = "/v1/branches/default/sources";
const SINKS_PATH = `${SOURCES_PATH}/${SOURCE.sourceId}/sinks`;
const POLL_MS = 100;
const PROGRESS_MS = 500;

export class Demo {
  readonly #doors: DemoDoors;
  readonly #data: FlightData;
  readonly #clock: Clock;
  readonly #logger: Logger;

  constructor(ports: { doors: DemoDoors; data: FlightData; clock: Clock; logger: Logger }) {
    this.#doors = ports.doors;
    this.#data = ports.data;
    this.#clock = ports.clock;
    this.#logger = ports.logger;
  }

  /** Makes the source and the sink unless they exist. @returns the source's URL */
  async prepare(signal: AbortSignal): Promise<string> {
    await this.#ensure(`${SOURCES_PATH}/${SOURCE.sourceId}`, SOURCES_PATH, SOURCE, signal);
    await this.#ensure(`${SINKS_PATH}/${SINK.sinkId}`, SINKS_PATH, SINK, signal);
    const { body } = await this.#doors.api("GET", `${SOURCES_PATH}/${SOURCE.sourceId}`, undefined, signal);
    return (body as { http: { url: string } }).http.url;
  }

  /**
   * Replays until the table has `options.rows` records of the demo.
   * @param signal ends the replay by rejecting with its reason
   */
  async replay(url: string, options: DemoOptions, signal: AbortSignal): Promise<DemoProgress> {
    const end = Math.min(options.rows, this.#data.count);
    const startMs = this.#clock.monotonicMs();
    const first = await this.#nextRecord(signal);
    const foreign = (await this.#numberedRows(signal)) - first;
    const progress: DemoProgress = { accepted: 0, rows: first, lag: 0, elapsedMs: 0 };
    const report = (): void => {
      progress.elapsedMs = this.#clock.monotonicMs() - startMs;
      progress.lag = first + progress.accepted - progress.rows;
      options.onProgress(progress);
    };
    const count = async (): Promise<void> => {
      // What others post meanwhile may be counted too: never more than was sent.
      const rows = Math.min((await this.#numberedRows(watching.signal)) - foreign, first + progress.accepted);
      progress.rows = Math.max(progress.rows, rows);
    };
    const watching = new AbortController();
    const watcher = this.#watch(count, report, watching.signal);
    try {
      for (let at = first; at < end; at += BATCH_RECORDS) {
        const flights = await this.#data.read(at, Math.min(end, at + BATCH_RECORDS));
        progress.accepted += await this.#send(url, demoBody(flights, at), flights.length, signal);
        const dueMs = (progress.accepted / options.rate) * 1000;
        const waitMs = dueMs - (this.#clock.monotonicMs() - startMs);
        if (waitMs > 1) await this.#clock.sleep(waitMs, signal);
      }
      await this.#drain(signal);
      progress.rows = await this.#replayedRows(Math.max(first, end), signal);
      report();
      return progress;
    } finally {
      watching.abort();
      await watcher;
    }
  }

  /** Keeps the progress up to date. A query that fails is tried again: the replay does not depend on it. */
  async #watch(count: () => Promise<void>, report: () => void, signal: AbortSignal): Promise<void> {
    let reportedMs = this.#clock.monotonicMs();
    while (!signal.aborted) {
      try {
        await count();
      } catch (error) {
        if (!signal.aborted) this.#logger.debug("demo-count-failed", { error });
      }
      if (this.#clock.monotonicMs() - reportedMs >= PROGRESS_MS) {
        reportedMs = this.#clock.monotonicMs();
        report();
      }
      await this.#clock.sleep(POLL_MS, signal).catch(() => undefined);
    }
  }

  /** Rows of the replay's first `end` records, of which the table must have each. */
  async #replayedRows(end: number, signal: AbortSignal): Promise<number> {
    const number = `try_cast("row" as bigint)`;
    const rows = await this.#count(
      `select count(distinct ${number}) as n from ${TABLE} where ${number} between 0 and ${end - 1}`,
      signal,
    );
    if (rows !== end)
      throw new WireError("INTERNAL", `the table has ${rows} of ${end} accepted demo records`);
    return rows;
  }

  /** Rows that say a number, the demo's or not. */
  #numberedRows(signal: AbortSignal): Promise<number> {
    return this.#count(`select count(*) as n from ${TABLE} where "row" <> ''`, signal);
  }

  /** Number of the first record that is not in the platform (E2). */
  async #nextRecord(signal: AbortSignal): Promise<number> {
    await this.#drain(signal);
    // Up to the first number that nobody has. What was accepted of the replay is a prefix of it (E1) and lies below.
    let next = await this.#count(
      `select count(*) as n from (select n, row_number() over (order by n) - 1 as i from (select distinct ` +
        `try_cast("row" as bigint) as n from ${TABLE}) where n between 0 and ${this.#data.count - 1}) where n = i`,
      signal,
    );
    // Whatever else claims a number of the replay has not its record's body.
    while (next > 0 && !(await this.#has(next - 1, signal))) next--;
    return next;
  }

  async #has(record: number, signal: AbortSignal): Promise<boolean> {
    const body = demoBody(await this.#data.read(record, record + 1), record).trimEnd();
    const rows = `select count(*) as n from ${TABLE} where "row" = '${record}' and body = ${sqlText(body)}`;
    return (await this.#count(rows, signal)) > 0;
  }

  /** Waits until the table has everything that stands in the partitions of the sink now. */
  async #drain(signal: AbortSignal): Promise<void> {
    const heads = await this.#doors.partitionHeads(SOURCE.sourceId, SINK.sinkId, signal);
    for (const [journal, head] of heads) {
      const end =
        `select coalesce(max(loaded_end), 0) as n from "_millrace"."loaded" ` +
        `where "table" = ${sqlText(TABLE)} and journal = ${sqlText(journal)}`;
      while ((await this.#count(end, signal)) < head) await this.#clock.sleep(POLL_MS / 4, signal);
    }
  }

  async #count(query: string, signal: AbortSignal): Promise<number> {
    const { n } = await this.#doors.sql(query, signal);
    return Number(n);
  }

  /** Sends a batch until it is accepted whole; an unknown outcome is found out before it is sent again. */
  async #send(url: string, body: string, records: number, signal: AbortSignal): Promise<number> {
    for (;;) {
      try {
        const accepted = await this.#doors.ingest(url, body, signal);
        if (accepted === records) return accepted;
        throw new WireError("UNPROCESSABLE", `${accepted} of ${records} demo records were accepted`);
      } catch (thrown) {
        signal.throwIfAborted();
        const error = WireError.from(thrown);
        // Only refusals that wrote nothing may be repeated (E1); whatever else ends the replay, and a restart resumes
        // it.
        if (error.code !== "OVERLOADED" && error.code !== "DISK_FULL") throw error;
        this.#logger.warn("demo-waits", { code: error.code, message: error.message });
        await this.#clock.sleep(10 * POLL_MS, signal);
      }
    }
  }

  async #ensure(path: string, collection: string, entity: unknown, signal: AbortSignal): Promise<void> {
    const { status } = await this.#doors.api("GET", path, undefined, signal);
    if (status === 200) return;
    const created = await this.#doors.api("POST", collection, entity, signal);
    if (created.status !== 202) {
      throw new WireError(
        "INTERNAL",
        `POST ${collection} answered ${created.status}: ${JSON.stringify(created.body)}`,
      );
    }
    let task = created.body as { isFinished: boolean; url: string; error?: string };
    while (!task.isFinished) {
      await this.#clock.sleep(POLL_MS, signal);
      const { body } = await this.#doors.api("GET", new URL(task.url).pathname, undefined, signal);
      task = body as typeof task;
    }
    if (task.error !== undefined) throw new WireError("INTERNAL", `POST ${collection} failed: ${task.error}`);
  }
}

function sqlText(value: string): string {
  return `'${value.replaceAll("'", "''")}'`;
}
