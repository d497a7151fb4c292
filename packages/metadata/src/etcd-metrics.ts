// Metrics of the client of etcd.
import { MetricsRegistry, SECONDS_BUCKETS, type Counter, type Histogram, type Metrics } from "@millrace/base";

export interface EtcdMetrics {
  /** By operation, and by outcome: answered, refused, unavailable, unknown, aborted, failed. */
  readonly requests: Counter;
  /** By operation. */
  readonly requestSeconds: Histogram;
  readonly watchRestarts: Counter;
}

export function etcdMetrics(metrics: Metrics = new MetricsRegistry()): EtcdMetrics {
  return {
    requests: metrics.counter("millrace_etcd_requests_total", "Requests to etcd by operation and outcome."),
    requestSeconds: metrics.histogram(
      "millrace_etcd_request_seconds",
      "From a request to etcd until its end, all attempts together.",
      SECONDS_BUCKETS,
    ),
    watchRestarts: metrics.counter(
      "millrace_etcd_watch_restarts_total",
      "Streams of watches that ended before their watch, and were opened again.",
    ),
  };
}
