// Sources, sinks, files and slices as the console shows them, from the definitions and the pipeline's snapshot.
import type { FeedFile, FeedRetry, FeedSink, FeedSource } from "@millrace/console";
import {
  partitionJournal,
  sinkPath,
  type PipelineProblem,
  type SinkDefinition,
  type SinkSnapshot,
  type SourceDefinition,
} from "@millrace/ingest";

const FILES_SHOWN = 10;
/** Many files fail for the same reason. */
const PROBLEMS_SHOWN = 3;

type FileStatistics = SinkSnapshot["files"][number];
type SliceSnapshot = SinkSnapshot["slices"][number];

export function feedSources(
  sources: readonly { source: SourceDefinition; sinks: readonly SinkDefinition[] }[],
  snapshots: readonly SinkSnapshot[],
  problems: readonly PipelineProblem[],
): readonly FeedSource[] {
  const bySink = new Map(snapshots.map((snapshot) => [sinkPath(snapshot), snapshot]));
  return sources.map(({ source, sinks }) => ({
    sourceId: source.sourceId,
    name: source.name,
    type: source.type,
    disabled: source.disabled !== undefined,
    sinks: sinks.map((sink) => feedSink(sink, bySink.get(sinkPath(sink)), problems)),
  }));
}

function feedSink(
  sink: SinkDefinition,
  snapshot: SinkSnapshot | undefined,
  problems: readonly PipelineProblem[],
): FeedSink {
  const partitions = new Set(
    (snapshot?.slices ?? []).map((slice) => partitionJournal(sink, slice.partition)),
  );
  return {
    sinkId: sink.sinkId,
    name: sink.name,
    tableId: sink.table.tableId,
    version: sink.version.number,
    acceptedRecords: snapshot?.accepted ?? 0,
    loadedRows: snapshot?.loaded ?? 0,
    lag: snapshot?.lag ?? { bytes: 0, ms: 0 },
    partitions: [...partitions].sort(),
    problems: problemsOf(sinkPath(sink), problems),
    files: (snapshot?.files ?? [])
      .slice(0, FILES_SHOWN)
      .map((file) => feedFile(file, snapshot?.slices ?? [])),
  };
}

function problemsOf(path: string, problems: readonly PipelineProblem[]): readonly string[] {
  const own = problems.filter(({ sink }) => sink === path);
  const texts = own.map(({ kind, subject, problem }) => {
    if (kind === "lost") return `takes no records: ${problem}`;
    return kind === "unreadable" ? `partition ${subject} cannot be read: ${problem}` : problem;
  });
  return [...new Set(texts)].slice(0, PROBLEMS_SHOWN);
}

function feedFile(file: FileStatistics, slices: readonly SliceSnapshot[]): FeedFile {
  return {
    fileId: file.fileId,
    state: file.state,
    openedAt: file.openedAt,
    records: file.statistics.total?.recordsCount ?? 0,
    retry: retryOf(file),
    slices: slices
      .filter((slice) => slice.fileId === file.fileId)
      .map((slice) => ({
        sliceId: `p${slice.partition}@${slice.begin}`,
        partition: slice.partition,
        state: slice.state,
        begin: slice.begin,
        end: slice.end ?? null,
        records: slice.records,
        retry: retryOf(slice),
      })),
  };
}

function retryOf({
  retryAttempt,
  retryReason,
  retryAfter,
}: FileStatistics | SliceSnapshot): FeedRetry | null {
  if (retryAttempt === undefined || retryReason === undefined || retryAfter === undefined) return null;
  return { attempt: retryAttempt, reason: retryReason, after: retryAfter };
}
