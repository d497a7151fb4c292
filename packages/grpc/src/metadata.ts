// Metadata: what users add to headers and trailers, apart from what the protocol itself says there.
import { assert, strictText } from "@millrace/base";
import type { HeaderList } from "./hpack-decoder.ts";
import type { Metadata } from "./rpc.ts";

export const NO_METADATA: Metadata = new Map();

/** Names of gRPC and of HTTP/2 themselves; `grpc-status-details-bin` is the user's. */
const RESERVED: ReadonlySet<string> = new Set([
  "content-length",
  "content-type",
  "grpc-accept-encoding",
  "grpc-encoding",
  "grpc-message",
  "grpc-message-type",
  "grpc-status",
  "grpc-timeout",
  "host",
  "te",
  "user-agent",
]);

const NAME = /^[0-9a-z_.-]+$/;
const VALUE = /^[ -~]*$/;

/**
 * The metadata in a list of fields; `user-agent` stays readable under its name. What gRPC allows in no metadata (HTTP/2
 * does) is left out, so that what came in can always be sent on.
 */
export function metadataOf({ fields }: HeaderList): Metadata {
  let metadata: Map<string, string> | undefined;
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i]!;
    const value = fields[i + 1]!;
    if (RESERVED.has(name) && name !== "user-agent") continue;
    if (!NAME.test(name) || !VALUE.test(value)) continue;
    metadata ??= new Map();
    const before = metadata.get(name);
    metadata.set(name, before === undefined ? value : `${before},${value}`);
  }
  return metadata ?? NO_METADATA;
}

/**
 * Appends metadata to a list of fields, but for names that the transport sets itself. What can be no metadata at all is
 * our own doing: an InvariantError.
 */
export function pushMetadata(fields: string[], metadata: Metadata): void {
  for (const [name, value] of metadata) {
    if (RESERVED.has(name)) continue;
    assert(NAME.test(name), "metadata has a name of small letters, digits, _ . and -", { name });
    assert(VALUE.test(value), "metadata is printable ASCII", { name });
    fields.push(name, value.trim());
  }
}

/** The first field `name`, or undefined. */
export function fieldOf({ fields }: HeaderList, name: string): string | undefined {
  for (let i = 0; i < fields.length; i += 2) if (fields[i] === name) return fields[i + 1];
  return undefined;
}

/** For the value of a name that ends in `-bin`: base64 without padding. */
export function encodeBinaryValue(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes)).replace(/=+$/, "");
}

/** Undefined when `value` is no base64. Padding is optional. */
export function decodeBinaryValue(value: string): Uint8Array | undefined {
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(value)) return undefined;
  const digits = value.replace(/=+$/, "");
  if (digits.length % 4 === 1) return undefined;
  return Uint8Array.from(atob(digits), (char) => char.charCodeAt(0));
}

/** The text that a header value (a byte a character) stands for, if it is UTF-8. */
export function textOfHeader(value: string): string {
  if (VALUE.test(value)) return value;
  return strictText(Uint8Array.from(value, (char) => char.charCodeAt(0))) ?? value;
}
