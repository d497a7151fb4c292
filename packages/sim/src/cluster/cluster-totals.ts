// Sums over runs of clusters, for the last line of stdout.
import type { ClusterSummary } from "./run-cluster.ts";

export class ClusterTotals {
  readonly failed: string[] = [];
  seeds = 0;
  events = 0;
  #acknowledged = 0;
  #unknown = 0;
  #virtualMs = 0;
  #healedMsMax = 0;
  readonly #tally = new Map<string, number>();

  add(summary: ClusterSummary): void {
    this.seeds++;
    this.events += summary.events;
    this.#acknowledged += summary.acknowledged;
    this.#unknown += summary.unknown;
    this.#virtualMs += summary.virtualMs;
    this.#healedMsMax = Math.max(this.#healedMsMax, summary.healedMs);
    for (const [what, count] of Object.entries(summary.tally)) {
      this.#tally.set(what, (this.#tally.get(what) ?? 0) + count);
    }
  }

  json(): Readonly<Record<string, unknown>> {
    const { seeds, failed, events } = this;
    return {
      seeds,
      failed,
      events,
      virtualMinutes: Math.round(this.#virtualMs / 60_000),
      acknowledged: this.#acknowledged,
      unknown: this.#unknown,
      healedMsMax: this.#healedMsMax,
      tally: Object.fromEntries([...this.#tally].sort(([a], [b]) => (a < b ? -1 : 1))),
    };
  }
}
