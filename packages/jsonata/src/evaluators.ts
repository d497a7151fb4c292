// Evaluates programs in processes of their own, so that whatever a program does, it does it there: a thread of this
// process would take it along when a list grows beyond its heap.
//
// E1 Programs that behave share the quick lanes. What a process that ended there had been asked is asked again in the
//    slow lane, one task at a time: the one that ends its process again has failed, and its program is a suspect.
// E2 A suspect is evaluated in the slow lane for a minute, one record at a time, its source taking turns with others:
//    it delays those who behave once, by the time that it takes to end a process and to start another.
// E3 What waits is bounded in bytes, of all sources and of each.
import { WireError, type Clock, type Logger, type Metrics } from "@millrace/base";
import type { EvaluationJob, ProgramEvaluator, ProgramResult, RecordInput } from "./evaluator.ts";
import { EvaluatorLane, type Ending, type LaunchEvaluator, type Task } from "./evaluator-lane.ts";
import { evaluatorMetrics, type EvaluatorMetrics, type FailureReason } from "./evaluator-metrics.ts";
import {
  EVALUATION_LIMITS,
  QUESTION_TASKS_MAX,
  QUESTIONS_MAX,
  SUSPECT_MS,
  SUSPECT_PAUSE_MS,
  SUSPECTS_MAX,
  TASK_BYTES,
  TURN_TASKS_MAX,
  WAITING_BYTES_MAX,
  WAITING_BYTES_OF_SOURCE_MAX,
} from "./limits.ts";
import { decodeResult, isExceeded } from "./messages.ts";

export interface EvaluatorPorts {
  readonly launch: LaunchEvaluator;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

export interface WaitingBounds {
  readonly bytes: number;
  readonly bytesOfSource: number;
}

const WAITING: WaitingBounds = { bytes: WAITING_BYTES_MAX, bytesOfSource: WAITING_BYTES_OF_SOURCE_MAX };
const OVERFULL: ProgramResult = {
  kind: "unavailable",
  reason: "too many records wait for their templates",
};
const { cpuMs, heapMb } = EVALUATION_LIMITS;
const ENDED: ProgramResult = {
  kind: "failed",
  reason: `ended after ${cpuMs} ms of a processor, or more than ${heapMb} MiB of memory`,
};
/** @param reason without a value */
type Settle = (result: ProgramResult, reason: FailureReason | undefined) => void;

/** One object for each: the labels of a counter that is counted for each record. */
const FAILED: Readonly<Record<FailureReason, { readonly reason: FailureReason }>> = {
  program: { reason: "program" },
  steps: { reason: "steps" },
  process: { reason: "process" },
  large: { reason: "large" },
  unreadable: { reason: "unreadable" },
  overfull: { reason: "overfull" },
  unavailable: { reason: "unavailable" },
  unwanted: { reason: "unwanted" },
};
/** Processes that others have ended under a task. */
const LOSSES_MAX = 3;

export class Evaluators implements ProgramEvaluator {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #metrics: EvaluatorMetrics;
  readonly #bounds: WaitingBounds;
  readonly #quick: readonly EvaluatorLane[];
  readonly #slow: EvaluatorLane;
  /** Programs, and until when they are kept apart; the oldest first. */
  readonly #suspects = new Map<string, number>();
  #bytes = 0;
  readonly #bytesOf = new Map<string, number>();

