// Where a fragment lies in its store: `<journal>/<postfix>/<begin>-<end>-<sum><extension>`, the numbers in 16
// hex digits.
//
// N1  fragmentOfPath(journal, path) is the inverse of contentPath without its journal.
// N2  The listing of journal `a/b` also holds what belongs to a journal `a/b/c`; its names parse here with the postfix
//     `c/...`. Only not nesting journals avoids that.
import { assert, hex16, utf8 } from "@millrace/base";
import { invalid, within } from "@millrace/protobuf";
import type { CompressionCodec } from "./enums.ts";
import { newFragment, validateFragment, type Fragment } from "./fragment.ts";
import { joinPath } from "./go-path.ts";
import { goQuote } from "./go-quote.ts";

const EXTENSIONS: Readonly<Record<CompressionCodec, string>> = {
  INVALID: ".invalid",
  NONE: ".raw",
  GZIP: ".gz",
  ZSTANDARD: ".zst",
  SNAPPY: ".sz",
  GZIP_OFFLOAD_DECOMPRESSION: "",
};

const CODECS_BY_EXTENSION: ReadonlyMap<string, CompressionCodec> = new Map([
  [".raw", "NONE"],
  [".gz", "GZIP"],
  [".gzip", "GZIP"],
  [".zst", "ZSTANDARD"],
  [".zstandard", "ZSTANDARD"],
  [".sz", "SNAPPY"],
  [".snappy", "SNAPPY"],
  ["", "GZIP_OFFLOAD_DECOMPRESSION"],
  [".gzod", "GZIP_OFFLOAD_DECOMPRESSION"],
]);

/** File extension of a codec, with its dot; "" for GZIP_OFFLOAD_DECOMPRESSION. */
export function codecExtension(codec: CompressionCodec): string {
  assert(codec !== "INVALID", "a named fragment has a codec");
  return EXTENSIONS[codec];
}

/** The codec of a file extension in either case. @throws {ValidationError} */
export function codecOfExtension(extension: string): CompressionCodec {
  const codec = CODECS_BY_EXTENSION.get(extension.toLowerCase());
  return codec ?? invalid(`unrecognized compression extension: ${extension}`);
}

/** File name of a fragment with begin >= 0. */
export function contentName(fragment: Fragment): string {
  const { begin, end, sum, compressionCodec } = fragment;
  assert(begin >= 0 && end >= begin, "a named fragment has 0 <= begin <= end", { begin, end });
  return `${hex16(begin)}-${hex16(end)}-${sum}${codecExtension(compressionCodec)}`;
}

/** Path of a fragment in its store, with the journal and the postfix. */
export function contentPath(fragment: Fragment): string {
  return joinPath(fragment.journal, fragment.pathPostfix, contentName(fragment));
}

/**
 * The fragment whose path below `<journal>/` is `path`; its backing store and modification time are left for
 * the caller.
 * @throws {WireError} INVALID_ARGUMENT for a name that no fragment has
 */
export function fragmentOfPath(journal: string, path: string): Fragment {
  const slash = path.lastIndexOf("/");
  const pathPostfix = slash === -1 ? "" : path.slice(0, slash);
  if (slash === 0 || /^\.{1,2}(\/|$)/.test(pathPostfix)) {
    // N1: it would be another key.
    return within("PathPostfix", () => invalid(`must be a clean path (${pathPostfix})`));
  }
  const base = path.slice(slash + 1);
  const dot = base.lastIndexOf(".");
  const stem = dot === -1 ? base : base.slice(0, dot);
  const parts = stem.split("-");
  const [begin, end, sum] = parts;
  if (parts.length !== 3 || begin === undefined || end === undefined || sum === undefined) {
    return invalid(`wrong Fragment format: ${stem}`);
  }
  const parsed = newFragment({
    journal,
    begin: within("Begin", () => hexOffset(begin)),
    end: within("End", () => hexOffset(end)),
    sum: parseSum(sum),
    compressionCodec: codecOfExtension(dot === -1 ? "" : base.slice(dot)),
    pathPostfix,
  });
  validateFragment(parsed);
  return parsed;
}

function hexOffset(digits: string): number {
  if (!/^\+?[0-9a-fA-F]+$/.test(digits)) {
    return invalid(`strconv.ParseInt: parsing ${goQuote(digits)}: invalid syntax`);
  }
  const value = Number.parseInt(digits, 16);
  if (!Number.isSafeInteger(value)) {
    return invalid(`strconv.ParseInt: parsing ${goQuote(digits)}: value out of range (expected < 2^53)`);
  }
  return value;
}

function parseSum(digits: string): string {
  within("Sum", () => {
    const bad = utf8(digits.replace(/[0-9a-fA-F]/g, ""))[0];
    if (bad !== undefined) {
      const code = bad.toString(16).toUpperCase().padStart(4, "0");
      invalid(`encoding/hex: invalid byte: U+${code} '${String.fromCharCode(bad)}'`);
    }
    if (digits.length % 2 !== 0) invalid("encoding/hex: odd length hex string");
  });
  const sum = digits.toLowerCase();
  return sum.length === 40 ? sum : invalid(`invalid SHA1Sum length: ${sum}`);
}
