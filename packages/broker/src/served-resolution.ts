// Waiting for a journal's broker: one that was just made or resumed gets its assignment in a moment.
import type { Clock } from "@millrace/base";
import type { Status } from "@millrace/protocol";
import type { BrokerKeyspace } from "./broker-keyspace.ts";
import { changeWithin } from "./gate-timeout.ts";
import { ASSIGNMENT_WAIT_MS } from "./limits.ts";
import type { Resolution } from "./resolver.ts";

const PASSING: ReadonlySet<Status> = new Set(["NO_JOURNAL_PRIMARY_BROKER", "INSUFFICIENT_JOURNAL_BROKERS"]);

/** Whether `status` may be another one as soon as the allocator has done its work. */
export function isPassing(status: Status): boolean {
  return PASSING.has(status);
}

/** Resolves anew at each change of the keyspace, until somebody serves or the wait is over. */
export async function whenServed(
  { keyspace, clock }: { readonly keyspace: BrokerKeyspace; readonly clock: Clock },
  resolve: () => Resolution,
  signal: AbortSignal,
  isUnsettled = ({ status }: Resolution): boolean => isPassing(status),
): Promise<Resolution> {
  const untilMs = clock.monotonicMs() + ASSIGNMENT_WAIT_MS;
  for (;;) {
    const resolution = resolve();
    const leftMs = untilMs - clock.monotonicMs();
    if (!isUnsettled(resolution) || leftMs <= 0) return resolution;
    await changeWithin(keyspace.changed, leftMs, clock, signal);
  }
}
