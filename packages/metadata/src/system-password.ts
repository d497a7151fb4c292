// Hashes of passwords, by scrypt on Node's pool of threads.
import { scrypt } from "node:crypto";

/** N, r, p as OWASP has them for 16 MiB of memory a hash; changing them needs a mark in the record's format. */
const COST = { N: 16_384, r: 8, p: 5, maxmem: 64 * 1024 * 1024 };
const HASH_BYTES = 32;

export function hashPassword(password: string, salt: Uint8Array): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    scrypt(password, salt, HASH_BYTES, COST, (error, hash) =>
      error === null ? resolve(hash) : reject(error),
    );
  });
}
