// Metrics of the embedded store.
import { SECONDS_BUCKETS, type Counter, type Gauge, type Histogram, type Metrics } from "@millrace/base";

export interface StoreMetrics {
  /** By outcome: written, read (nothing changed), failed. */
  readonly txns: Counter;
  readonly txnSeconds: Histogram;
  readonly revision: Gauge;
  readonly keys: Gauge;
  readonly leases: Gauge;
  readonly historyBytes: Gauge;
}

export function storeMetrics(metrics: Metrics): StoreMetrics {
  return {
    txns: metrics.counter("millrace_coordination_txns_total", "Transactions by outcome."),
    txnSeconds: metrics.histogram(
      "millrace_coordination_txn_seconds",
      "From a transaction's request until it is durable.",
      SECONDS_BUCKETS,
    ),
    revision: metrics.gauge("millrace_coordination_revision", "Newest durable revision."),
    keys: metrics.gauge("millrace_coordination_keys", "Keys, those included that only history still has."),
    leases: metrics.gauge("millrace_coordination_leases", "Leases that have not ended."),
    historyBytes: metrics.gauge("millrace_coordination_history_bytes", "Keys and values of the events kept."),
  };
}
