// Metrics of the checks of stores. Names and labels are Gazette's where it has them.
import type { Counter, Gauge, Metrics } from "@millrace/base";

export interface StoreHealthMetrics {
  /** Labels: store = its URL, status = ok | error. */
  readonly checks: Counter;
  readonly active: Gauge;
  readonly failing: Gauge;
}

export function storeHealthMetrics(metrics: Metrics): StoreHealthMetrics {
  return {
    checks: metrics.counter(
      "gazette_store_health_check_total",
      "Health checks of stores, by store and status.",
    ),
    active: metrics.gauge("gazette_store_active", "Stores in use, which are checked."),
    failing: metrics.gauge("millrace_stores_failing", "Stores whose last check failed."),
  };
}
