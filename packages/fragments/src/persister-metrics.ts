// Metrics of the persister. What grows while nothing else does is the backlog's age: alert on it.
import type { Counter, Gauge, Metrics } from "@millrace/base";

export interface PersisterMetrics {
  readonly attempts: Counter;
  /** Gazette's name for the attempts that ended well. */
  readonly persisted: Counter;
  readonly contentBytes: Counter;
  readonly storedBytes: Counter;
  readonly backlogCount: Gauge;
  readonly backlogBytes: Gauge;
  readonly backlogAge: Gauge;
}

export function persisterMetrics(metrics: Metrics): PersisterMetrics {
  const all: PersisterMetrics = {
    attempts: metrics.counter(
      "millrace_persister_attempts_total",
      "Attempts to persist a fragment, by outcome.",
    ),
    persisted: metrics.counter("gazette_spool_persisted_total", "Fragments that a store has confirmed."),
    contentBytes: metrics.counter(
      "millrace_persister_content_bytes_total",
      "Bytes released, before compression.",
    ),
    storedBytes: metrics.counter("millrace_persister_stored_bytes_total", "Bytes written to stores."),
    backlogCount: metrics.gauge(
      "millrace_persister_backlog_fragments",
      "Closed fragments that wait for a store.",
    ),
    backlogBytes: metrics.gauge("millrace_persister_backlog_bytes", "Bytes of the fragments that wait."),
    backlogAge: metrics.gauge(
      "millrace_persister_backlog_age_seconds",
      "Age of the fragment that waits longest.",
    ),
  };
  // There from the start, as Gazette's are: rates miss no first increment, and sums no broker.
  all.persisted.add(0);
  return all;
}
