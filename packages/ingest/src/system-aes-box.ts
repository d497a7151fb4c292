// Secrets sealed with AES-256-GCM: each with a random 96-bit nonce, bound to its place as additional data (S1). A key
// seals far fewer than the 2^32 secrets up to which random nonces are safe.
import { createCipheriv, createDecipheriv, createHash, randomBytes } from "node:crypto";
import { utf8, WireError } from "@millrace/base";
import { CannotOpen, type SecretBox } from "./secret-box.ts";

const CIPHER = "aes-256-gcm";
const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const KEYS_MAX = 16;

/**
 * Keys from the text of a key file: base64 of 32 bytes a line. The first seals, all open.
 * @throws {WireError} INVALID_ARGUMENT, which says nothing of the text
 */
export function parseKeyFile(content: string): readonly Uint8Array[] {
  const lines = content.split("\n").filter((line) => line.trim() !== "");
  if (lines.length === 0 || lines.length > KEYS_MAX) {
    throw new WireError("INVALID_ARGUMENT", `${lines.length} keys (expected 1 to ${KEYS_MAX}, one a line)`);
  }
  return lines.map((line, i) => {
    const key = decoded(line.trim());
    if (key?.length === KEY_BYTES) return key;
    throw new WireError("INVALID_ARGUMENT", `line ${i + 1} is not base64 of ${KEY_BYTES} bytes`);
  });
}

/** @param keys the first seals, all open; each of 32 bytes */
export function aesSecrets(keys: readonly Uint8Array[]): SecretBox {
  const byId = new Map(keys.map((key) => [keyId(key), key] as const));
  const first = keys[0]!;
  return {
    seal: (secret, place) => {
      const iv = randomBytes(NONCE_BYTES);
      const cipher = createCipheriv(CIPHER, first, iv, { authTagLength: TAG_BYTES });
      cipher.setAAD(utf8(place));
      const data = Buffer.concat([cipher.update(secret, "utf8"), cipher.final(), cipher.getAuthTag()]);
      return { v: 1, k: keyId(first), iv: iv.toString("base64"), data: data.toString("base64") };
    },
    open: (stored, place) => {
      if (typeof stored === "string") return stored; // S3
      const key = byId.get(stored.k);
      if (key === undefined) throw new CannotOpen(place, stored.k);
      const [iv, data] = [decoded(stored.iv), decoded(stored.data)];
      if (iv?.length !== NONCE_BYTES || data === undefined || data.length < TAG_BYTES) throw notSealed(place);
      const decipher = createDecipheriv(CIPHER, key, iv, { authTagLength: TAG_BYTES });
      decipher.setAAD(utf8(place));
      decipher.setAuthTag(data.subarray(data.length - TAG_BYTES));
      try {
        const opened = decipher.update(data.subarray(0, data.length - TAG_BYTES));
        return Buffer.concat([opened, decipher.final()]).toString("utf8");
      } catch {
        throw notSealed(place);
      }
    },
  };
}

/** Says which key it is, and nothing about it. */
function keyId(key: Uint8Array): string {
  return createHash("sha256").update(key).digest("hex").slice(0, 16);
}

function notSealed(place: string): WireError {
  return new WireError("CORRUPT", `the secret of ${place} is not what was sealed for it`);
}

/** Undefined for what is not base64 as it is written. */
function decoded(base64: string): Uint8Array | undefined {
  const bytes = Buffer.from(base64, "base64");
  return bytes.toString("base64") === base64 ? bytes : undefined;
}
