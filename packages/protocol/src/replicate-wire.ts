// Messages of Replicate, written and read by hand where they are plain: each group of appends is a request and an
// answer for every peer. What the tables of the messages say stays the truth: the tests compare what both decode to
// (content stands last here, so the bytes may differ).
import { intField, varint, wideIntField } from "./plain-fields.ts";
import {
  decodeReplicateRequest,
  decodeReplicateResponse,
  encodeReplicateResponse,
  type ReplicateRequest,
  type ReplicateResponse,
} from "./replicate-message.ts";

/** A request that says nothing, to be filled in. As a literal it costs a tenth of a copy, and all are of one shape. */
export function emptyReplication(): { -readonly [K in keyof ReplicateRequest]: ReplicateRequest[K] } {
  return {
    deprecatedJournal: "",
    contentDelta: 0,
    acknowledge: false,
    epoch: 0,
    stream: 0,
    confirmed: 0,
    commit: 0,
    checksum: 0,
    rollback: false,
    early: false,
    appends: 0,
  };
}

type Writable = ReturnType<typeof emptyReplication>;

/** Tags of a ReplicateRequest, of one byte and of two. */
const CONTENT = 0x22;
const DELTA = 0x28;
const ACKNOWLEDGE = 0x30;
const EPOCH = 1001 << 3;
const STREAM = 1002 << 3;
const CONFIRMED = 1003 << 3;
const COMMIT = 1004 << 3;
const CHECKSUM = (1005 << 3) | 5;
const APPENDS = 1008 << 3;
/** Of a varint's seventh digit: with more of them it may be no safe integer. */
const SCALE_MAX = 2 ** 42;

/**
 * Of content, of a commit, or of what is confirmed, which most of them are. @returns undefined when it is another one,
 * or malformed: decode it
 */
function plainReplicateRequest(bytes: Uint8Array): ReplicateRequest | undefined {
  const request = emptyReplication();
  for (let at = 0; at < bytes.length;) {
    const tag = numberAt(bytes, at);
    if (tag === CHECKSUM) {
      if (bytes.length - end < 4) return undefined;
      request.checksum = uint32At(bytes, end);
      at = end + 4;
      continue;
    }
    const value = numberAt(bytes, end);
    if (tag < 0 || value < 0) return undefined;
    at = end;
    if (tag === CONTENT) {
      if (request.content !== undefined || value > bytes.length - at) return undefined;
      request.content = bytes.subarray(at, at + value);
      at += value;
    } else if (!setNumber(request, tag, value)) return undefined;
  }
  return request;
}

function setNumber(request: Writable, tag: number, value: number): boolean {
  if (tag === DELTA) request.contentDelta = value;
  else if (tag === ACKNOWLEDGE) request.acknowledge = value !== 0;
  else if (tag === EPOCH) request.epoch = value;
  else if (tag === STREAM) request.stream = value;
  else if (tag === CONFIRMED) request.confirmed = value;
  else if (tag === COMMIT) request.commit = value;
  else if (tag === APPENDS) request.appends = value;
  else return false;
  return true;
}

/** Where the number ends that was read last. */
let end = 0;

/** The varint at `from`; -1 when there is none, or it may be no safe integer. */
function numberAt(bytes: Uint8Array, from: number): number {
  let number = 0;
  let at = from;
  for (let scale = 1; scale <= SCALE_MAX && at < bytes.length; scale *= 0x80) {
    const digit = bytes[at++]!;
    number += (digit & 0x7f) * scale;
    if (digit >= 0x80) continue;
    end = at;
    return number;
  }
  return -1;
}

function uint32At(bytes: Uint8Array, at: number): number {
  return bytes[at]! + bytes[at + 1]! * 0x100 + bytes[at + 2]! * 0x10000 + bytes[at + 3]! * 0x1000000;
}

/** What the table reads; the content of most shares memory with `bytes`. @throws {WireError} of what is malformed */
export function decodeReplication(bytes: Uint8Array): ReplicateRequest {
  return plainReplicateRequest(bytes) ?? decodeReplicateRequest(bytes);
}

/** Seven integers of at most 8 bytes with their tags, the checksum, and tag and length of the content. */
const HEAD_BYTES_MAX = 7 * 10 + 6 + 6;
const head = new Uint8Array(HEAD_BYTES_MAX);

/**
 * What stands before the content in a request of content, of a commit, or of what is confirmed.
 * @returns a view that is good until the next call; undefined when the request is another one: encode it
 */
export function replicationHead(request: ReplicateRequest): Uint8Array | undefined {
  const { header, proposal, content, contentDelta, registers, checksum } = request;
  const isPlain =
    header === undefined &&
    proposal === undefined &&
    registers === undefined &&
    request.deprecatedJournal === "" &&
    !request.rollback &&
    !request.early &&
    contentDelta >= 0;
  if (!isPlain) return undefined;
  let at = intField(head, 0, DELTA, contentDelta);
  at = intField(head, at, ACKNOWLEDGE, request.acknowledge ? 1 : 0);
  at = wideIntField(head, at, EPOCH, request.epoch);
  at = wideIntField(head, at, STREAM, request.stream);
  at = wideIntField(head, at, CONFIRMED, request.confirmed);
  at = wideIntField(head, at, COMMIT, request.commit);
  at = wideIntField(head, at, APPENDS, request.appends);
  if (checksum !== 0) {
    at = varint(head, at, CHECKSUM);
    head[at++] = checksum;
    head[at++] = checksum >>> 8;
    head[at++] = checksum >>> 16;
    head[at++] = checksum >>> 24;
  }
  if (content !== undefined) {
    head[at++] = CONTENT;
    at = varint(head, at, content.length);
  }
  return head.subarray(0, at);
}

const OK_RESPONSE: ReplicateResponse = Object.freeze({ status: "OK", synced: 0 });
const NO_BYTES = new Uint8Array(0);

/** What the table reads; those that only say OK are one and the same. */
export function decodeReplicationResponse(bytes: Uint8Array): ReplicateResponse {
  return bytes.length === 0 ? OK_RESPONSE : decodeReplicateResponse(bytes);
}

/** What the table writes. */
export function encodeReplicationResponse(response: ReplicateResponse): Uint8Array {
  const { status, header, fragment, registers, synced } = response;
  const hasMore = header !== undefined || fragment !== undefined || registers !== undefined || synced !== 0;
  const isPlain = status === "OK" && !hasMore;
  return isPlain ? NO_BYTES : encodeReplicateResponse(response);
}
