// List: journals that match a selector, once or watched.
//
//   ListRequest    1 selector LabelSelector (always) · 4 watch bool · 5 watch_resume Header
//   ListResponse   1 status enum · 2 header Header (always) · 3 journals repeated ListedJournal
//   ListedJournal  1 spec JournalSpec (always) · 2 mod_revision int64 · 3 route Route (always) ·
//                  4 create_revision int64 · 1000 acknowledgement Acknowledgement
//   Acknowledgement 1 level string · 2 min_replicas int64 · 3 is_reduced bool
//
// The acknowledgement is Millrace's: there when it is not the default, `synced` on all replicas.
import {
  bool,
  builder,
  codecs,
  int64,
  invalid,
  jsonCodecs,
  message,
  nested,
  extension,
  optional,
  repeated,
  string,
  textOf,
  within,
  withinEach,
} from "@millrace/protobuf";
import type { Status } from "./enums.ts";
import { journalSpecMessage, validateJournalSpec, type JournalSpec } from "./journal-spec.ts";
import { labelSelectorMessage, validateLabelSelector, type LabelSelector } from "./label-selector.ts";
import { valuesOf } from "./label-set.ts";
import {
  headerMessage,
  routeMessage,
  validateHeader,
  validateRoute,
  type Header,
  type Route,
} from "./route.ts";
import { statusField, validateStatus } from "./status.ts";

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
  readonly acknowledgement?: ListedAcknowledgement;
}

/** What an append of the journal waits for now. */
export interface ListedAcknowledgement {
  /** `synced` or `replicated`. */
  readonly level: string;
  readonly minReplicas: number;
  /** The journal's labels ask for more than the cluster can give now. */
  readonly isReduced: boolean;
}

export interface ListResponse {
  readonly status: Status;
  readonly header: Header;
  readonly journals: readonly ListedJournal[];
}

const listRequestMessage = message<ListRequest>({
  selector: nested(1, labelSelectorMessage),
  watch: bool(4),
  watchResume: optional(5, headerMessage),
});

const acknowledgementMessage = message<ListedAcknowledgement>({
  level: string(1),
  minReplicas: int64(2),
  isReduced: bool(3),
});

const listedJournalMessage = message<ListedJournal>({
  spec: nested(1, journalSpecMessage),
  modRevision: int64(2),
  route: nested(3, routeMessage),
  createRevision: int64(4),
  acknowledgement: extension(1000, acknowledgementMessage),
});

const listResponseMessage = message<ListResponse>({
  status: statusField(1),
  header: nested(2, headerMessage),
  journals: repeated(3, listedJournalMessage),
});

export const { encode: encodeListRequest, decode: decodeListRequest } = codecs(listRequestMessage);
export const { toJson: listRequestToJson, fromJson: listRequestFromJson } = jsonCodecs(listRequestMessage);
export const newListRequest = builder(listRequestMessage);

export const { encode: encodeListResponse, decode: decodeListResponse } = codecs(listResponseMessage);
export const { toJson: listResponseToJson, fromJson: listResponseFromJson } = jsonCodecs(listResponseMessage);
export const newListResponse = builder(listResponseMessage);

/** Prototext of a listing over many lines, as tools print it. */
export function listResponseToText(response: ListResponse): string {
  return textOf(listResponseMessage, response, "multiline");
}

/** @throws {ValidationError} */
export function validateListRequest(request: ListRequest): void {
  const { selector } = request;
  within("Selector", () => validateLabelSelector(selector));
  for (const [side, set] of [
    ["Include", selector.include],
    ["Exclude", selector.exclude],
  ] as const) {
    const open = valuesOf(set, "prefix").find((value) => !value.endsWith("/"));
    if (open !== undefined) invalid(`Selector.${side}.Labels["prefix"]: expected trailing '/' (${open})`);
  }
}

/** @throws {ValidationError} */
export function validateListResponse(response: ListResponse): void {
  within("Status", () => validateStatus(response.status));
  within("Header", () => validateHeader(response.header));
  withinEach("Journals", response.journals, validateListedJournal);
}

function validateListedJournal(journal: ListedJournal): void {
  within("Spec", () => validateJournalSpec(journal.spec, "stored"));
  if (journal.modRevision <= 0) invalid(`invalid ModRevision (${journal.modRevision}; expected > 0)`);
  within("Route", () => validateRoute(journal.route));
}
