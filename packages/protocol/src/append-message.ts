// Append: a preamble, content chunks, an empty message that commits; one response.
import type { AppendSuspend, Status } from "./enums.ts";
import type { Fragment } from "./fragment.ts";
import type { LabelSelector } from "./label-selector.ts";
import type { LabelSet } from "./label-set.ts";
import type { Header } from "./route.ts";

/** The first message of an append. */
export interface AppendPreamble {
  readonly header?: Header;
  /** May carry a `;meta` suffix. */
  readonly journal: string;
  readonly doNotProxy: boolean;
  /** Expected write head; 0 = whatever it is. */
  readonly offset: number;
  readonly checkRegisters?: LabelSelector;
  readonly unionRegisters?: LabelSet;
  readonly subtractRegisters?: LabelSet;
  readonly suspend: AppendSuspend;
  readonly minEtcdRevision: number;
}

/** One message of the stream: a preamble when `journal` is set, else a chunk (the commit when it has no content). */
export interface AppendRequest extends AppendPreamble {
  readonly content?: Uint8Array;
}

export interface AppendResponse {
  readonly status: Status;
  readonly header: Header;
  /** Span and sum of this append's own bytes. */
  readonly commit?: Fragment;
  readonly registers?: LabelSet;
  readonly totalChunks: number;
  readonly delayedChunks: number;
  readonly storeHealthError: string;
}
