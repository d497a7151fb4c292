// How far the members of this broker's journals are behind each other, looked at now and then.
import type { Clock } from "@millrace/base";
import type { BrokerMetrics } from "./broker-metrics.ts";
import type { JournalReplica } from "./journal-replica.ts";
import { LAG_INTERVAL_MS } from "./limits.ts";

export interface LagPorts {
  readonly clock: Clock;
  readonly replicas: () => readonly JournalReplica[];
  readonly metrics: BrokerMetrics;
}

/** Runs until `signal` aborts. */
export async function watchLag({ clock, replicas, metrics }: LagPorts, signal: AbortSignal): Promise<void> {
  for (;;) {
    let bytes = 0;
    for (const replica of replicas()) {
      if (replica.isOpen) bytes += Math.max(0, replica.spool.syncedEnd - replica.spool.end);
    }
    metrics.unconfirmedBytes.set(bytes);
    await clock.sleep(LAG_INTERVAL_MS, signal);
  }
}
