// Zero-byte appends to the journals that need one (section 4.10): at once where the route is new, so that it is
// activated, its peers are found to be there and its assignments say so; and once a minute, to close fragments at their
// flush interval and, when the broker suspends idle journals, to suspend those.
//
// P1 A failure that a change of hands explains (who is primary, or a peer's broker, has just changed) is no warning
//    before it has come back PASSING_FAILURES_MAX times. What goes on to fail is told ever more rarely.
// P2 A journal that is suspended to one replica gets none before there is something to do: a fragment to be closed,
//    or nothing left of it, so that it needs no replica. Each would activate its route, and the list of holders, which
//    upkeep closes for it, would be written twice a minute for ever.
import { abortScope, waitUntil, WireError, type Clock, type Code, type Logger } from "@millrace/base";
import type { JournalTransport } from "@millrace/client";
import {
  newAppendRequest,
  suspension,
  type AppendSuspend,
  type LabelSet,
  type Status,
} from "@millrace/protocol";
import { isDirty } from "./append-preconditions.ts";
import type { DueJournals } from "./due-journals.ts";
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
  /** Whether a journal with these labels is suspended when it is idle. */
  readonly autoSuspend: (labels: LabelSet) => boolean;
  readonly due: DueJournals;
  /** Whether this broker is the primary. */
  readonly isPrimary: (journal: string) => boolean;
}

/** Runs until `signal` aborts. */
export async function runPulse(ports: PulsePorts, signal: AbortSignal): Promise<void> {
  const failures = new PulseFailures(ports.logger);
  await Promise.all([runTicks(ports, failures, signal), runDue(ports, failures, signal)]);
}

async function runTicks(ports: PulsePorts, failures: PulseFailures, signal: AbortSignal): Promise<void> {
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
      const isQuiet = pulses >= QUIET_PULSES_BEFORE_SUSPEND && ports.autoSuspend(replica.spec.labels);
      const mode = wantedPulse(replica, isQuiet);
      if (mode !== undefined) await pulse(ports, failures, replica.journal, mode, signal);
    }
  }
}

/** @returns undefined: none is needed */
function wantedPulse(replica: JournalReplica, isQuiet: boolean): AppendSuspend | undefined {
  const wantsRoll = replica.wantsRoll();
  if (suspension(replica.spec).level !== "PARTIAL")
    return isQuiet && mayBeSuspended(replica)
      ? "SUSPEND_IF_FLUSHED"
      : wantsRoll
        ? "SUSPEND_NO_RESUME"
        : undefined;
  // P2
  if (wantsRoll) return "SUSPEND_KEEP";
  const { begin, end } = replica.index.summary();
  return isQuiet && begin === end ? "SUSPEND_IF_FLUSHED" : undefined;
}

/** Whether a pulse that asks for it may find that it can be: journals in use are asked for nothing. */
function mayBeSuspended(replica: JournalReplica): boolean {
  const facts = replica.facts();
  return facts.indexBegin === facts.indexEnd || !isDirty(replica.spec, facts);
}

async function runDue(ports: PulsePorts, failures: PulseFailures, signal: AbortSignal): Promise<void> {
  const { due, isPrimary, clock } = ports;
  let running = 0;
  const scope = abortScope(signal);
  try {
    for (;;) {
      await waitUntil(due.changed, () => !due.isEmpty && running < PULSES_AT_ONCE, scope.signal);
      const next = due.take();
      if (next === undefined) continue;
      const { journal } = next;
      if (!isPrimary(journal)) {
        failures.ended(journal);
        continue;
      }
      running++;
      const ended = (status: Status | undefined): void => {
        running--;
        due.changed.open();
        // Who could not be reached may be there in a moment; too few brokers become enough with a new route.
        if (status === undefined && !signal.aborted)
          clock.after(PULSE_RETRY_MS, () => due.addAgain(next, clock.monotonicMs()));
      };
      void pulse(ports, failures, journal, "SUSPEND_NO_RESUME", scope.signal).then(ended, () =>
        ended(undefined),
      );
    }
  } finally {
    scope.dispose();
  }
}

/** @returns undefined when it has failed */
async function pulse(
  { transport, clock, logger }: PulsePorts,
  failures: PulseFailures,
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
    failures.ended(journal);
    if (!USUAL.has(status)) logger.warn("journal-pulse-failed", { journal, status });
    return status;
  } catch (error) {
    signal.throwIfAborted();
    failures.tell(journal, WireError.from(error));
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

/** Of a primary or a peer's broker that has just changed, or is about to. */
const PASSING: ReadonlySet<Code> = new Set<Code>(["UNAVAILABLE", "SHUTTING_DOWN", "NOT_PRIMARY"]);
/** In a row; tried again each second, they are over before when a journal changes hands. */
const PASSING_FAILURES_MAX = 4;
/** A failure is told at least so often. */
const TELL_EVERY = 512;

/** How often pulses failed in a row, by journal: as many entries as journals that are due again. P1 */
class PulseFailures {
  readonly #logger: Logger;
  readonly #counts = new Map<string, number>();

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  ended(journal: string): void {
    this.#counts.delete(journal);
  }

  tell(journal: string, { code, message }: WireError): void {
    const failures = (this.#counts.get(journal) ?? 0) + 1;
    this.#counts.set(journal, failures);
    const isPassing = PASSING.has(code) && failures < PASSING_FAILURES_MAX;
    const isTold = !isPassing && (Number.isInteger(Math.log2(failures)) || failures % TELL_EVERY === 0);
    this.#logger[isTold ? "warn" : "debug"]("journal-pulse-failed", { journal, failures, error: message });
  }
}
