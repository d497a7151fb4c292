// What waits for its table, of all sinks together, as metrics. They name no sink: who asks may be a stranger to
// it. Which one it is, the API, the console and `millrace sinks statistics` say.
//
// W1 Only sinks of which something has changed since nothing of theirs waited are looked at when metrics are asked for:
//    of thirty thousand nearly all are idle.
import type { Clock, Gauge, Metrics } from "@millrace/base";
import type { PartitionLag } from "./sink-lag.ts";
import { TARGET_KINDS } from "./target-settings.ts";
import type { WorkOwner } from "./work-owner.ts";

export interface BacklogPorts {
  /** Partitions of a sink that are behind. */
  readonly behind: (path: string, nowMs: number) => readonly PartitionLag[];
  /** Paths of all sinks. */
  readonly all: () => Iterable<string>;
  /** Of sinks, by their paths. */
  readonly share: WorkOwner;
  readonly clock: Clock;
  readonly metrics: Metrics;
}

/** Ages by which sinks are counted. */
const AGES_SECONDS: readonly number[] = [10, 60, 600, 3600];

export class Backlog {
  readonly #ports: BacklogPorts;
  readonly #seconds: Gauge;
  readonly #bytes: Gauge;
  readonly #sinks: Gauge;
  /** W1 */
  readonly #changed = new Set<string>();
  readonly #stops: readonly (() => void)[];

  constructor(ports: BacklogPorts) {
    this.#ports = ports;
    const { metrics, share } = ports;
    this.#seconds = metrics.gauge(
      "millrace_storage_backlog_seconds",
      "Age of the oldest record that is not in its table, by kind of target.",
    );
    this.#bytes = metrics.gauge(
      "millrace_storage_backlog_bytes",
      "Bytes of partitions that are not in their tables, by kind of target.",
    );
    this.#sinks = metrics.gauge(
      "millrace_storage_backlog_sinks",
      "Sinks whose oldest record that is not in its table is older, by seconds.",
    );
    this.#noteAll();
    this.#stops = [share.observe(() => this.#noteAll()), metrics.beforeRender(() => this.#show())];
  }

  /** Something of a sink has changed. Called for every chunk and every append: cheap. */
  note(path: string): void {
    this.#changed.add(path);
  }

  close(): void {
    for (const stop of this.#stops) stop();
  }

  #noteAll(): void {
    for (const path of this.#ports.all()) this.#changed.add(path);
  }

  #show(): void {
    const { behind, share, clock } = this.#ports;
    const nowMs = clock.wallMs();
    const byTarget = new Map(TARGET_KINDS.map((target) => [target, { ms: 0, bytes: 0 }]));
    const older = AGES_SECONDS.map(() => 0);
    for (const path of this.#changed) {
      const partitions = share.owns(path) ? behind(path, nowMs) : [];
      if (partitions.length === 0) this.#changed.delete(path);
      let oldestMs = 0;
      for (const { target, ms, bytes } of partitions) {
        const sum = byTarget.get(target)!;
        sum.ms = Math.max(sum.ms, ms);
        sum.bytes += bytes;
        oldestMs = Math.max(oldestMs, ms);
      }
      for (const [i, seconds] of AGES_SECONDS.entries()) if (oldestMs > seconds * 1000) older[i]!++;
    }
    for (const [target, { ms, bytes }] of byTarget) {
      this.#seconds.set(ms / 1000, { target });
      this.#bytes.set(bytes, { target });
    }
    for (const [i, count] of older.entries()) this.#sinks.set(count, { older_than: String(AGES_SECONDS[i]) });
  }
}
