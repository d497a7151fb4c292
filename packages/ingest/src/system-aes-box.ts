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

/** A key, and how sealed secrets name it (S2). */
export interface SecretKey {
  readonly id: string;
  readonly bytes: Uint8Array;
}

/** The keys that a process has: in a file, or unwrapped by a service (data-key-ring.ts). */
export interface SecretKeys {
  sealing(): SecretKey;
  opening(id: string): SecretKey | undefined;
  /** Why a key that is known by its id does not open. */
  whyClosed(id: string): string | undefined;
  /** Calls `listener` when keys have become open. @returns a function that ends that */
  observe(listener: () => void): () => void;
}

/** @param keys the first seals, all open; each of 32 bytes */
export function fileKeys(keys: readonly Uint8Array[]): SecretKeys {
  const byId = new Map(keys.map((bytes) => [keyId(bytes), { id: keyId(bytes), bytes }] as const));
  const [first] = byId.values();
  return {
    sealing: () => first!,
    opening: (id) => byId.get(id),
    whyClosed: () => undefined,
    observe: () => () => undefined,
  };
}

/** The first of them seals, all open. One or more. */
export function keysTogether(all: readonly SecretKeys[]): SecretKeys {
  return {
    sealing: () => all[0]!.sealing(),
    opening: (id) => firstOf(all, (keys) => keys.opening(id)),
    whyClosed: (id) => firstOf(all, (keys) => keys.whyClosed(id)),
    observe: (listener) => {
      const ends = all.map((keys) => keys.observe(listener));
      return () => ends.forEach((end) => end());
    },
  };
}

function firstOf<T>(all: readonly SecretKeys[], of: (keys: SecretKeys) => T | undefined): T | undefined {
  for (const keys of all) {
    const found = of(keys);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** @param keys the first seals, all open; each of 32 bytes */
export function aesSecrets(keys: readonly Uint8Array[]): SecretBox {
  return sealedBy(fileKeys(keys));
}

export function sealedBy(keys: SecretKeys): SecretBox {
  return {
    seal: (secret, place) => {
      const { id, bytes } = keys.sealing();
      const iv = randomBytes(NONCE_BYTES);
      const cipher = createCipheriv(CIPHER, bytes, iv, { authTagLength: TAG_BYTES });
      cipher.setAAD(utf8(place));
      const data = Buffer.concat([cipher.update(secret, "utf8"), cipher.final(), cipher.getAuthTag()]);
      return { v: 1, k: id, iv: iv.toString("base64"), data: data.toString("base64") };
    },
    open: (stored, place) => {
      if (typeof stored === "string") return stored; // S3
      const key = keys.opening(stored.k);
      if (key === undefined) throw new CannotOpen(place, stored.k, keys.whyClosed(stored.k));
      const [iv, data] = [decoded(stored.iv), decoded(stored.data)];
      if (iv?.length !== NONCE_BYTES || data === undefined || data.length < TAG_BYTES) throw notSealed(place);
      const decipher = createDecipheriv(CIPHER, key.bytes, iv, { authTagLength: TAG_BYTES });
      decipher.setAAD(utf8(place));
      decipher.setAuthTag(data.subarray(data.length - TAG_BYTES));
      try {
        const opened = decipher.update(data.subarray(0, data.length - TAG_BYTES));
        return Buffer.concat([opened, decipher.final()]).toString("utf8");
      } catch {
        throw notSealed(place);
      }
    },
    observe: (listener) => keys.observe(listener),
  };
}

/** Says which key it is, and nothing about it. */
export function keyId(key: Uint8Array): string {
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
