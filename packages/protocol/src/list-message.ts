// List: journals that match a selector, once or watched.
import type { Status } from "./enums.ts";
import type { JournalSpec } from "./journal-spec.ts";
import type { LabelSelector } from "./label-selector.ts";
import type { Header, Route } from "./route.ts";

export interface ListRequest {
  readonly selector: LabelSelector;
  readonly watch: boolean;
  /** Header of the last listing seen: the next one is sent when something changed since. */
  readonly watchResume?: Header;
}

export interface ListedJournal {
  readonly spec: JournalSpec;
  readonly modRevision: number;
  readonly route: Route;
  readonly createRevision: number;
}

export interface ListResponse {
  readonly status: Status;
  readonly header: Header;
  readonly journals: readonly ListedJournal[];
}
