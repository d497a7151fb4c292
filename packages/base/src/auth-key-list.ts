// Shared keys of signed tokens as they are configured: standard base64, with white space or commas between them.
import { WireError } from "./errors.ts";

export interface AuthKeyList {
  /** In standard base64; at least one. The first signs, all verify. */
  readonly keys: readonly string[];
  /** Whoever sends no token may do everything. */
  readonly allowsMissing: boolean;
}

/** A zero byte is no key: it lets in who has no token. */
const ALLOW_MISSING = "AA==";
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/** @throws {WireError} INVALID_ARGUMENT that shows none of the text */
export function parseAuthKeys(text: string): AuthKeyList {
  const words = text.split(/[\s,]+/).filter((word) => word !== "");
  const bad = words.findIndex((word) => !BASE64.test(word));
  if (bad >= 0) {
    throw new WireError("INVALID_ARGUMENT", `failed to decode key at index ${bad}: illegal base64 data`);
  }
  const keys = words.filter((word) => word !== ALLOW_MISSING);
  if (keys.length === 0) throw new WireError("INVALID_ARGUMENT", "at least one key must be provided");
  return { keys, allowsMissing: keys.length < words.length };
}
