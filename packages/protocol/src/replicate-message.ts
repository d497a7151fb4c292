// Replicate: a stream from the primary to a replica and back.
//
//   ReplicateRequest   1 header Header · 2 deprecated_journal string · 3 proposal Fragment · 4 content bytes ·
//                      5 content_delta int64 · 6 acknowledge bool · 7 registers LabelSet · 1001 epoch int64 ·
//                      1002 stream int64 · 1003 confirmed int64 · 1004 commit int64 · 1005 checksum fixed32 ·
//                      1006 rollback bool · 1007 early bool · 1008 appends int64 (ours: Gazette's brokers skip
//                      them)
//   ReplicateResponse  1 status enum · 2 header Header · 3 fragment Fragment · 4 registers LabelSet ·
//                      1000 synced int64 (ours)
import {
  bool,
  builder,
  codecs,
  fixed32,
  int64,
  invalid,
  message,
  optional,
  optionalBytes,
  string,
  textOf,
  within,
} from "@millrace/protobuf";
import type { Status } from "./enums.ts";
import { fragmentMessage, validateFragment, type Fragment } from "./fragment.ts";
import { labelSetMessage, validateLabelSet, type LabelSet } from "./label-set.ts";
import { headerMessage, validateHeader, type Header } from "./route.ts";
import { statusField, validateStatus } from "./status.ts";

export interface ReplicateRequest {
  /** With the first message of a stream. */
  readonly header?: Header;
  /** Once the journal's name; now `proposal` has it. */
  readonly deprecatedJournal: string;
  /** The fragment that the replica should have after this message. */
  readonly proposal?: Fragment;
  readonly content?: Uint8Array;
  /** Where `content` begins, relative to the end of the last acknowledged proposal. */
  readonly contentDelta: number;
  readonly acknowledge: boolean;
  /** Absent with a proposal = empty. */
  readonly registers?: LabelSet;
  /** Of the activation under which it is sent (durability.md D10); 0 from a primary that keeps no list of holders. */
  readonly epoch: number;
  readonly stream: number;
  /**
   * Bytes below it are acknowledged by all members of the route; 0 = nothing new. Between brokers that keep lists a
   * message may have nothing else.
   */
  readonly confirmed: number;
  /**
   * The journal's end with this content and all that was sent since the last proposal. Between brokers that keep lists
   * a message with `acknowledge` and without `proposal` is a proposal of that: its registers are absent when they stay.
   */
  readonly commit: number;
  /** CRC-32C of the content that `commit` is about; 0 of none. */
  readonly checksum: number;
  /** Takes back the content that was sent since the last proposal, and says nothing else. */
  readonly rollback: boolean;
  /**
   * With the first message of a stream: commits are answered before they are synced, and what is synced is told
   * besides.
   */
  readonly early: boolean;
  /** How many appends a proposal is about, for who counts them; 0 = one. */
  readonly appends: number;
}

export interface ReplicateResponse {
  readonly status: Status;
  readonly header?: Header;
  readonly fragment?: Fragment;
  readonly registers?: LabelSet;
  /** Not 0: nobody asked for it, and says only that everything below is synced here. */
  readonly synced: number;
}

const replicateRequestMessage = message<ReplicateRequest>({
  header: optional(1, headerMessage),
  deprecatedJournal: string(2),
  proposal: optional(3, fragmentMessage),
  content: optionalBytes(4),
  contentDelta: int64(5),
  acknowledge: bool(6),
  registers: optional(7, labelSetMessage),
  epoch: int64(1001),
  stream: int64(1002),
  confirmed: int64(1003),
  commit: int64(1004),
  checksum: fixed32(1005),
  rollback: bool(1006),
  early: bool(1007),
  appends: int64(1008),
});

const replicateResponseMessage = message<ReplicateResponse>({
  status: statusField(1),
  header: optional(2, headerMessage),
  fragment: optional(3, fragmentMessage),
  registers: optional(4, labelSetMessage),
  synced: int64(1000),
});

export const { encode: encodeReplicateRequest, decode: decodeReplicateRequest } =
  codecs(replicateRequestMessage);
export const newReplicateRequest = builder(replicateRequestMessage);

export const { encode: encodeReplicateResponse, decode: decodeReplicateResponse } =
  codecs(replicateResponseMessage);
export const newReplicateResponse = builder(replicateResponseMessage);

