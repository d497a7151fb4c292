// Metrics of the processes that evaluate, and of what waits for them.
import { SECONDS_BUCKETS, type Metrics } from "@millrace/base";

/** `quick`: for programs that behave. `slow`: for suspects, and what a process was lost with. */
export type LaneName = "quick" | "slow";

/** Why a process ended in whose place another one is started. */
export type EndCause =
  /** By what it evaluated. */
  | "evaluation"
  /** It had been silent for too long. */
  | "silence"
  /** Somebody else's doing, or it could not be made. */
  | "other";

/** Why a program on a record has no value. */
export type FailureReason =
  /** Its own error. */
  | "program"
  /** It exceeded its steps. */
  | "steps"
  /** It ended its process: by time of a processor, or by memory. */
  | "process"
  /** Its value is longer than any row. */
  | "large"
  /** It wanted to look into a body that cannot be looked into. */
  | "unreadable"
  /** Too much waits. */
  | "overfull"
  /** There is no process, or they are being closed. */
  | "unavailable"
  /** Nobody waits for it any more. */
  | "unwanted";

export type EvaluatorMetrics = ReturnType<typeof evaluatorMetrics>;

export function evaluatorMetrics(metrics: Metrics) {
  const all = {
    processes: metrics.gauge(
      "millrace_jsonata_processes",
      "Processes that evaluate, and those that are about to be ready, by lane.",
    ),
    restarts: metrics.counter(
      "millrace_jsonata_restarts_total",
      "Processes started in the place of one that had ended, by lane and by the cause of that end.",
    ),
    evaluations: metrics.counter(
      "millrace_jsonata_evaluations_total",
      "Programs on records that were asked for and are over, failed ones too.",
    ),
    failures: metrics.counter(
      "millrace_jsonata_failures_total",
      "Of these, those without a value, by reason.",
    ),
    seconds: metrics.histogram(
      "millrace_jsonata_seconds",
      "From asking for the programs of a record, or of a step of a batch, until all of them are over.",
      SECONDS_BUCKETS,
    ),
    waiting: metrics.gauge(
      "millrace_jsonata_waiting_evaluations",
      "Programs on records that wait for a process or for its answer.",
    ),
    waitingBytes: metrics.gauge(
      "millrace_jsonata_waiting_bytes",
      "Bytes of records that wait, and of results that wait for others of their records.",
    ),
  };
  // There from the start: rates miss no first increment.
  all.evaluations.add(0);
  for (const gauge of [all.waiting, all.waitingBytes]) gauge.set(0);
  for (const lane of ["quick", "slow"] satisfies LaneName[]) all.processes.set(0, { lane });
  return all;
}
