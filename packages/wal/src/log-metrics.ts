// Metrics of a log.
import { SECONDS_BUCKETS, type Counter, type Gauge, type Histogram, type Metrics } from "@millrace/base";

export interface LogMetrics {
  readonly syncs: Counter;
  readonly syncSeconds: Histogram;
  readonly bytes: Counter;
  readonly records: Counter;
  readonly queued: Gauge;
  readonly refused: Counter;
}

export function logMetrics(metrics: Metrics): LogMetrics {
  return {
    syncs: metrics.counter("millrace_log_syncs_total", "Groups written and synced."),
    syncSeconds: metrics.histogram(
      "millrace_log_sync_seconds",
      "Write and sync of one group.",
      SECONDS_BUCKETS,
    ),
    bytes: metrics.counter("millrace_log_bytes_total", "Bytes of the groups written."),
    records: metrics.counter("millrace_log_records_total", "Records synced."),
    queued: metrics.gauge("millrace_log_queued_bytes", "Bytes of records that wait for their sync."),
    refused: metrics.counter("millrace_log_refused_records_total", "Records refused on a full disk."),
  };
}
