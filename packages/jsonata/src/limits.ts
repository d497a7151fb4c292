// What a program may use on one record, and what may wait for the processes that evaluate.

/** Bounds of one evaluation. The first three give an error of the program; beyond the others its process ends. */
export const EVALUATION_LIMITS = {
  /** Expressions that are evaluated: some 2 us each. */
  steps: 50_000,
  /** Expressions within each other. */
  stack: 500,
  /** Items of one list. */
  sequence: 100_000,
  /** Milliseconds of the processor, of which a step may take any part: a regular expression, a library function. */
  cpuMs: 500,
  /** MiB of the heap, and of the whole process. */
  heapMb: 128,
  residentMb: 512,
} as const;

/** A result that is longer than any row: its text is not handed on. */
export const RESULT_CHARS_MAX = 2 * 1024 * 1024;

/** Texts of errors: a program may say anything. */
export const REASON_CHARS_MAX = 4096;

/** Compiled programs that a process keeps. */
export const PROGRAMS_KEPT_MAX = 1000;

/** Of one question to a process: it is answered in some milliseconds, however many others wait. */
export const QUESTION_TASKS_MAX = 256;
export const QUESTION_BYTES_MAX = 512 * 1024;
/** Tasks that a source has in a question while others wait. */
export const TURN_TASKS_MAX = 32;
/** A process that has evaluated for so long answers with what it has. */
export const ANSWER_MS_MAX = 50;
/** A process that has not answered for so long is ended: it was stopped, or hangs outside of a program. */
export const SILENCE_MS_MAX = 10_000;
/** Questions under way, so that a process does not wait for the next one. */
export const QUESTIONS_MAX = 2;

/** Characters of the results in an answer. */
export const ANSWER_CHARS_MAX = 4 * 1024 * 1024;

/** What waits to be evaluated, and results that wait for others: of all sources, and of one. Beyond it: 503. */
export const WAITING_BYTES_MAX = 256 * 1024 * 1024;
export const WAITING_BYTES_OF_SOURCE_MAX = 64 * 1024 * 1024;

/** Bytes of memory that a task takes besides its record. */
export const TASK_BYTES = 256;

/** A program that exceeded a bound is kept apart from the others for so long. */
export const SUSPECT_MS = 60_000;
/** Programs that are kept apart at the same time; beyond it the oldest are given another chance. */
export const SUSPECTS_MAX = 10_000;
/** Before a process that such a program has ended is started again: they shall not take a processor for themselves. */
export const SUSPECT_PAUSE_MS = 500;
