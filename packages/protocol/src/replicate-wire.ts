// Messages of Replicate, written and read by hand where they are plain: each group of appends is a request and an
// answer for every peer. What the tables of the messages say stays the truth; the tests compare byte for byte.
import { bytesField, intField, varint, wideIntField } from "./plain-fields.ts";
import {
  decodeReplicateRequest,
  decodeReplicateResponse,
  encodeReplicateRequest,
  encodeReplicateResponse,
  newReplicateRequest,
  type ReplicateRequest,
  type ReplicateResponse,
} from "./replicate-message.ts";

type Writable<T> = { -readonly [K in keyof T]: T[K] };

const EMPTY = newReplicateRequest({});

/** Tags of a ReplicateRequest, of one byte and of two. */
const CONTENT = 0x22;
const DELTA = 0x28;
const ACKNOWLEDGE = 0x30;
const EPOCH = 1001 << 3;
const STREAM = 1002 << 3;
const CONFIRMED = 1003 << 3;
const COMMIT = 1004 << 3;
const CHECKSUM = (1005 << 3) | 5;
/** Of a varint's seventh digit: with more of them it may be no safe integer. */
const SCALE_MAX = 2 ** 42;

/**
 * Of content, of a commit, or of what is confirmed, which most of them are. @returns undefined when it is another one,
 * or malformed: decode it
 */
function plainReplicateRequest(bytes: Uint8Array): ReplicateRequest | undefined {
  const request: Writable<ReplicateRequest> = { ...EMPTY };
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

function setNumber(request: Writable<ReplicateRequest>, tag: number, value: number): boolean {
  if (tag === DELTA) request.contentDelta = value;
  else if (tag === ACKNOWLEDGE) request.acknowledge = value !== 0;
  else if (tag === EPOCH) request.epoch = value;
  else if (tag === STREAM) request.stream = value;
  else if (tag === CONFIRMED) request.confirmed = value;
  else if (tag === COMMIT) request.commit = value;
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

/** What the table writes. */
export function encodeReplication(request: ReplicateRequest): Uint8Array {
  const { header, proposal, content, contentDelta, registers, checksum } = request;
  const isPlain =
    header === undefined &&
    proposal === undefined &&
    registers === undefined &&
    request.deprecatedJournal === "" &&
    !request.rollback &&
    !request.early &&
    content?.length !== 0 &&
    contentDelta >= 0;
  if (!isPlain) return encodeReplicateRequest(request);
  const out = new Uint8Array((content?.length ?? 0) + REPLICATION_HEAD_BYTES);
  let at = content === undefined ? 0 : bytesField(out, 0, CONTENT, content);
  at = intField(out, at, DELTA, contentDelta);
  at = intField(out, at, ACKNOWLEDGE, request.acknowledge ? 1 : 0);
  at = wideIntField(out, at, EPOCH, request.epoch);
  at = wideIntField(out, at, STREAM, request.stream);
  at = wideIntField(out, at, CONFIRMED, request.confirmed);
  at = wideIntField(out, at, COMMIT, request.commit);
  if (checksum !== 0) {
    at = varint(out, at, CHECKSUM);
    out[at++] = checksum;
    out[at++] = checksum >>> 8;
    out[at++] = checksum >>> 16;
    out[at++] = checksum >>> 24;
  }
  return out.subarray(0, at);
}

/** Tag and length of content, six integers of at most 8 bytes with their tags, and the checksum. */
const REPLICATION_HEAD_BYTES = 6 + 6 * 10 + 6;

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
