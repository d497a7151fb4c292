// How a call ends: gRPC's status codes, the error that carries one, and the text form of `grpc-message`.
import { text, utf8 } from "@millrace/base";
import type { Metadata } from "./rpc.ts";

/** Numbers as they stand in `grpc-status`. */
export const STATUS_CODES = {
  OK: 0,
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const;

export type StatusCode = keyof typeof STATUS_CODES;

const NAMES = Object.keys(STATUS_CODES) as StatusCode[];

const SPACE = 0x20;

const NO_METADATA: Metadata = new Map();

/** A call that did not end with OK; also what a handler throws to refuse one. */
export class RpcError extends Error {
  readonly code: StatusCode;
  readonly trailers: Metadata;
  /** False when it is certain that no handler saw the call. */
  readonly maybeProcessed: boolean;
  constructor(
    code: StatusCode,
    message: string,
    options: { trailers?: Metadata; maybeProcessed?: boolean; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "RpcError";
    this.code = code;
    this.trailers = options.trailers ?? NO_METADATA;
    this.maybeProcessed = options.maybeProcessed ?? true;
  }

  override toString(): string {
    return `${this.code}: ${this.message}`;
  }
}

/** The code that `grpc-status` says; a number that is not known is UNKNOWN. Undefined when it is no number. */
export function parseStatusCode(value: string): StatusCode | undefined {
  if (!/^[0-9]{1,9}$/.test(value)) return undefined;
  return NAMES[Number(value)] ?? "UNKNOWN";
}

/** What an HTTP status without `grpc-status` means, as gRPC maps it. */
export function codeOfHttpStatus(status: number): StatusCode {
  switch (status) {
    case 400:
      return "INTERNAL";
    case 401:
      return "UNAUTHENTICATED";
    case 403:
      return "PERMISSION_DENIED";
    case 404:
      return "UNIMPLEMENTED";
    case 429:
    case 502:
    case 503:
    case 504:
      return "UNAVAILABLE";
    default:
      return "UNKNOWN";
  }
}

/**
 * Printable ASCII without `%` stands for itself; every other byte of the UTF-8 form becomes `%XX`, and so do spaces at
 * both ends, where no field's value may have one (RFC 9113, 8.2.1).
 * @returns at most `charsMax` characters, no escape cut
 */
export function encodeStatusMessage(message: string, charsMax: number): string {
  if (message.length <= charsMax && /^(?:[!-$&-~](?:[ -$&-~]*[!-$&-~])?)?$/.test(message)) return message;
  const bytes = utf8(message.slice(0, charsMax));
  let out = "";
  for (const [i, byte] of bytes.entries()) {
    const isEnd = byte === SPACE && (i === 0 || i === bytes.length - 1);
    const isPlain = byte >= SPACE && byte <= 0x7e && byte !== 0x25 && !isEnd;
    const piece = isPlain
      ? String.fromCharCode(byte)
      : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
    if (out.length + piece.length > charsMax) break;
    out += piece;
  }
  return out.trimEnd();
}

/** Never fails: what is no escape stays as it is, malformed UTF-8 becomes U+FFFD. */
export function decodeStatusMessage(value: string): string {
  if (!value.includes("%")) return value;
  const bytes = new Uint8Array(value.length);
  let length = 0;
  for (let at = 0; at < value.length; at++) {
    const digits = value.charCodeAt(at) === 0x25 ? value.slice(at + 1, at + 3) : "";
    if (/^[0-9a-fA-F]{2}$/.test(digits)) {
      bytes[length++] = Number.parseInt(digits, 16);
      at += 2;
    } else bytes[length++] = value.charCodeAt(at) & 0xff;
  }
  return text(bytes.subarray(0, length));
}
