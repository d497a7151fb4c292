// Secrets at rest as a port: the coordination store, its log, its snapshots and their backups hold them sealed. These
// are the secret of a source, that of its signatures, and the password of a sink's target; what is only compared
// (tokens) is hashed instead.
//
// S1 A sealed secret opens only at the place that it was sealed for: copied to another record it is refused.
// S2 It names its key, so that keys can be changed: one seals, others still open.
// S3 A plain one, written before there was a key, is still read; it is sealed with the next change of its record.
import { WireError } from "@millrace/base";
import type { JsonFields } from "./storage-json.ts";

/** A secret as it is stored: plain, or sealed. */
export type StoredSecret = string | SealedSecret;

export interface SealedSecret {
  readonly v: 1;
  /** Id of the key. */
  readonly k: string;
  /** Base64. */
  readonly iv: string;
  /** Ciphertext and tag, base64. */
  readonly data: string;
}

export interface SecretBox {
  /** @param place that it belongs to, the same when it is opened (S1) */
  seal(secret: string, place: string): StoredSecret;
  /** @throws {CannotOpen} without its key @throws {WireError} CORRUPT when it is not what was sealed there */
  open(stored: StoredSecret, place: string): string;
  /** Calls `listener` when secrets can be opened that could not be before. @returns a function that ends that */
  observe(listener: () => void): () => void;
}

/** The key of a secret is not here. */
export class CannotOpen extends WireError {
  /** @param why a data key is closed, when it is one */
  constructor(place: string, key: string, why?: string) {
    const isMissing = `key ${key}, which neither encryption.key-file has nor encryption.kms-key unwraps`;
    const sealedWith = why === undefined ? isMissing : `data key ${key}, which is closed: ${why}`;
    super("INVALID_ARGUMENT", `the secret of ${place} is sealed with ${sealedWith}`, {
      facts: { place, key },
    });
  }
}

const SEALED_LENGTH_MAX = 4096;

/** Without encryption. */
export const plainSecrets: SecretBox = {
  seal: (secret) => secret,
  open: (stored, place) => {
    if (typeof stored === "string") return stored;
    throw new CannotOpen(place, stored.k);
  },
  observe: () => () => undefined,
};

/** Opens nothing, and does not mind: for a look at the rest of a record. */
export const unopenedSecrets: SecretBox = { ...plainSecrets, open: () => "" };

/** @throws {WireError} CORRUPT */
export function decodeSecret(fields: JsonFields, name: string): StoredSecret {
  if (fields.isText(name)) return fields.text(name);
  const sealed = fields.object(name);
  const v = sealed.integer("v", 1);
  const stored = { k: sealed.text("k"), iv: sealed.text("iv"), data: sealed.text("data") };
  if (v === 1 && stored.data.length <= SEALED_LENGTH_MAX && stored.iv.length <= SEALED_LENGTH_MAX)
    return { v, ...stored };
  throw new WireError("CORRUPT", `${name}: sealed in a way that is not known, or too long`);
}
