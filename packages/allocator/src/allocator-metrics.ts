// Metrics of the allocator, with Gazette's names: the leader's alone move.
import type { Counter, Gauge, Histogram, Metrics } from "@millrace/base";

export interface AllocatorMetrics {
  readonly added: Counter;
  readonly removed: Counter;
  readonly packed: Counter;
  readonly converges: Counter;
  readonly solveSeconds: Histogram;
  readonly slots: Gauge;
  readonly items: Gauge;
  readonly members: Gauge;
}

const SOLVE_BUCKETS: readonly number[] = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10];

export function allocatorMetrics(metrics: Metrics): AllocatorMetrics {
  const all: AllocatorMetrics = {
    added: metrics.counter("gazette_allocator_assignment_added_total", "Assignments that were added."),
    removed: metrics.counter("gazette_allocator_assignment_removed_total", "Assignments that were removed."),
    packed: metrics.counter(
      "gazette_allocator_assignment_packed_total",
      "Assignments that got another slot: promoted, or packed.",
    ),
    converges: metrics.counter(
      "gazette_allocator_converge_total",
      "Passes of convergence that changed something.",
    ),
    solveSeconds: metrics.histogram(
      "gazette_allocator_max_flow_runtime_seconds",
      "Time to solve for the desired assignments.",
      SOLVE_BUCKETS,
    ),
    slots: metrics.gauge("gazette_allocator_desired_replication_slots", "Replicas that all items want."),
    items: metrics.gauge("gazette_allocator_items", "Items that are distributed."),
    members: metrics.gauge("gazette_allocator_members", "Members that items are distributed over."),
  };
  // There from the start, as Gazette's are: rates miss no first increment, and sums no broker.
  for (const each of [all.added, all.removed, all.packed, all.converges]) each.add(0);
  for (const each of [all.slots, all.items, all.members]) each.set(0);
  return all;
}
