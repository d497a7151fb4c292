// Once a minute: zero-byte appends to the journals that need one, to close fragments at their flush interval and,
// when the broker suspends idle journals, to suspend those (section 4.10). With one replica nothing else needs a
// pulse.
import { abortScope, WireError, type Clock, type Logger } from "@millrace/base";
import type { JournalTransport } from "@millrace/client";
import { newAppendRequest, type AppendSuspend } from "@millrace/protocol";
import type { JournalReplica } from "./journal-replica.ts";
import { PULSE_INTERVAL_MS, PULSE_TIMEOUT_MS, QUIET_PULSES_BEFORE_SUSPEND } from "./limits.ts";

export interface PulsePorts {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly transport: JournalTransport;
  readonly replicas: () => readonly JournalReplica[];
  readonly autoSuspend: boolean;
}

/** Runs until `signal` aborts. */
export async function runPulse(ports: PulsePorts, signal: AbortSignal): Promise<void> {
  /** Pulses since a replica came to be or its route changed. */
  const quiet = new WeakMap<JournalReplica, { pulses: number; invalidations: number }>();
  for (;;) {
    await ports.clock.sleep(PULSE_INTERVAL_MS, signal);
    for (const replica of ports.replicas()) {
      if (!replica.isOpen) continue;
      const { invalidations } = replica;
      const seen = quiet.get(replica);
      const pulses = seen?.invalidations === invalidations ? seen.pulses + 1 : 1;
      quiet.set(replica, { pulses, invalidations });
      const suspend = ports.autoSuspend && pulses >= QUIET_PULSES_BEFORE_SUSPEND;
      if (suspend || replica.wantsRoll()) {
        await pulse(ports, replica.journal, suspend ? "SUSPEND_IF_FLUSHED" : "SUSPEND_NO_RESUME", signal);
      }
    }
  }
}

async function pulse(
  { transport, clock, logger }: PulsePorts,
  journal: string,
  suspend: AppendSuspend,
  signal: AbortSignal,
): Promise<void> {
  const scope = abortScope(signal);
  const cancel = clock.after(PULSE_TIMEOUT_MS, () =>
    scope.abort(new WireError("UNAVAILABLE", `no answer in ${PULSE_TIMEOUT_MS} ms`)),
  );
  try {
    const request = newAppendRequest({ journal, doNotProxy: true, suspend });
    const { status } = await transport.append(request, { kind: "bytes", bytes: [] }, scope.signal);
    if (status !== "OK" && status !== "SUSPENDED") logger.warn("journal-pulse-failed", { journal, status });
  } catch (error) {
    signal.throwIfAborted();
    logger.warn("journal-pulse-failed", { journal, error: WireError.from(error).message });
  } finally {
    cancel();
    scope.dispose();
  }
}
