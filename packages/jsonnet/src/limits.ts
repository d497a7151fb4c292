// What a program and one evaluation of it may use. Evaluations run on the event loop that serves requests, so the
// defaults are what a template for one record may take, not what a configuration generator would want.

/** Bounds of one evaluation. */
export interface Limits {
  /** Calls, thunks, fields, and elements that library functions look at: about 20 to 50 ns each. */
  readonly steps: number;
  /** Calls, thunks and fields within each other; LOAD_MAX bounds them too. */
  readonly stack: number;
  /** Bytes of strings, arrays and objects made in all, also of those that are garbage already. */
  readonly bytes: number;
}

/** Steps that several evaluations have together. */
export interface StepBudget {
  /** 0 or more. */
  readonly left: number;
  /** An evaluation has taken so many, which may be more than were left; what it has made counts too. */
  take(steps: number): void;
}

/** Bytes made that count as a step of a budget, as a power of two. */
export const BYTES_A_STEP_BITS = 8;

export const LIMITS_DEFAULT: Limits = { steps: 250_000, stack: 500, bytes: 16 * 1024 * 1024 };

/** Characters of one source. */
export const SOURCE_CHARS_MAX = 1024 * 1024;

/** Expressions within each other: they are compiled and run by functions that call each other. */
export const NESTING_MAX = 400;

/** Files that one program may import. */
export const IMPORTS_MAX = 1000;

/**
 * Expressions within each other while a program runs. Each takes 100 to 200 bytes of the thread's stack, of which there
 * are 984 KB: V8 aborts the process when it has to compile a regular expression at the end of it.
 */
export const LOAD_MAX = 3500;
