// What the page shows of a snapshot beyond what is in it: sums, lag, ages, the states of slices side by side.
import type { FeedFile, FeedRetry, FeedSink, FeedSlice, FeedSnapshot } from "./feed.ts";

export const SLICE_STATES = [
  "writing",
  "closing",
  "uploading",
  "uploaded",
  "imported",
] as const satisfies readonly FeedSlice["state"][];

export interface Lag {
  readonly records: number;
  readonly bytes: number;
  /** Age of the oldest record that is not in the target; null when there is none. */
  readonly ageMs: number | null;
}

export interface Sums {
  /** Of all sinks: what their partitions hold, and what their tables do. They outlive the process. */
  readonly acceptedRecords: number;
  readonly loadedRows: number;
  readonly lag: Lag;
  readonly sinks: number;
}

export function sumsOf(snapshot: FeedSnapshot): Sums {
  const sinks = snapshot.sources.flatMap((source) => source.sinks);
  const lags = sinks.map(lagOf);
  const ages = lags.map((lag) => lag.ageMs).filter((age) => age !== null);
  return {
    acceptedRecords: sum(sinks.map((sink) => sink.acceptedRecords)),
    loadedRows: sum(sinks.map((sink) => sink.loadedRows)),
    lag: {
      records: sum(lags.map((lag) => lag.records)),
      bytes: sum(lags.map((lag) => lag.bytes)),
      ageMs: ages.length === 0 ? null : Math.max(...ages),
    },
    sinks: sinks.length,
  };
}

/** How much is wrong though the platform is ready. */
export function warningsOf(snapshot: FeedSnapshot): number {
  const sinks = snapshot.sources.flatMap((source) => source.sinks);
  return snapshot.degraded.length + sum(sinks.map((sink) => sink.problems.length));
}

export function lagOf({ acceptedRecords, loadedRows, lag }: FeedSink): Lag {
  return {
    records: Math.max(0, acceptedRecords - loadedRows),
    bytes: lag.bytes,
    ageMs: lag.ms === 0 ? null : lag.ms,
  };
}

export type SlicesByState = Readonly<Record<FeedSlice["state"], readonly FeedSlice[]>>;

/** Slices of a file by state, each in partition order. */
export function slicesByState(slices: readonly FeedSlice[]): SlicesByState {
  const groups: Record<FeedSlice["state"], FeedSlice[]> = {
    writing: [],
    closing: [],
    uploading: [],
    uploaded: [],
    imported: [],
  };
  const ordered = [...slices].sort((a, b) => a.partition - b.partition || a.begin - b.begin);
  for (const slice of ordered) groups[slice.state].push(slice);
  return groups;
}

/** Counts of slices by state over all files that the feed shows. */
export function sliceCounts(files: readonly FeedFile[]): readonly (readonly [FeedSlice["state"], number])[] {
  const groups = slicesByState(files.flatMap((file) => file.slices));
  return SLICE_STATES.map((state) => [state, groups[state].length] as const);
}

export interface RetryNote {
  /** `file` or `slice 3 of partition 0`. */
  readonly subject: string;
  readonly retry: FeedRetry;
}

/** What is being tried again in a file, the file's own trouble first. */
export function retriesOf(file: FeedFile): readonly RetryNote[] {
  const own = file.retry === null ? [] : [{ subject: "file", retry: file.retry }];
  const slices = file.slices.flatMap((slice) =>
    slice.retry === null ? [] : [{ subject: `partition ${slice.partition}`, retry: slice.retry }],
  );
  return [...own, ...slices];
}

export interface PartitionChoice {
  readonly journal: string;
  readonly label: string;
}

export interface PartitionGroup {
  readonly label: string;
  readonly partitions: readonly PartitionChoice[];
}

/** Partitions to pick from, grouped by sink. */
export function partitionGroups(snapshot: FeedSnapshot | null): readonly PartitionGroup[] {
  const sources = snapshot?.sources ?? [];
  return sources.flatMap((source) =>
    source.sinks
      .filter((sink) => sink.partitions.length > 0)
      .map((sink) => ({
        label: `${source.sourceId} / ${sink.sinkId}`,
        partitions: sink.partitions.map((journal) => ({ journal, label: partitionLabel(journal) })),
      })),
  );
}

/** The last parts of a journal's name: enough to tell partitions of one sink apart. */
function partitionLabel(journal: string): string {
  const parts = journal.split("/");
  return parts.slice(-2).join("/");
}

export function tablesOf(snapshot: FeedSnapshot | null): readonly string[] {
  const ids = (snapshot?.sources ?? []).flatMap((source) => source.sinks.map((sink) => sink.tableId));
  return [...new Set(ids)].sort();
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
