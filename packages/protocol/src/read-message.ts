// Read: one request, a stream of responses (metadata, content chunks, metadata, ...).
//
//   ReadRequest   1 header Header · 2 journal string · 3 offset int64 · 4 block bool · 5 do_not_proxy bool ·
//                 6 metadata_only bool · 7 end_offset int64 · 8 begin_mod_time int64 · 9 min_etcd_revision int64 ·
//                 1000 awaits_resume bool
//   ReadResponse  1 status enum · 2 header Header · 3 offset int64 · 4 write_head int64 · 5 fragment Fragment ·
//                 6 fragment_url string · 7 content bytes
//
// That a read awaits a resume is Millrace's: other brokers answer it SUSPENDED, as they do any read.
import {
  bool,
  builder,
  codecs,
  int64,
  invalid,
  jsonCodecs,
  message,
  optional,
  optionalBytes,
  present,
  string,
  textOf,
  within,
} from "@millrace/protobuf";
import type { Status } from "./enums.ts";
import { fragmentMessage, validateFragment, type Fragment } from "./fragment.ts";
import { parseUrl } from "./go-url.ts";
import { validateJournalName } from "./journal-name.ts";
import { headerMessage, validateHeader, type Header } from "./route.ts";
import { statusField, validateStatus } from "./status.ts";

export interface ReadRequest {
  /** Set by a proxying broker, or by a client that wants at least that revision. */
  readonly header?: Header;
  /** May carry a `;meta` suffix. */
  readonly journal: string;
  /** First wanted offset; -1 = the write head. */
  readonly offset: number;
  /** Wait for offsets not written yet. */
  readonly block: boolean;
  readonly doNotProxy: boolean;
  /** Only the first metadata response is wanted. */
  readonly metadataOnly: boolean;
  /** End of the wanted range; 0 = none. */
  readonly endOffset: number;
  /** Unix seconds: skip persisted fragments older than this. */
  readonly beginModTime: number;
  readonly minEtcdRevision: number;
  /** With `block`: of a journal that is suspended, wait until it is not any more. */
  readonly awaitsResume?: boolean;
}

export interface ReadResponse {
  readonly status: Status;
  readonly header?: Header;
  /** Of the first content byte that follows. */
  readonly offset: number;
  readonly writeHead: number;
  readonly fragment?: Fragment;
  /** Signed URL of the fragment, "" when there is none. */
  readonly fragmentUrl: string;
  /** Absent in metadata. Never empty on the wire: an empty chunk cannot be expressed. */
  readonly content?: Uint8Array;
}

const readRequestMessage = message<ReadRequest>({
  header: optional(1, headerMessage),
  journal: string(2),
  offset: int64(3),
  block: bool(4),
  doNotProxy: bool(5),
  metadataOnly: bool(6),
  endOffset: int64(7, "saturate"),
  beginModTime: int64(8, "saturate"),
  minEtcdRevision: int64(9),
  awaitsResume: present.bool(1000),
});

const readResponseMessage = message<ReadResponse>({
  status: statusField(1),
  header: optional(2, headerMessage),
  offset: int64(3),
  writeHead: int64(4),
  fragment: optional(5, fragmentMessage),
  fragmentUrl: string(6),
  content: optionalBytes(7),
});

export const { encode: encodeReadRequest, decode: decodeReadRequest } = codecs(readRequestMessage);
export const { toJson: readRequestToJson, fromJson: readRequestFromJson } = jsonCodecs(readRequestMessage);
export const newReadRequest = builder(readRequestMessage);

export const { encode: encodeReadResponse, decode: decodeReadResponse } = codecs(readResponseMessage);
export const { toJson: readResponseToJson, fromJson: readResponseFromJson } = jsonCodecs(readResponseMessage);
export const newReadResponse = builder(readResponseMessage);

/** @throws {ValidationError} */
export function validateReadRequest(request: ReadRequest): void {
  const { header, offset, endOffset } = request;
  if (header !== undefined) within("Header", () => validateHeader(header));
  within("Journal", () => validateJournalName(request.journal));
  if (offset < -1) invalid(`invalid Offset (${offset}; expected -1 <= Offset <= MaxInt64)`);
  if (endOffset < 0 || (endOffset !== 0 && endOffset < offset)) {
    invalid(`invalid EndOffset (${endOffset}; expected 0 or Offset <= EndOffset)`);
  }
}

/** @throws {ValidationError} */
export function validateReadResponse(response: ReadResponse): void {
  within("Status", () => validateStatus(response.status));
  if (response.content !== undefined) validateContentOnly(response);
  else validateMetadata(response);
}

function validateContentOnly(response: ReadResponse): void {
  const { status, header, writeHead, fragment, fragmentUrl } = response;
  if (status !== "OK") invalid(`unexpected Status with Content (${status})`);
  if (header !== undefined)
    invalid(`unexpected Header with Content (${textOf(headerMessage, header, "compact")})`);
  if (writeHead !== 0) invalid(`unexpected WriteHead with Content (${writeHead})`);
  if (fragment !== undefined) {
    invalid(`unexpected Fragment with Content (${textOf(fragmentMessage, fragment, "compact")})`);
  }
  if (fragmentUrl !== "") invalid(`unexpected FragmentUrl with Content (${fragmentUrl})`);
}

function validateMetadata(response: ReadResponse): void {
  const { status, header, offset, writeHead, fragment, fragmentUrl } = response;
  if (header !== undefined) within("Header", () => validateHeader(header));
  if (writeHead < 0) invalid(`invalid WriteHead (${writeHead}; expected >= 0)`);
  if (fragment === undefined) {
    if (status === "OK" && offset !== 0) invalid(`unexpected Offset without Fragment or Content (${offset})`);
    if (fragmentUrl !== "") invalid(`unexpected FragmentUrl without Fragment (${fragmentUrl})`);
    return;
  }
  const { begin, end } = fragment;
  within("Fragment", () => validateFragment(fragment));
  if (offset < begin || offset >= end)
    invalid(`invalid Offset (${offset}; expected ${begin} <= offset < ${end})`);
  if (writeHead < end) invalid(`invalid WriteHead (${writeHead}; expected >= ${end})`);
  if (fragmentUrl !== "") within("FragmentUrl", () => parseUrl(fragmentUrl));
}
