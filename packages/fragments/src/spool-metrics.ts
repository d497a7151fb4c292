// Metrics of local storage; the log has its own (log-metrics.ts of wal).
import { SECONDS_BUCKETS, type Counter, type Gauge, type Histogram, type Metrics } from "@millrace/base";

export interface SpoolMetrics {
  readonly tailBytes: Gauge;
  readonly freeBytes: Gauge;
  readonly diskBytes: Gauge;
  /** Labels: outcome = made | postponed | failed. */
  readonly checkpoints: Counter;
  readonly checkpointSeconds: Histogram;
  /** Labels: outcome = refused | unknown. */
  readonly failed: Counter;
  readonly completed: Counter;
  readonly quarantined: Counter;
  readonly rotten: Counter;
}

export function spoolMetrics(metrics: Metrics): SpoolMetrics {
  const all: SpoolMetrics = {
    tailBytes: metrics.gauge("millrace_spool_tail_bytes", "Memory that holds recent bytes of journals."),
    freeBytes: metrics.gauge(
      "millrace_spool_free_bytes",
      "Free space of the data directory, when last asked.",
    ),
    diskBytes: metrics.gauge(
      "millrace_spool_disk_bytes",
      "Size of the file system of the data directory, when last asked.",
    ),
    checkpoints: metrics.counter("millrace_spool_checkpoints_total", "Checkpoints of the log, by outcome."),
    checkpointSeconds: metrics.histogram(
      "millrace_spool_checkpoint_seconds",
      "One checkpoint.",
      SECONDS_BUCKETS,
    ),
    failed: metrics.counter("millrace_spool_failed_appends_total", "Commits that were not acknowledged."),
    completed: metrics.counter(
      "gazette_spool_completed_total",
      "Fragments that were closed, at each replica.",
    ),
    rotten: metrics.counter(
      "millrace_spool_rotten_reads_total",
      "Reads of spool files that were refused as rotten.",
    ),
    quarantined: metrics.counter(
      "millrace_spool_quarantined_total",
      "Files and parts set aside by recovery.",
    ),
  };
  // There from the start, as Gazette's is: rates miss no first increment, and sums no broker.
  all.completed.add(0);
  return all;
}
