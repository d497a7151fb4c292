// Keys that clients give to their requests so that a repeated one becomes no second row (D24). In frames stand hashes
// only; whether a row repeats a key, readers decide (key-window.ts).
//
// X1 A record posted alone has the key of its request; a record of a batch has the request's key and its position, so a
//    batch that is sent again must be the same one, whatever of it was accepted the first time.
// X2 Records with equal keys go to the same of a sink's first K partitions.
import { createHash } from "node:crypto";
import { utf8 } from "@millrace/base";
import type { DoorError } from "./http-source-answers.ts";

/** 128 bits of SHA-256, base64url: nobody finds two keys that have the same. */
export const KEY_HASH_CHARS = 22;

const KEY_CHARS_MAX = 255;

/** Whether a header's value is a key: visible characters, and no more of them than is usual. */
export function isKey(value: string): boolean {
  return value.length <= KEY_CHARS_MAX && /^[\x21-\x7e]+$/.test(value);
}

export function keyHash(key: string): string {
  return createHash("sha256").update(utf8(key)).digest("base64url").slice(0, KEY_HASH_CHARS);
}

/** X1. No key has a space. */
export function batchKeyHash(key: string, index: number): string {
  return keyHash(`${key} ${index}`);
}

/** X2 @param partitions K of the sink, >= 1 */
export function keyedPartition(hash: string, partitions: number): number {
  return partitions === 1 ? 0 : Buffer.from(hash, "base64url").readUInt32BE(0) % partitions;
}

/** What is said of a key that is none. */
export function wrongKey(key: string): DoorError {
  const rule = `expected 1 to ${KEY_CHARS_MAX} visible characters`;
  const message = `The idempotency key of ${key.length} characters is none, ${rule}.`;
  return { status: 400, name: "badRequest", message };
}
