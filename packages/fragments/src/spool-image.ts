// What is known of a journal's local bytes at one place of the log: the content of a checkpoint (D1), and the state
// that replay brings forward.
import type { RegisterMark } from "./spool-registers.ts";

/**
 * What says that a coordination store is the one whose journals have their bytes here: something that was written into
 * it, and when. A store that has the token knows of every journal that was made up to that revision.
 */
export interface StoreMark {
  readonly clusterId: bigint;
  /** Of the write of `token`. */
  readonly revision: number;
  /** Drawn anew for each write: another store, or this one as it was before, does not have it. */
  readonly token: bigint;
}

/** A closed fragment. */
export interface FragmentImage {
  readonly begin: number;
  readonly end: number;
  /** SHA-1, 40 hex digits; "" when it has to be computed from the bytes. */
  readonly sum: string;
  readonly firstAppendMs: number;
}

export interface JournalImage {
  readonly journal: string;
  readonly createRevision: number;
  readonly epoch: number;
  /** The open fragment; it may be empty. Its end is the journal's head as far as this disk knows. */
  readonly begin: number;
  readonly end: number;
  /** SHA-1 of [begin, sumEnd) of the open fragment, "" when not known. Recovery checks what it reads against it. */
  readonly sum: string;
  readonly sumEnd: number;
  /** Unix ms of the open fragment's first append; 0 while it is empty. */
  readonly firstAppendMs: number;
  /** Of its registers: ascending, at least one. */
  readonly marks: readonly RegisterMark[];
  /** Closed fragments that were not released, ascending. */
  readonly fragments: readonly FragmentImage[];
}
