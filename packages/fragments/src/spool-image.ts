// What is known of a journal's local bytes at one place of the log: the content of a checkpoint (D1), and the state
// that replay brings forward.
import type { LabelSet } from "@millrace/protocol";

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
  readonly registers: LabelSet;
  /** Closed fragments that were not released, ascending. */
  readonly fragments: readonly FragmentImage[];
}
