// An immutable span of a journal, named by its range and the SHA-1 of its uncompressed bytes.
import type { CompressionCodec } from "./enums.ts";

/** SHA-1 digest: 40 lowercase hex digits. On the wire: three big-endian words (64, 64 and 32 bits). */
export type Sha1 = string;

/** The sum of an empty fragment. Not the SHA-1 of no bytes, which is what an empty append has. */
export const ZERO_SHA1: Sha1 = "0".repeat(40);
/** The SHA-1 of no bytes. */
export const EMPTY_SHA1: Sha1 = "da39a3ee5e6b4b0d3255bfef95601890afd80709";

/** Offsets are plain numbers (not branded): a message holds what a peer sent until it was validated. */
export interface Fragment {
  readonly journal: string;
  readonly begin: number;
  readonly end: number;
  readonly sum: Sha1;
  readonly compressionCodec: CompressionCodec;
  /** URL of the store that has it, "" while it is local. */
  readonly backingStore: string;
  /** When it was persisted, Unix seconds; 0 while it is local. */
  readonly modTime: number;
  /** Directories between journal and file name, "" for none. */
  readonly pathPostfix: string;
}
