// One process that evaluates, and what waits for it. Pure but for its ports: which task is asked next, and what becomes
// of those that a process took with it.
//
// L1 Sources take turns, so that one with many records, or slow programs, delays the others by a turn at most.
// L2 A process that ends has not answered some tasks. Whoever has the lane decides about them: none is asked again
//    here.
// L3 A process that is silent for long is ended, also one that is not ready after that time.
// L4 The process is started when there is something to do. One that ends before it is ready fails all that waits.
import type { Clock } from "@millrace/base";
import type { ProgramResult, RecordInput } from "./evaluator.ts";
import type { EndCause, EvaluatorMetrics, FailureReason, LaneName } from "./evaluator-metrics.ts";
import { QUESTION_BYTES_MAX, SILENCE_MS_MAX } from "./limits.ts";
import type { Answer, Question } from "./messages.ts";

/** A program on a record. */
export interface Task {
  readonly source: string;
  readonly program: string;
  /** Undefined: the program is only compiled. */
  readonly record: RecordInput | undefined;
  readonly steps: number;
  readonly bytes: number;
  readonly isOver: () => boolean;
  /** Processes that it was lost with in the slow lane. */
  losses: number;
  /** @param result as in messages.ts */
  readonly settle: (result: string) => void;
  /** It has no result of a process. */
  readonly giveUp: (result: ProgramResult, reason: FailureReason) => void;
}

export interface ProcessEvents {
  readonly onReady: () => void;
  readonly onAnswer: (answer: Answer) => void;
  /** Once, also of a process that could not be made. */
  readonly onEnd: (ending: Ending) => void;
}

/** How a process ended. */
export interface Ending {
  readonly text: string;
  /** By what it evaluated; otherwise somebody else may have ended it. */
  readonly isOwn: boolean;
}

export interface EvaluatorProcess {
  ask(question: Question): void;
  /** Ends it; onEnd follows. */
  end(): void;
}

export type LaunchEvaluator = (events: ProcessEvents) => EvaluatorProcess;

export interface LaneOptions {
  readonly name: LaneName;
  /** Tasks of a question. */
  readonly tasksMax: number;
  /** Tasks that a source has in a question before it is another's turn. */
  readonly turnTasksMax: number;
  /** Questions under way. */
  readonly questionsMax: number;
  /** @returns milliseconds before the next process is started */
  readonly onLost: (tasks: readonly Task[], ending: Ending) => number;
}

const CLOSED: ProgramResult = { kind: "unavailable", reason: "templates are not evaluated any more" };
const NOT_WANTED: ProgramResult = { kind: "unavailable", reason: "nobody waits for it any more" };

export interface LanePorts {
  readonly launch: LaunchEvaluator;
  readonly clock: Clock;
  readonly metrics: EvaluatorMetrics;
}

export class EvaluatorLane {
  readonly #launch: LaunchEvaluator;
  readonly #clock: Clock;
  readonly #metrics: EvaluatorMetrics;
  readonly #options: LaneOptions;
  /** Asked before all others. */
  #urgent: Task[] = [];
  /** By source, the one whose turn it is first. */
  readonly #waiting = new Map<string, Task[]>();
  readonly #asked = new Map<number, readonly Task[]>();
  #process: EvaluatorProcess | undefined;
  #isReady = false;
  /** Of the process before this one. */
  #lastEnd: EndCause | undefined;
  #isSilent = false;
  #cancelPause: (() => void) | undefined;
  #cancelSilence: (() => void) | undefined;
  #nextId = 1;
  #onClosed: (() => void) | undefined;
  #isClosed = false;

  constructor(ports: LanePorts, options: LaneOptions) {
    this.#launch = ports.launch;
    this.#clock = ports.clock;
    this.#metrics = ports.metrics;
    this.#options = options;
  }

  /** @param isUrgent before all that wait */
  add(tasks: readonly Task[], isUrgent = false): void {
    if (this.#isClosed) {
      for (const task of tasks) task.giveUp(CLOSED, "unavailable");
      return;
    }
    if (isUrgent) this.#urgent = [...this.#urgent, ...tasks];
    else {
      for (const task of tasks) {
        const queue = this.#waiting.get(task.source);
        if (queue === undefined) this.#waiting.set(task.source, [task]);
        else queue.push(task);
      }
    }
    this.#askNext();
  }

