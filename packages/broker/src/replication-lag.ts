// How far the members of this broker's journals are behind each other, looked at now and then.
import type { Clock, Gauge } from "@millrace/base";
import type { JournalReplica } from "./journal-replica.ts";
import { LAG_INTERVAL_MS } from "./limits.ts";

export interface LagPorts {
  readonly clock: Clock;
  readonly replicas: () => readonly JournalReplica[];
  readonly unconfirmedBytes: Gauge;
}

/** Runs until `signal` aborts. */
export async function watchLag(
  { clock, replicas, unconfirmedBytes }: LagPorts,
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    let bytes = 0;
    for (const replica of replicas()) {
      if (replica.isOpen) bytes += Math.max(0, replica.spool.syncedEnd - replica.spool.end);
    }
    unconfirmedBytes.set(bytes);
    await clock.sleep(LAG_INTERVAL_MS, signal);
  }
}
