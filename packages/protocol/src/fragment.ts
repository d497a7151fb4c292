// An immutable span of a journal, named by its range and the SHA-1 of its uncompressed bytes.
//
//   Fragment  1 journal string · 2 begin int64 · 3 end int64 · 4 sum SHA1Sum · 5 compression_codec enum ·
//             6 backing_store string · 7 mod_time int64 · 8 path_postfix string
//   SHA1Sum   1 part1 fixed64 · 2 part2 fixed64 · 3 part3 fixed32: big-endian words of the digest
import { assert } from "@millrace/base";
import {
  builder,
  codecs,
  enumeration,
  fixed32,
  fixed64Hex,
  int64,
  invalid,
  mapped,
  message,
  nested,
  string,
  within,
} from "@millrace/protobuf";
import { COMPRESSION_CODEC, type CompressionCodec } from "./enums.ts";
import { validateJournalName } from "./journal-name.ts";
import { PATH_POSTFIX_BYTES } from "./limits.ts";
import { validatePathComponent } from "./token.ts";

/** SHA-1 digest: 40 lowercase hex digits. */
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

interface Sha1Words {
  readonly part1: string;
  readonly part2: string;
  readonly part3: number;
}

const sha1Message = mapped<Sha1Words, Sha1>(
  message<Sha1Words>({ part1: fixed64Hex(1), part2: fixed64Hex(2), part3: fixed32(3) }),
  (sum) => {
    assert(/^[0-9a-f]{40}$/.test(sum), "a SHA-1 is 40 lowercase hex digits", { sum });
    return {
      part1: sum.slice(0, 16),
      part2: sum.slice(16, 32),
      part3: Number.parseInt(sum.slice(32), 16),
    };
  },
  ({ part1, part2, part3 }) => part1 + part2 + part3.toString(16).padStart(8, "0"),
);

export const fragmentMessage = message<Fragment>({
  journal: string(1),
  begin: int64(2),
  end: int64(3),
  sum: nested(4, sha1Message),
  compressionCodec: codecField(5),
  backingStore: string(6),
  modTime: int64(7, "saturate"),
  pathPostfix: string(8),
});

export const { encode: encodeFragment, decode: decodeFragment } = codecs(fragmentMessage);

/** A fragment with these fields; the codec is INVALID unless given. */
export const newFragment = builder(fragmentMessage);

/** The row of a compression codec. */
export function codecField(number: number): ReturnType<typeof enumeration<CompressionCodec>> {
  return enumeration(number, COMPRESSION_CODEC, "value");
}

/** @throws {ValidationError} */
export function validateFragment(fragment: Fragment): void {
  within("Journal", () => validateJournalName(fragment.journal));
  if (fragment.begin > fragment.end) {
    invalid(`expected Begin <= End (have ${fragment.begin}, ${fragment.end})`);
  }
  within("CompressionCodec", () => validateCompressionCodec(fragment.compressionCodec));
  within("PathPostfix", () => validatePathComponent(fragment.pathPostfix, PATH_POSTFIX_BYTES));
}

/** @throws {ValidationError} */
export function validateCompressionCodec(codec: CompressionCodec): void {
  if (codec === "INVALID" || !Object.hasOwn(COMPRESSION_CODEC, codec)) invalid(`invalid value (${codec})`);
}
