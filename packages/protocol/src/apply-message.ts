// Apply: changes of journal specs in one transaction.
import type { Status } from "./enums.ts";
import type { JournalSpec } from "./journal-spec.ts";
import type { Header } from "./route.ts";

/** Exactly one of `upsert` and `delete` is set. */
export interface ApplyChange {
  /** Modification revision that the spec must have; 0 = must not exist, -1 = whatever it is. */
  readonly expectModRevision: number;
  readonly upsert?: JournalSpec;
  /** Name of the journal to delete, or "". */
  readonly delete: string;
}

export interface ApplyRequest {
  readonly changes: readonly ApplyChange[];
}

export interface ApplyResponse {
  readonly status: Status;
  readonly header: Header;
}
