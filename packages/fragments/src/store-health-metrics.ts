// Metrics of the checks of stores. Names are Gazette's where it has them, without the label `store`: whoever may write
// a spec can name any store, and its series would never go away. Which store it is, the log and /readyz say.
import type { Counter, Gauge, Metrics } from "@millrace/base";

export interface StoreHealthMetrics {
  /** Labels: status = ok | error. */
  readonly checks: Counter;
  readonly active: Gauge;
  readonly failing: Gauge;
}

export function storeHealthMetrics(metrics: Metrics): StoreHealthMetrics {
  return {
    checks: metrics.counter("gazette_store_health_check_total", "Health checks of stores, by status."),
    active: metrics.gauge("gazette_store_active", "Stores in use, which are checked."),
    failing: metrics.gauge("millrace_stores_failing", "Stores whose last check failed."),
  };
}
