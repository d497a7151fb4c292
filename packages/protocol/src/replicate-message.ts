// Replicate: a stream from the primary to a replica and back.
import type { Status } from "./enums.ts";
import type { Fragment } from "./fragment.ts";
import type { LabelSet } from "./label-set.ts";
import type { Header } from "./route.ts";

export interface ReplicateRequest {
  readonly header?: Header;
  /** Once the journal's name; now `proposal` has it. */
  readonly deprecatedJournal: string;
  /** The fragment that the replica should have after this message. */
  readonly proposal?: Fragment;
  readonly content?: Uint8Array;
  /** Where `content` begins, relative to the end of the last acknowledged proposal. */
  readonly contentDelta: number;
  readonly acknowledge: boolean;
  readonly registers?: LabelSet;
}

export interface ReplicateResponse {
  readonly status: Status;
  readonly header?: Header;
  readonly fragment?: Fragment;
  readonly registers?: LabelSet;
}
