// The demo: replays real flight records through the front door, and resumes where it stopped.
//
// E1 Records are sent in order, one request at a time, so that what was accepted is a prefix of the replay, whatever
//    dies.
// E2 Every record carries its number in the replay; the next one to send is one above the largest in the table once the
//    table has everything that was accepted. So a data directory never gets a record twice, without any state of the
//    demo.
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
    const progress: DemoProgress = { accepted: 0, rows: first, lag: 0, elapsedMs: 0 };
    const report = (): void => {
      progress.elapsedMs = this.#clock.monotonicMs() - startMs;
      progress.lag = Math.max(0, first + progress.accepted - progress.rows);
      options.onProgress(progress);
    };
    const watching = new AbortController();
    const watcher = this.#watchRows(progress, report, watching.signal);
    try {
      for (let at = first; at < end; at += BATCH_RECORDS) {
        const flights = await this.#data.read(at, Math.min(end, at + BATCH_RECORDS));
        progress.accepted += await this.#send(url, demoBody(flights, at), flights.length, signal);
        const dueMs = (progress.accepted / options.rate) * 1000;
        const waitMs = dueMs - (this.#clock.monotonicMs() - startMs);
        if (waitMs > 1) await this.#clock.sleep(waitMs, signal);
      }
      while (progress.rows < end) await this.#clock.sleep(POLL_MS / 4, signal);
      report();
      return progress;
    } finally {
      watching.abort();
      await watcher;
    }
  }

  /** Keeps `progress.rows` up to date. A query that fails is tried again: the replay does not depend on it. */
  async #watchRows(progress: DemoProgress, report: () => void, signal: AbortSignal): Promise<void> {
    let reportedMs = this.#clock.monotonicMs();
    while (!signal.aborted) {
      try {
        progress.rows = Math.max(progress.rows, await this.#demoRows(signal));
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

  async #demoRows(signal: AbortSignal): Promise<number> {
    const { n } = await this.#doors.sql(
      `select count(*) as n from ${SINK.table.tableId} where "row" <> ''`,
      signal,
    );
    return Number(n);
  }

  /** Number of the first record that is not in the platform (E2). */
  async #nextRecord(signal: AbortSignal): Promise<number> {
    while (!(await this.#isDrained(signal))) await this.#clock.sleep(POLL_MS, signal);
    const query = `select coalesce(max(try_cast("row" as bigint)) + 1, 0) as n from ${SINK.table.tableId}`;
    const { n } = await this.#doors.sql(query, signal);
    return Number(n);
  }

  /** Whether the table has everything that stands in the partitions of the sink. */
  async #isDrained(signal: AbortSignal): Promise<boolean> {
    for (const [journal, head] of await this.#doors.partitionHeads(SOURCE.sourceId, SINK.sinkId, signal)) {
      const { n } = await this.#doors.sql(
        `select coalesce(max(loaded_end), 0) as n from "_millrace"."loaded" ` +
          `where "table" = '${SINK.table.tableId}' and journal = '${journal}'`,
        signal,
      );
      if (Number(n) < head) return false;
    }
    return true;
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