  /** Gives up what waits, and resolves when the process has ended. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#cancelPause?.();
    this.#cancelPause = undefined;
    this.#giveUpAll(CLOSED);
    const process = this.#process;
    if (process === undefined) return;
    const closed = new Promise<void>((resolve) => (this.#onClosed = resolve));
    process.end();
    await closed;
  }

  #askNext(): void {
    if (this.#cancelPause !== undefined) return;
    const { questionsMax } = this.#options;
    while (this.#asked.size < questionsMax) {
      // A process that is about to be ready can be asked only then: what comes meanwhile goes into the same question.
      if (this.#process !== undefined && !this.#isReady) return;
      if (this.#process === undefined && this.#hasWaiting) return this.#start();
      const tasks = this.#take();
      if (tasks.length === 0) return;
      const id = this.#nextId++;
      this.#asked.set(id, tasks);
      const sent = tasks.map(({ program, record, steps }) => ({ program, record, steps }));
      this.#process!.ask({ id, tasks: sent });
      if (this.#asked.size === 1) this.#listen();
    }
  }

  get #hasWaiting(): boolean {
    return this.#urgent.length > 0 || this.#waiting.size > 0;
  }

  /** L3 */
  #listen(): void {
    this.#cancelSilence?.();
    this.#cancelSilence = this.#clock.after(SILENCE_MS_MAX, () => {
      this.#isSilent = true;
      this.#process?.end();
    });
  }

  #hear(): void {
    this.#cancelSilence?.();
    this.#cancelSilence = undefined;
  }

  #start(): void {
    this.#isReady = false;
    this.#isSilent = false;
    const { name: lane } = this.#options;
    this.#metrics.processes.add(1, { lane });
    if (this.#lastEnd !== undefined) this.#metrics.restarts.add(1, { lane, cause: this.#lastEnd });
    let isOver = false;
    this.#listen();
    this.#process = this.#launch({
      onReady: () => {
        this.#isReady = true;
        this.#hear();
        this.#askNext();
      },
      onAnswer: (answer) => this.#onAnswer(answer),
      onEnd: (ending) => {
        if (isOver) return;
        isOver = true;
        this.#onEnd(ending);
      },
    });
  }

  /** L1 */
  #take(): Task[] {
    const { tasksMax, turnTasksMax } = this.#options;
    const taken: Task[] = [];
    let bytes = 0;
    const isFull = (): boolean => taken.length >= tasksMax || bytes >= QUESTION_BYTES_MAX;
    const take = (queue: Task[], max: number): number => {
      let count = 0;
      let of = 0;
      while (count < queue.length && of < max && !isFull()) {
        const task = queue[count++]!;
        if (task.isOver()) {
          task.giveUp(NOT_WANTED, "unwanted");
          continue;
        }
        taken.push(task);
        bytes += task.bytes;
        of++;
      }
      return count;
    };
    this.#urgent = this.#urgent.slice(take(this.#urgent, tasksMax));
    while (this.#waiting.size > 0 && !isFull()) {
      const [source, queue] = this.#waiting.entries().next().value!;
      const rest = queue.slice(take(queue, turnTasksMax));
      this.#waiting.delete(source);
      if (rest.length > 0) this.#waiting.set(source, rest);
    }
    return taken;
  }

  #onAnswer({ id, results }: Answer): void {
    const tasks = this.#asked.get(id);
    if (tasks === undefined) return;
    this.#asked.delete(id);
    if (this.#asked.size === 0) this.#hear();
    else this.#listen();
    for (let i = 0; i < results.length; i++) tasks[i]!.settle(results[i]!);
    if (results.length < tasks.length) this.add(tasks.slice(results.length));
    else this.#askNext();
  }

  #onEnd(ending: Ending): void {
    const wasReady = this.#isReady;
    this.#metrics.processes.add(-1, { lane: this.#options.name });
    this.#lastEnd = ending.isOwn ? "evaluation" : this.#isSilent ? "silence" : "other";
    this.#process = undefined;
    this.#isReady = false;
    this.#hear();
    const lost = [...this.#asked.values()].flat();
    this.#asked.clear();
    if (this.#isClosed) {
      for (const task of lost) task.giveUp(CLOSED, "unavailable");
      this.#onClosed?.();
      return;
    }
    if (!wasReady) {
      this.#giveUpAll({ kind: "unavailable", reason: `no process for templates: ${ending.text}` }); // L4
      return;
    }
    const pauseMs = this.#options.onLost(lost, ending); // L2
    if (pauseMs === 0) return this.#askNext();
    this.#cancelPause = this.#clock.after(pauseMs, () => {
      this.#cancelPause = undefined;
      this.#askNext();
    });
  }

  #giveUpAll(result: ProgramResult): void {
    const all = [...this.#urgent, ...[...this.#waiting.values()].flat()];
    this.#urgent = [];
    this.#waiting.clear();
    for (const task of all) task.giveUp(result, "unavailable");
  }
}
