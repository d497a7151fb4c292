// Metrics of a broker. Names and labels are those of Gazette where it has them. Of those labelled by journal there is
// the write head alone, which dashboards ask for (write-heads.ts).
import {
  SECONDS_BUCKETS,
  WireError,
  type Clock,
  type Counter,
  type Gauge,
  type Histogram,
  type Labels,
  type Metrics,
} from "@millrace/base";

export type Operation =
  "List" | "Apply" | "Read" | "Append" | "Replicate" | "ListFragments" | "FragmentStoreHealth";

export interface BrokerMetrics {
  readonly started: Counter;
  readonly completed: Counter;
  /** Of those, which had no answer: by operation and code. */
  readonly failed: Counter;
  /** Seconds from an append's call to its answer. */
  readonly appendSeconds: Histogram;
  /** Seconds from the end of an append's content to its acknowledgement, by level. */
  readonly acknowledgementSeconds: Histogram;
  readonly commits: Counter;
  readonly commitBytes: Counter;
  readonly rollbacks: Counter;
  readonly rollbackBytes: Counter;
  readonly readBytes: Counter;
  /** Calls passed on to other brokers, by operation. */
  readonly proxied: Counter;
  /** Seconds from a proposal to the answer of the last peer. */
  readonly replicationSeconds: Histogram;
  readonly unconfirmedBytes: Gauge;
  readonly journals: Gauge;
  readonly replicas: Gauge;
  readonly reduced: Gauge;
  /** By reason. */
  readonly drainWaits: Gauge;
  readonly copyWantedBytes: Gauge;
  readonly copiedBytes: Counter;
}

/** What becomes of appends in this broker's spools, its own ones and those that others replicate to it. */
export type SpoolCounts = Pick<BrokerMetrics, "commits" | "commitBytes" | "rollbacks" | "rollbackBytes">;

/** Counts content that was taken back; of nothing, nothing. */
export function countRollback({ rollbacks, rollbackBytes }: SpoolCounts, bytes: number): void {
  if (bytes === 0) return;
  rollbacks.add();
  rollbackBytes.add(bytes);
}

export function brokerMetrics(metrics: Metrics): BrokerMetrics {
  const counter = (name: string, help: string): Counter => metrics.counter(name, help);
  const all: BrokerMetrics = {
    started: counter("gazette_journal_server_started_totals", "Calls that were begun, by operation."),
    completed: counter(
      "gazette_journal_server_completed_totals",
      "Calls that ended, by operation and status.",
    ),
    failed: counter("millrace_broker_failed_calls_total", "Calls that failed, by operation and error code."),
    appendSeconds: metrics.histogram(
      "millrace_broker_append_seconds",
      "Time from an append's call to its acknowledgement.",
      SECONDS_BUCKETS,
    ),
    acknowledgementSeconds: metrics.histogram(
      "millrace_broker_acknowledgement_seconds",
      "Time from the end of an append's content until it is acknowledged, by level.",
      SECONDS_BUCKETS,
    ),
    commits: counter("gazette_spool_commits_total", "Appends that were committed, at each replica."),
    commitBytes: counter(
      "gazette_spool_commit_bytes_total",
      "Bytes of appends that were committed, at each replica.",
    ),
    rollbacks: counter(
      "gazette_spool_rollbacks_total",
      "Appends that were rolled back with bytes of them here, at each replica.",
    ),
    rollbackBytes: counter(
      "gazette_spool_rollback_bytes_total",
      "Bytes of appends that were rolled back, at each replica.",
    ),
    readBytes: counter("millrace_broker_read_bytes_total", "Bytes given to readers."),
    proxied: counter("millrace_broker_proxied_total", "Calls passed on to other brokers, by operation."),
    replicationSeconds: metrics.histogram(
      "millrace_broker_replication_seconds",
      "Time from a proposal to the answer of the last peer.",
      SECONDS_BUCKETS,
    ),
    unconfirmedBytes: metrics.gauge(
      "millrace_broker_unconfirmed_bytes",
      "Bytes that are synced here and not known to be synced on all other members, when last looked at.",
    ),
    journals: metrics.gauge("millrace_broker_journals", "Journals in the keyspace."),
    replicas: metrics.gauge("millrace_broker_replicas", "Journals that this broker serves."),
    reduced: metrics.gauge(
      "millrace_broker_reduced_journals",
      "Journals acknowledged otherwise than their labels ask.",
    ),
    copyWantedBytes: metrics.gauge(
      "millrace_broker_copy_wanted_bytes",
      "Bytes of journals that this broker joined, which others hold and no store does, and that it has yet to copy.",
    ),
    copiedBytes: counter(
      "millrace_broker_copied_bytes_total",
      "Bytes of journals copied from who held them before.",
    ),
    drainWaits: metrics.gauge(
      "millrace_broker_drain_waits_journals",
      "Journals that a broker which drains waits for, by reason: assigned, held",
    ),
  };
  // There from the start, as Gazette's are: rates miss no first increment, and sums no broker.
  const { commits, commitBytes, rollbacks, rollbackBytes, readBytes } = all;
  for (const each of [commits, commitBytes, rollbacks, rollbackBytes, readBytes]) each.add(0);
  return all;
}

