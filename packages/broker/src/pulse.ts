// Zero-byte appends to the journals that need one (section 4.10): at once where the route is new, so that it is
// activated, its peers are found to be there and its assignments say so; and once a minute, to close fragments at their
// flush interval and, when the broker suspends idle journals, to suspend those.
import { abortScope, Gate, waitUntil, WireError, type Clock, type Logger } from "@millrace/base";
import type { JournalTransport } from "@millrace/client";
import { newAppendRequest, type AppendSuspend, type Status } from "@millrace/protocol";
import type { JournalReplica } from "./journal-replica.ts";
import {
  PULSE_INTERVAL_MS,
  PULSE_RETRY_MS,
  PULSE_TIMEOUT_MS,
  PULSES_AT_ONCE,
  QUIET_PULSES_BEFORE_SUSPEND,
} from "./limits.ts";

export interface PulsePorts {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly transport: JournalTransport;
  readonly replicas: () => readonly JournalReplica[];
  readonly autoSuspend: boolean;
  /** Journals whose route is new. */
  readonly due: DueJournals;
  /** Whether this broker is the primary. */
  readonly isPrimary: (journal: string) => boolean;
}

export class DueJournals {
  readonly changed = new Gate();
  readonly #names = new Set<string>();

  get isEmpty(): boolean {
    return this.#names.size === 0;
  }

  add(journal: string): void {
    this.#names.add(journal);
    this.changed.open();
  }

  /** @returns undefined when there is none */
  take(): string | undefined {
    for (const name of this.#names) {
      this.#names.delete(name);
      return name;
    }
    return undefined;
  }
}

/** Runs until `signal` aborts. */
export async function runPulse(ports: PulsePorts, signal: AbortSignal): Promise<void> {
  await Promise.all([runTicks(ports, signal), runDue(ports, signal)]);
}

async function runTicks(ports: PulsePorts, signal: AbortSignal): Promise<void> {
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

async function runDue(ports: PulsePorts, signal: AbortSignal): Promise<void> {
  const { due, isPrimary, clock } = ports;
  let running = 0;
  const scope = abortScope(signal);
  try {
    for (;;) {
      await waitUntil(due.changed, () => !due.isEmpty && running < PULSES_AT_ONCE, scope.signal);
      const journal = due.take();
      if (journal === undefined || !isPrimary(journal)) continue;
      running++;
      const ended = (status: Status | undefined): void => {
        running--;
        due.changed.open();
        // Who could not be reached may be there in a moment; too few brokers become enough with a new route.
        if (status === undefined && !signal.aborted) clock.after(PULSE_RETRY_MS, () => due.add(journal));
      };
      void pulse(ports, journal, "SUSPEND_NO_RESUME", scope.signal).then(ended, () => ended(undefined));
    }
  } finally {
    scope.dispose();
  }
}

/** @returns undefined when it has failed */
async function pulse(
  { transport, clock, logger }: PulsePorts,
  journal: string,
  suspend: AppendSuspend,
  signal: AbortSignal,
): Promise<Status | undefined> {
  const scope = abortScope(signal);
  const cancel = clock.after(PULSE_TIMEOUT_MS, () =>
    scope.abort(new WireError("UNAVAILABLE", `no answer in ${PULSE_TIMEOUT_MS} ms`)),
  );
  try {
    const request = newAppendRequest({ journal, doNotProxy: true, suspend });
    const { status } = await transport.append(request, { kind: "bytes", bytes: [] }, scope.signal);
    if (!USUAL.has(status)) logger.warn("journal-pulse-failed", { journal, status });
    return status;
  } catch (error) {
    signal.throwIfAborted();
    logger.warn("journal-pulse-failed", { journal, error: WireError.from(error).message });
    return undefined;
  } finally {
    cancel();
    scope.dispose();
  }
}

/** Of journals that are not to be served now, or not by this broker any more. */
const USUAL: ReadonlySet<Status> = new Set([
  "OK",
  "SUSPENDED",
  "INSUFFICIENT_JOURNAL_BROKERS",
  "NOT_JOURNAL_PRIMARY_BROKER",
  "NO_JOURNAL_PRIMARY_BROKER",
  "JOURNAL_NOT_FOUND",
]);
