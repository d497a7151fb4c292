// Hashes of node:crypto.
import { createHash } from "node:crypto";

export type HashName = "md5" | "sha1" | "sha256" | "sha512" | "sha3-512";

/** Of the text's UTF-8. */
export function hashHex(name: HashName, text: string): string {
  return createHash(name).update(text, "utf8").digest("hex");
}