/** Calls with one outcome that were not handed on yet; their labels are one object, so that its text is made once. */
interface Tally {
  count: number;
  readonly labels: Labels;
}

/** Counts calls and their ends; handed on once a turn, because labels are dear and small appends are many. */
export class CallMeter {
  readonly #metrics: BrokerMetrics;
  readonly #clock: Clock;
  readonly #operation: Operation;
  readonly #started: Tally;
  /** By status. */
  readonly #completed = new Map<string, Tally>();
  /** By code. */
  readonly #failed = new Map<string, Tally>();
  #isScheduled = false;
  readonly #handOn = (): void => {
    this.#isScheduled = false;
    give(this.#metrics.started, this.#started);
    for (const tally of this.#completed.values()) give(this.#metrics.completed, tally);
    for (const tally of this.#failed.values()) give(this.#metrics.failed, tally);
  };

  constructor(metrics: BrokerMetrics, clock: Clock, operation: Operation) {
    this.#metrics = metrics;
    this.#clock = clock;
    this.#operation = operation;
    this.#started = { count: 0, labels: { operation } };
  }

  /** @returns when, monotonic ms */
  start(): number {
    this.#started.count++;
    this.#schedule();
    return this.#clock.monotonicMs();
  }

  /** @param end the answer's status, or why there was none */
  end(end: string | WireError): void {
    const operation = this.#operation;
    if (end instanceof WireError) count(this.#failed, end.code, (code) => ({ operation, code }));
    // Gazette's words: dashboards ask for them.
    const status = end instanceof WireError ? "<error>" : end === "OK" ? "ok" : end;
    count(this.#completed, status, () => ({ operation, status }));
    this.#schedule();
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    queueMicrotask(this.#handOn);
  }
}

function count(tallies: Map<string, Tally>, key: string, labelsOf: (key: string) => Labels): void {
  let tally = tallies.get(key);
  if (tally === undefined) tallies.set(key, (tally = { count: 0, labels: labelsOf(key) }));
  tally.count++;
}

function give(counter: Counter, tally: Tally): void {
  if (tally.count > 0) counter.add(tally.count, tally.labels);
  tally.count = 0;
}

/** Counts one call that answers with a status, or fails with a code. */
export async function metered<T extends { readonly status: string }>(
  meter: CallMeter,
  call: () => T | Promise<T>,
): Promise<T> {
  meter.start();
  try {
    const answer = await call();
    meter.end(answer.status);
    return answer;
  } catch (error) {
    meter.end(WireError.from(error));
    throw error;
  }
}
