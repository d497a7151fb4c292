// Metrics of the back of the pipeline, declared in one place. Labels come from closed sets, never from users.
import { SECONDS_BUCKETS, type Metrics } from "@millrace/base";
import { OperationSeconds } from "./operation-metrics.ts";

/** From 1 ms to 10 minutes: what lies between a record's acceptance and its row. */
const VISIBLE_BUCKETS: readonly number[] = [
  0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 30, 60, 120, 300, 600,
];

export type StorageMetrics = ReturnType<typeof storageMetrics>;

export function storageMetrics(metrics: Metrics) {
  return {
    ...byteMetrics(metrics),
    operations: new OperationSeconds(metrics),
    readRecords: metrics.counter(
      "millrace_storage_read_records_total",
      "Records read from partitions, repeated ones too.",
    ),
    readBytes: metrics.counter("millrace_storage_read_bytes_total", "Bytes read from partitions."),
    duplicateFrames: metrics.counter(
      "millrace_storage_duplicate_frames_total",
      "Frames that stood twice (D20).",
    ),
    duplicateRecords: metrics.counter(
      "millrace_storage_duplicate_records_total",
      "Records that repeated a key, and became no row (D24).",
    ),
    heldBytes: metrics.gauge("millrace_storage_held_bytes", "Bytes of rows in memory, not uploaded yet."),
    keyBytes: metrics.gauge("millrace_storage_key_bytes", "Memory that the keys of records take (D24)."),
    keyWindowsRead: metrics.counter(
      "millrace_storage_key_windows_read_total",
      "Times that a partition's keys were read again from its journal.",
    ),
    stagedObjects: metrics.counter("millrace_storage_staged_objects_total", "Objects put into staging."),
    stagedBytes: metrics.counter("millrace_storage_staged_bytes_total", "Bytes put into staging."),
    uploadSeconds: metrics.histogram(
      "millrace_storage_upload_seconds",
      "From closing a slice to its confirmed objects.",
      SECONDS_BUCKETS,
    ),
    slicesRotated: metrics.counter("millrace_storage_slices_rotated_total", "Slices closed, by reason."),
    filesRotated: metrics.counter("millrace_storage_files_rotated_total", "Files closed, by reason."),
    imports: metrics.counter("millrace_storage_imports_total", "Imports, by outcome and kind of target."),
    runningImports: metrics.gauge(
      "millrace_storage_running_imports",
      "Imports under way, by kind of target.",
    ),
    failingTargets: metrics.gauge(
      "millrace_storage_failing_targets",
      "Places whose last import failed, by kind of target.",
    ),
    importSeconds: metrics.histogram(
      "millrace_storage_import_seconds",
      "Duration of an import, by kind of target.",
      SECONDS_BUCKETS,
    ),
    importedRecords: metrics.counter("millrace_storage_imported_records_total", "Records that became rows."),
    visibleSeconds: metrics.histogram(
      "millrace_storage_visible_seconds",
      "From the acceptance of a file's first record to its rows.",
      VISIBLE_BUCKETS,
    ),
    failures: metrics.counter("millrace_storage_failures_total", "Failed attempts, by operation and code."),
    unreadablePartitions: metrics.gauge(
      "millrace_storage_unreadable_partitions",
      "Partitions that cannot be read: their records do not become rows.",
    ),
    lostPartitions: metrics.gauge(
      "millrace_storage_lost_partitions",
      "Unreadable partitions that have lost acknowledged bytes: they take no records.",
    ),
    removedFragments: metrics.counter(
      "millrace_storage_removed_fragments_total",
      "Fragments of partitions removed.",
    ),
    removedFiles: metrics.counter("millrace_storage_removed_files_total", "Imported files removed."),
  };
}

function byteMetrics(metrics: Metrics) {
  return {
    stagedRowBytes: metrics.counter(
      "millrace_storage_staged_row_bytes_total",
      "Bytes of the rows of slices that were staged, before compression.",
    ),
    importedBytes: metrics.counter(
      "millrace_storage_imported_bytes_total",
      "Bytes of the rows that were imported.",
    ),
    importedStagedBytes: metrics.counter(
      "millrace_storage_imported_staged_bytes_total",
      "Bytes of the staged objects that were imported.",
    ),
  };
}
