// ListFragments: the fragments of one journal, page by page.
//
//   FragmentsRequest   1 header Header · 2 journal string · 3 begin_mod_time int64 · 4 end_mod_time int64 ·
//                      5 next_page_token int64 · 6 page_limit int32 · 7 signatureTTL Duration · 8 do_not_proxy bool
//   FragmentsResponse  1 status enum · 2 header Header (always) · 3 fragments repeated ListedFragment ·
//                      4 next_page_token int64
//   ListedFragment     1 spec Fragment (always) · 2 signed_url string
import {
  bool,
  builder,
  codecs,
  int32,
  int64,
  invalid,
  jsonCodecs,
  message,
  named,
  nested,
  optional,
  repeated,
  string,
  textOf,
  within,
  withinEach,
} from "@millrace/protobuf";
import { durationMessage, printDuration } from "./duration.ts";
import type { Status } from "./enums.ts";
import { fragmentMessage, validateFragment, type Fragment } from "./fragment.ts";
import { parseUrl } from "./go-url.ts";
import { validateJournalName } from "./journal-name.ts";
import { PAGE_LIMIT_MAX } from "./limits.ts";
import { headerMessage, validateHeader, type Header } from "./route.ts";
import { statusField, validateStatus } from "./status.ts";

export interface FragmentsRequest {
  readonly header?: Header;
  /** May carry a `;meta` suffix. */
  readonly journal: string;
  /** Unix seconds. */
  readonly beginModTime: number;
  /** Unix seconds; 0 = no bound. */
  readonly endModTime: number;
  readonly nextPageToken: number;
  /** 0 = the server's default. */
  readonly pageLimit: number;
  /** Present: sign a URL for each fragment, valid this long. */
  readonly signatureTtlMs?: number;
  readonly doNotProxy: boolean;
}

export interface ListedFragment {
  readonly spec: Fragment;
  /** "" when none was asked for. */
  readonly signedUrl: string;
}

export interface FragmentsResponse {
  readonly status: Status;
  readonly header: Header;
  readonly fragments: readonly ListedFragment[];
  /** 0 = this was the last page. */
  readonly nextPageToken: number;
}

const fragmentsRequestMessage = message<FragmentsRequest>({
  header: optional(1, headerMessage),
  journal: string(2),
  beginModTime: int64(3, "saturate"),
  endModTime: int64(4, "saturate"),
  nextPageToken: int64(5),
  pageLimit: int32(6),
  signatureTtlMs: named("signatureTTL", optional(7, durationMessage)),
  doNotProxy: bool(8),
});

const listedFragmentMessage = message<ListedFragment>({
  spec: nested(1, fragmentMessage),
  signedUrl: string(2),
});

const fragmentsResponseMessage = message<FragmentsResponse>({
  status: statusField(1),
  header: nested(2, headerMessage),
  fragments: repeated(3, listedFragmentMessage),
  nextPageToken: int64(4),
});

export const { encode: encodeFragmentsRequest, decode: decodeFragmentsRequest } =
  codecs(fragmentsRequestMessage);
export const { toJson: fragmentsRequestToJson, fromJson: fragmentsRequestFromJson } =
  jsonCodecs(fragmentsRequestMessage);
export const newFragmentsRequest = builder(fragmentsRequestMessage);

export const { encode: encodeFragmentsResponse, decode: decodeFragmentsResponse } =
  codecs(fragmentsResponseMessage);
export const { toJson: fragmentsResponseToJson, fromJson: fragmentsResponseFromJson } =
  jsonCodecs(fragmentsResponseMessage);
export const newFragmentsResponse = builder(fragmentsResponseMessage);

/** Prototext of a page over many lines, as tools print it. */
export function fragmentsResponseToText(response: FragmentsResponse): string {
  return textOf(fragmentsResponseMessage, response, "multiline");
}

/** @throws {ValidationError} */
export function validateFragmentsRequest(request: FragmentsRequest): void {
  const { header, beginModTime, endModTime, nextPageToken, pageLimit, signatureTtlMs } = request;
  if (header !== undefined) within("Header", () => validateHeader(header));
  within("Journal", () => validateJournalName(request.journal));
  if (endModTime !== 0 && endModTime < beginModTime) {
    invalid(`invalid EndModTime (${endModTime} must be after ${beginModTime})`);
  }
  if (nextPageToken < 0) invalid(`invalid NextPageToken (${nextPageToken}; must be >= 0)`);
  if (pageLimit < 0 || pageLimit > PAGE_LIMIT_MAX) {
    invalid(`invalid PageLimit (${pageLimit}; must be >= 0 and <= ${PAGE_LIMIT_MAX})`);
  }
  if (signatureTtlMs !== undefined && signatureTtlMs <= 0) {
    invalid(`invalid SignatureTTL (${printDuration(signatureTtlMs)}; must be > 0s)`);
  }
}

/** @throws {ValidationError} */
export function validateFragmentsResponse(response: FragmentsResponse): void {
  within("Status", () => validateStatus(response.status));
  within("Header", () => validateHeader(response.header));
  withinEach("Fragments", response.fragments, ({ spec, signedUrl }) => {
    within("Spec", () => validateFragment(spec));
    within("SignedUrl", () => parseUrl(signedUrl));
  });
}
