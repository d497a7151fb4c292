// CRC-32C for frames, behind one function: the only place that knows which library computes it.
import crc32 from "@node-rs/crc32";

/** CRC-32C (Castagnoli) of `bytes`, continued from `previous` (0 at the start). @returns an unsigned 32-bit integer */
export function crc32c(bytes: Uint8Array, previous: number): number {
  return crc32.crc32c(bytes, previous);
}
