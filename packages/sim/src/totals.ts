// Sums over runs, for the last line of stdout.
import type { RunSummary } from "./run-seed.ts";

export class Totals {
  seeds = 0;
  failed: string[] = [];
  events = 0;
  acknowledgedRecords = 0;
  acknowledgedAppends = 0;
  #virtualMs = 0;
  readonly #tally = new Map<string, number>();

  add(summary: RunSummary): void {
    this.seeds++;
    this.events += summary.events;
    this.acknowledgedRecords += summary.acknowledgedRecords;
    this.acknowledgedAppends += summary.acknowledgedAppends;
    this.#virtualMs += summary.virtualMs;
    for (const [what, count] of Object.entries(summary.tally)) {
      this.#tally.set(what, (this.#tally.get(what) ?? 0) + count);
    }
  }

  addFailed(seed: string): void {
    this.seeds++;
    this.failed.push(seed);
  }

  json(): Record<string, unknown> {
    const { seeds, failed, events, acknowledgedRecords, acknowledgedAppends } = this;
    const virtualHours = Math.round(this.#virtualMs / 3_600_000);
    const tally = Object.fromEntries([...this.#tally].sort(([a], [b]) => (a < b ? -1 : 1)));
    return { seeds, failed, events, virtualHours, acknowledgedRecords, acknowledgedAppends, tally };
  }
}
