// Append: a preamble, content chunks, an empty message that commits; one response.
//
//   AppendRequest   1 header Header · 2 journal string · 3 do_not_proxy bool · 4 content bytes · 5 offset int64 ·
//                   6 check_registers LabelSelector · 7 union_registers LabelSet · 8 subtract_registers LabelSet ·
//                   9 suspend enum · 10 min_etcd_revision int64
//   AppendResponse  1 status enum · 2 header Header (always) · 3 commit Fragment · 4 registers LabelSet ·
//                   5 total_chunks int64 · 6 delayed_chunks int64 · 7 store_health_error string
import {
  bool,
  builder,
  codecs,
  enumeration,
  int64,
  invalid,
  message,
  nested,
  optional,
  optionalBytes,
  string,
  within,
} from "@millrace/protobuf";
import { APPEND_SUSPEND, type AppendSuspend, type Status } from "./enums.ts";
import { fragmentMessage, validateFragment, type Fragment } from "./fragment.ts";
import { validateJournalName } from "./journal-name.ts";
import { labelSelectorMessage, validateLabelSelector, type LabelSelector } from "./label-selector.ts";
import { labelSetMessage, validateLabelSet, type LabelSet } from "./label-set.ts";
import { headerMessage, validateHeader, type Header } from "./route.ts";
import { statusField, validateStatus } from "./status.ts";

/** The first message of an append. */
export interface AppendPreamble {
  readonly header?: Header;
  /** May carry a `;meta` suffix. */
  readonly journal: string;
  readonly doNotProxy: boolean;
  /** Expected write head; 0 = whatever it is. */
  readonly offset: number;
  /** The registers must match this, unless they are empty. */
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

const appendRequestMessage = message<AppendRequest>({
  header: optional(1, headerMessage),
  journal: string(2),
  doNotProxy: bool(3),
  content: optionalBytes(4),
  offset: int64(5),
  checkRegisters: optional(6, labelSelectorMessage),
  unionRegisters: optional(7, labelSetMessage),
  subtractRegisters: optional(8, labelSetMessage),
  suspend: enumeration(9, APPEND_SUSPEND, "Suspend variant"),
  minEtcdRevision: int64(10),
});

const appendResponseMessage = message<AppendResponse>({
  status: statusField(1),
  header: nested(2, headerMessage),
  commit: optional(3, fragmentMessage),
  registers: optional(4, labelSetMessage),
  totalChunks: int64(5),
  delayedChunks: int64(6),
  storeHealthError: string(7),
});

export const { encode: encodeAppendRequest, decode: decodeAppendRequest } = codecs(appendRequestMessage);
export const newAppendRequest = builder(appendRequestMessage);

export const { encode: encodeAppendResponse, decode: decodeAppendResponse } = codecs(appendResponseMessage);
export const newAppendResponse = builder(appendResponseMessage);

/** @throws {ValidationError} */
export function validateAppendRequest(request: AppendRequest): void {
  if (request.journal === "") return validateChunk(request);
  const { header, offset, content } = request;
  if (header !== undefined) within("Header", () => validateHeader(header));
  within("Journal", () => validateJournalName(request.journal));
  if (offset < 0) invalid(`invalid Offset (${offset}; expected >= 0)`);
  if (content !== undefined && content.length > 0) invalid("unexpected Content");
  validateRegisterChange(request);
  if (!Object.hasOwn(APPEND_SUSPEND, request.suspend)) {
    within("Suspend", () => invalid(`invalid Suspend variant (${request.suspend})`));
  }
}

/** @throws {ValidationError} */
export function validateAppendResponse(response: AppendResponse): void {
  const { status, commit, registers } = response;
  within("Status", () => validateStatus(status));
  within("Header", () => validateHeader(response.header));
  if (status === "OK" && commit === undefined) invalid("expected Commit");
  if ((status === "OK" || status === "REGISTER_MISMATCH") && registers === undefined)
    invalid("expected Registers");
  if (commit !== undefined) within("Commit", () => validateFragment(commit));
  if (registers !== undefined) within("Registers", () => validateLabelSet(registers));
}

function validateRegisterChange(request: AppendRequest): void {
  const { checkRegisters, unionRegisters, subtractRegisters } = request;
  if (checkRegisters !== undefined) within("CheckRegisters", () => validateLabelSelector(checkRegisters));
  if (unionRegisters !== undefined) within("UnionRegisters", () => validateLabelSet(unionRegisters));
  if (subtractRegisters !== undefined) within("SubtractRegisters", () => validateLabelSet(subtractRegisters));
}

function validateChunk(request: AppendRequest): void {
  if (request.header !== undefined) invalid("unexpected Header");
  if (request.doNotProxy) invalid("unexpected DoNotProxy");
  if (request.offset !== 0) invalid("unexpected Offset");
  if (request.checkRegisters !== undefined) invalid("unexpected CheckRegisters");
  if (request.unionRegisters !== undefined) invalid("unexpected UnionRegisters");
  if (request.subtractRegisters !== undefined) invalid("unexpected SubtractRegisters");
  if (request.suspend !== "SUSPEND_RESUME") {
    invalid(`unexpected Suspend (${request.suspend}; expected SUSPEND_RESUMED)`);
  }
}