/** @throws {ValidationError} */
export function validateReplicateRequest(request: ReplicateRequest): void {
  const { proposal, epoch, stream, confirmed, commit, appends } = request;
  if (proposal !== undefined) validateProposal(request, proposal);
  else if (epoch > 0 && request.acknowledge) validateCommit(request);
  else validateReplicateContent(request);
  if (epoch < 0) invalid(`invalid Epoch (${epoch}; expected >= 0)`);
  if (stream < 0) invalid(`invalid Stream (${stream}; expected >= 0)`);
  if (confirmed < 0) invalid(`invalid Confirmed (${confirmed}; expected >= 0)`);
  if (commit < 0) invalid(`invalid Commit (${commit}; expected >= 0)`);
  if (appends < 0) invalid(`invalid Appends (${appends}; expected >= 0)`);
}

/**
 * The strict rules: a header with WRONG_ROUTE only, a fragment and registers with PROPOSAL_MISMATCH only. Do not apply
 * them to a peer's responses: real brokers attach a header to their first one whatever its status.
 * @throws {ValidationError}
 */
export function validateReplicateResponse(response: ReplicateResponse): void {
  const { status, header, fragment, registers } = response;
  within("Status", () => validateStatus(status));
  if (status === "WRONG_ROUTE") {
    if (header === undefined) invalid("expected Header");
    within("Header", () => validateHeader(header));
  } else if (header !== undefined) invalid(`unexpected Header (${textOf(headerMessage, header, "compact")})`);
  if (status === "PROPOSAL_MISMATCH") {
    if (fragment === undefined) invalid("expected Fragment");
    within("Fragment", () => validateFragment(fragment));
    if (registers === undefined) invalid("expected Registers");
    within("Registers", () => validateLabelSet(registers));
    return;
  }
  if (fragment !== undefined)
    invalid(`unexpected Fragment (${textOf(fragmentMessage, fragment, "compact")})`);
  if (registers !== undefined)
    invalid(`unexpected Registers (${textOf(labelSetMessage, registers, "compact")})`);
}

function validateProposal(request: ReplicateRequest, proposal: Fragment): void {
  const { header, registers, content, contentDelta, deprecatedJournal } = request;
  if (header !== undefined) {
    within("Header", () => validateHeader(header));
    if (!request.acknowledge) invalid("expected Acknowledge with Header");
  }
  within("Proposal", () => validateFragment(proposal));
  if (registers !== undefined) within("Registers", () => validateLabelSet(registers));
  if (content !== undefined) invalid(`unexpected Content with Proposal (len ${content.length})`);
  if (contentDelta !== 0) invalid(`unexpected ContentDelta with Proposal (${contentDelta})`);
  if (deprecatedJournal !== "" && deprecatedJournal !== proposal.journal) {
    invalid(`DeprecatedJournal and Proposal.Journal mismatch (${deprecatedJournal} vs ${proposal.journal})`);
  }
}

function validateCommit(request: ReplicateRequest): void {
  const { header, contentDelta, registers, rollback, deprecatedJournal } = request;
  if (contentDelta < 0) invalid(`invalid ContentDelta (${contentDelta}; expected >= 0)`);
  if (header !== undefined) invalid("unexpected Header with Commit");
  if (rollback) invalid("unexpected Rollback with Commit");
  if (registers !== undefined) within("Registers", () => validateLabelSet(registers));
  if (deprecatedJournal !== "") invalid("unexpected DeprecatedJournal with Commit");
}

function validateReplicateContent(request: ReplicateRequest): void {
  const { content, contentDelta, header, registers, confirmed, rollback } = request;
  if (content === undefined && confirmed === 0 && !rollback) invalid("expected Content or Proposal");
  if (rollback && content !== undefined) invalid("unexpected Content with Rollback");
  if (contentDelta < 0) invalid(`invalid ContentDelta (${contentDelta}; expected >= 0)`);
  if (header !== undefined)
    invalid(`unexpected Header with Content (${textOf(headerMessage, header, "compact")})`);
  if (registers !== undefined) {
    invalid(`unexpected Registers with Content (${textOf(labelSetMessage, registers, "compact")})`);
  }
  if (request.acknowledge) invalid("unexpected Acknowledge with Content");
  if (request.deprecatedJournal !== "") invalid("unexpected DeprecatedJournal with Content");
}
