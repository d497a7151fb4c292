// What the server tells the console: one snapshot a second as a server-sent event named `snapshot`, JSON as below.

export interface FeedSnapshot {
  /** Unix milliseconds. */
  readonly atMs: number;
  /** Since the process started. */
  readonly totals: {
    readonly acceptedRecords: number;
    /** Rows that targets have taken in, of all sinks together. */
    readonly loadedRows: number;
    readonly appendedBytes: number;
    readonly appends: number;
  };
  /** Over the time since the previous snapshot; latencies are null when there was no append. */
  readonly rates: {
    readonly recordsPerSecond: number;
    readonly rowsPerSecond: number;
    readonly bytesPerSecond: number;
    readonly appendP50Ms: number | null;
    readonly appendP99Ms: number | null;
  };
  readonly sources: readonly FeedSource[];
  /** What stands against being ready, as /readyz says it; empty when ready. */
  readonly unhealthy: readonly string[];
  /** What is wrong with the platform though it is ready. What is wrong with a sink stands at the sink. */
  readonly degraded: readonly string[];
}

export interface FeedSource {
  readonly sourceId: string;
  readonly name: string;
  readonly type: string;
  readonly disabled: boolean;
  readonly sinks: readonly FeedSink[];
}

export interface FeedSink {
  readonly sinkId: string;
  readonly name: string;
  /** Target table, `main.flights`. */
  readonly tableId: string;
  readonly version: number;
  /** Records seen in partitions, and rows in the target. */
  readonly acceptedRecords: number;
  readonly loadedRows: number;
  /** Accepted bytes that are not in the target yet, and the age of the oldest record of them; 0 when there is none. */
  readonly lag: { readonly bytes: number; readonly ms: number };
  /** Partition journals, for the journal tail. */
  readonly partitions: readonly string[];
  /** Why records of it do not become rows, or are not taken; each once. */
  readonly problems: readonly string[];
  /** The newest first, at most 10. */
  readonly files: readonly FeedFile[];
}

export interface FeedFile {
  readonly fileId: string;
  readonly state: "writing" | "closing" | "importing" | "imported";
  readonly openedAt: string;
  readonly records: number;
  readonly retry: FeedRetry | null;
  readonly slices: readonly FeedSlice[];
}

export interface FeedSlice {
  readonly sliceId: string;
  readonly partition: number;
  readonly state: "writing" | "closing" | "uploading" | "uploaded" | "imported";
  readonly begin: number;
  /** null while it is being written. */
  readonly end: number | null;
  readonly records: number;
  readonly retry: FeedRetry | null;
}

export interface FeedRetry {
  readonly attempt: number;
  readonly reason: string;
  /** Time of the next try. */
  readonly after: string;
}
