// Apply: changes of journal specs in one transaction.
//
//   ApplyRequest   1 changes repeated ApplyChange
//   ApplyChange    1 expect_mod_revision int64 · 2 upsert JournalSpec · 3 delete string
//   ApplyResponse  1 status enum · 2 header Header (always)
import {
  builder,
  codecs,
  int64,
  invalid,
  jsonCodecs,
  message,
  nested,
  optional,
  repeated,
  string,
  textOf,
  within,
  withinEach,
} from "@millrace/protobuf";
import type { Status } from "./enums.ts";
import { validateJournalName } from "./journal-name.ts";
import { journalSpecMessage, validateJournalSpec, type JournalSpec } from "./journal-spec.ts";
import { headerMessage, validateHeader, type Header } from "./route.ts";
import { statusField, validateStatus } from "./status.ts";

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

const applyChangeMessage = message<ApplyChange>({
  expectModRevision: int64(1),
  upsert: optional(2, journalSpecMessage),
  delete: string(3),
});

const applyRequestMessage = message<ApplyRequest>({ changes: repeated(1, applyChangeMessage) });

const applyResponseMessage = message<ApplyResponse>({
  status: statusField(1),
  header: nested(2, headerMessage),
});

export const { encode: encodeApplyRequest, decode: decodeApplyRequest } = codecs(applyRequestMessage);
export const { toJson: applyRequestToJson, fromJson: applyRequestFromJson } = jsonCodecs(applyRequestMessage);

export const { encode: encodeApplyResponse, decode: decodeApplyResponse } = codecs(applyResponseMessage);
export const { toJson: applyResponseToJson, fromJson: applyResponseFromJson } =
  jsonCodecs(applyResponseMessage);
export const newApplyResponse = builder(applyResponseMessage);

/** Prototext of a request over many lines, as a dry run prints it. */
export function applyRequestToText(request: ApplyRequest): string {
  return textOf(applyRequestMessage, request, "multiline");
}

/** A change that creates or replaces `spec`. */
export function upsertChange(spec: JournalSpec, expectModRevision: number): ApplyChange {
  return { expectModRevision, upsert: spec, delete: "" };
}

/** A change that deletes the journal. */
export function deleteChange(journal: string, expectModRevision: number): ApplyChange {
  return { expectModRevision, delete: journal };
}

/** @throws {ValidationError} */
export function validateApplyRequest(request: ApplyRequest): void {
  withinEach("Changes", request.changes, validateApplyChange);
}

/** @throws {ValidationError} */
export function validateApplyResponse(response: ApplyResponse): void {
  within("Status", () => validateStatus(response.status));
  within("Header", () => validateHeader(response.header));
}

function validateApplyChange(change: ApplyChange): void {
  const { upsert, expectModRevision } = change;
  if (upsert !== undefined) {
    if (change.delete !== "") invalid("both Upsert and Delete are set (expected exactly one)");
    within("Upsert", () => validateJournalSpec(upsert));
    if (expectModRevision < -1) {
      invalid(`invalid ExpectModRevision (${expectModRevision}; expected >= 0 or -1)`);
    }
    return;
  }
  if (change.delete === "") invalid("neither Upsert nor Delete are set (expected exactly one)");
  within("Delete", () => validateJournalName(change.delete));
  if (expectModRevision <= 0 && expectModRevision !== -1) {
    invalid(`invalid ExpectModRevision (${expectModRevision}; expected > 0 or -1)`);
  }
}