  /** @param processes for programs that behave, 1 or more; there is one more for others. They start when needed. */
  constructor(ports: EvaluatorPorts, processes: number, bounds = WAITING) {
    const { launch, clock, logger } = ports;
    this.#clock = clock;
    this.#logger = logger;
    this.#metrics = evaluatorMetrics(ports.metrics);
    this.#bounds = bounds;
    const lanePorts = { launch, clock, metrics: this.#metrics };
    this.#quick = Array.from({ length: processes }, () => {
      return new EvaluatorLane(lanePorts, {
        name: "quick",
        tasksMax: QUESTION_TASKS_MAX,
        turnTasksMax: TURN_TASKS_MAX,
        questionsMax: QUESTIONS_MAX,
        onLost: (tasks, ending) => {
          this.#logger.warn("evaluator-ended", { lane: "quick", tasks: tasks.length, ending: ending.text });
          this.#slow.add(tasks, true); // E1
          return 0;
        },
      });
    });
    this.#slow = new EvaluatorLane(lanePorts, {
      name: "slow",
      tasksMax: 1,
      turnTasksMax: 1,
      questionsMax: 1,
      onLost: (tasks, ending) => this.#onFailed(tasks, ending),
    });
  }

  evaluate(job: EvaluationJob): Promise<readonly (readonly ProgramResult[])[]> {
    const { source, programs, records } = job;
    if (records.length * programs.length === 0) return Promise.resolve(records.map(() => []));
    const bytes = records.reduce((sum, record) => sum + bytesOf(record, programs.length), 0);
    const count = records.length * programs.length;
    if (!this.#hasRoomFor(source, bytes)) {
      this.#metrics.evaluations.add(count);
      this.#metrics.failures.add(count, FAILED.overfull);
      return Promise.resolve(records.map(() => programs.map(() => OVERFULL)));
    }
    this.#hold(source, bytes);
    this.#metrics.waiting.add(count);
    const beganMs = this.#clock.monotonicMs();
    return new Promise((resolve) => {
      const results = records.map((): ProgramResult[] => []);
      let missing = count;
      let held = bytes;
      const tasks: Task[] = [];
      for (const [i, record] of records.entries()) {
        for (const [j, program] of programs.entries()) {
          const settle: Settle = (result, reason) => {
            const size = result.kind === "value" ? result.json.length : 0;
            const hasRoom = this.#hasRoomFor(source, size);
            results[i]![j] = hasRoom ? result : OVERFULL;
            this.#note(hasRoom ? reason : "overfull");
            if (hasRoom) {
              held += size;
              this.#hold(source, size);
            }
            if (--missing > 0) return;
            this.#hold(source, -held);
            this.#metrics.seconds.observe((this.#clock.monotonicMs() - beganMs) / 1000);
            resolve(results);
          };
          tasks.push(this.#task(job, program, record, settle));
        }
      }
      this.#add(tasks);
    });
  }

  async check(program: string): Promise<string | undefined> {
    const job = { source: "", steps: 0, isOver: () => false };
    const result = await new Promise<ProgramResult>((settle) => {
      this.#add([this.#task(job, program, undefined, settle)]);
    });
    if (result.kind === "unavailable") throw new WireError("UNAVAILABLE", result.reason);
    return result.kind === "failed" ? result.reason : undefined;
  }

  /** Ends the processes; what waits is not evaluated. */
  async close(): Promise<void> {
    await Promise.all([...this.#quick, this.#slow].map((lane) => lane.close()));
  }

  #task(
    { source, steps, isOver }: Pick<EvaluationJob, "source" | "steps" | "isOver">,
    program: string,
    record: RecordInput | undefined,
    settle: Settle,
  ): Task {
    return {
      source,
      program,
      record,
      steps,
      bytes: bytesOf(record, 1),
      isOver,
      losses: 0,
      settle: (text) => {
        const hasExceeded = isExceeded(text);
        if (hasExceeded) this.#suspect(program);
        const result = decodeResult(text);
        settle(result, hasExceeded ? "steps" : reasonOf(result));
      },
      giveUp: settle,
    };
  }

  #add(tasks: readonly Task[]): void {
    const quick: Task[] = [];
    const slow: Task[] = [];
    for (const task of tasks) (this.#isSuspect(task.program) ? slow : quick).push(task);
    if (quick.length > 0) this.#quick[laneOf(quick[0]!.source, this.#quick.length)]!.add(quick);
    if (slow.length > 0) this.#slow.add(slow);
  }

  /** E1 */
  #onFailed(tasks: readonly Task[], { text, isOwn }: Ending): number {
    let pauseMs = 0;
    for (const task of tasks) {
      this.#logger.warn("evaluator-ended", { lane: "slow", source: task.source, ending: text });
      if (!isOwn && ++task.losses < LOSSES_MAX) {
        this.#slow.add([task], true);
        continue;
      }
      if (this.#isSuspect(task.program)) pauseMs = SUSPECT_PAUSE_MS;
      this.#suspect(task.program);
      task.giveUp(ENDED, "process");
    }
    return pauseMs;
  }

  #isSuspect(program: string): boolean {
    const until = this.#suspects.get(program);
    if (until === undefined) return false;
    if (until > this.#clock.monotonicMs()) return true;
    this.#suspects.delete(program);
    return false;
  }

  #suspect(program: string): void {
    this.#suspects.delete(program);
    this.#suspects.set(program, this.#clock.monotonicMs() + SUSPECT_MS);
    if (this.#suspects.size <= SUSPECTS_MAX) return;
    for (const oldest of this.#suspects.keys()) {
      this.#suspects.delete(oldest);
      return;
    }
  }

  #hasRoomFor(source: string, bytes: number): boolean {
    const ofSource = this.#bytesOf.get(source) ?? 0;
    // Alone, any job may wait.
    if (ofSource > 0 && ofSource + bytes > this.#bounds.bytesOfSource) return false;
    return this.#bytes === 0 || this.#bytes + bytes <= this.#bounds.bytes;
  }

  /** One is over. */
  #note(reason: FailureReason | undefined): void {
    this.#metrics.waiting.add(-1);
    this.#metrics.evaluations.add();
    if (reason !== undefined) this.#metrics.failures.add(1, FAILED[reason]);
  }

  #hold(source: string, bytes: number): void {
    this.#bytes += bytes;
    this.#metrics.waitingBytes.set(this.#bytes);
    const ofSource = (this.#bytesOf.get(source) ?? 0) + bytes;
    if (ofSource === 0) this.#bytesOf.delete(source);
    else this.#bytesOf.set(source, ofSource);
  }
}

/** Of a result that a process has given. */
function reasonOf({ kind }: ProgramResult): FailureReason | undefined {
  if (kind === "value" || kind === "nothing") return undefined;
  return kind === "failed" ? "program" : kind;
}

function bytesOf(record: RecordInput | undefined, tasks: number): number {
  const { body = "", bodyText = "", headerText = "" } = record ?? {};
  return body.length + bodyText.length + headerText.length + tasks * TASK_BYTES;
}

/** A source has one of the lanes. */
function laneOf(source: string, lanes: number): number {
  let hash = 0;
  for (let i = 0; i < source.length; i++) hash = (Math.imul(hash, 31) + source.charCodeAt(i)) >>> 0;
  return hash % lanes;
}
