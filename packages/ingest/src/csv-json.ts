// Writes what the JSON scanner found into a CSV value, straight from the body's bytes.
//
// J1 Numbers: shortest decimal without exponent. Integers keep every digit, also beyond 2^53: a table can hold them.
// J2 true, false as they are; null is empty.
// J3 Strings: their text when raw, else their JSON; objects and arrays: compact JSON, members in the body's order,
//    strings and numbers by the same rules.
// J4 A number that no double holds (1e400) cannot be written, wherever it stands.
// J5 What is longer than any row may be is written no further than it takes to see that: a number of five characters
//    may have 309 digits. Whoever looks at the row's bound refuses it.
import { latin1, text, utf8 } from "@millrace/base";
import { KIND, type JsonScanner, type Kind } from "./body-json.ts";
import { putPlainBytes, putQuotedBytes, type RowBuffer } from "./csv-writer.ts";
import { ROW_BYTES_MAX } from "./limits.ts";

/** A number of at most so many characters, sign and point included, has at most 15 significant digits. */
const EXACT_CHARACTERS_MAX = 15;

/** A number of so many characters is made a string character by character: that takes no longer than to decode it. */
const SHORT_BYTES = 40;
const ZERO = 0x30;

/**
 * Appends what `scanner` found at `slot`, without quotes around; nothing when it is missing.
 * @returns false when it cannot be written (J4)
 */
export function putScanned(out: RowBuffer, scanner: JsonScanner, slot: number, rawString: boolean): boolean {
  const bytes = scanner.bytes;
  const begin = scanner.begins[slot]!;
  const end = scanner.ends[slot]!;
  switch (scanner.kinds[slot] as Kind) {
    case KIND.plainString:
      if (rawString) putPlainBytes(out, bytes, begin + 1, end - 1);
      else putQuotedBytes(out, bytes, begin, end);
      return true;
    case KIND.escapedString:
      putEscapedString(out, bytes, begin, end, rawString);
      return true;
    case KIND.number:
      return putNumber(out, bytes, begin, end);
    case KIND.true:
    case KIND.false:
      putPlainBytes(out, bytes, begin, end);
      return true;
    case KIND.null:
    case KIND.missing:
      return true;
    case KIND.object:
    case KIND.array:
      return putCompact(out, bytes, begin, end);
  }
}

function putEscapedString(out: RowBuffer, bytes: Uint8Array, begin: number, end: number, raw: boolean): void {
  const value = JSON.parse(text(bytes.subarray(begin, end))) as string;
  const encoded = utf8(raw ? value : JSON.stringify(value));
  putQuotedBytes(out, encoded, 0, encoded.length);
}

function putNumber(out: RowBuffer, bytes: Uint8Array, begin: number, end: number): boolean {
  let point = false;
  let exponent = false;
  for (let i = begin; i < end; i++) {
    const byte = bytes[i]!;
    if (byte === 0x2e) point = true;
    else if (byte === 0x65 || byte === 0x45) exponent = true;
  }
  const zero = end - begin === 2 && bytes[begin] === 0x2d && bytes[end - 1] === 0x30;
  const canonical = point ? end - begin <= EXACT_CHARACTERS_MAX && bytes[end - 1] !== 0x30 : !zero;
  if (canonical && !exponent) {
    putPlainBytes(out, bytes, begin, end);
    return true;
  }
  const isShort = end - begin <= SHORT_BYTES;
  const number = Number(isShort ? latin1(bytes, begin, end) : text(bytes.subarray(begin, end)));
  if (!Number.isFinite(number)) return false; // J4
  putDecimal(out, number);
  return true;
}

/** Appends the shortest decimal that reads back as `n`, without exponent. @param n a finite number */
export function putDecimal(out: RowBuffer, n: number): void {
  const shortest = String(n);
  const split = shortest.indexOf("e");
  if (split === -1) return putAsciiText(out, shortest);
  const exponent = Number(shortest.slice(split + 1));
  const digits = shortest.slice(n < 0 ? 1 : 0, split).replace(".", "");
  if (n < 0) out.putByte(0x2d);
  if (exponent < 0) putAsciiText(out, "0.");
  else putAsciiText(out, digits);
  // Of an exponent there is one digit before the point.
  const zeros = exponent < 0 ? -exponent - 1 : exponent + 1 - digits.length;
  out.reserve(zeros);
  out.bytes.fill(ZERO, out.at, out.at + zeros);
  out.at += zeros;
  if (exponent < 0) putAsciiText(out, digits);
}

function putAsciiText(out: RowBuffer, ascii: string): void {
  out.reserve(ascii.length);
  const { bytes } = out;
  let { at } = out;
  for (let i = 0; i < ascii.length; i++) bytes[at++] = ascii.charCodeAt(i);
  out.at = at;
}

/** Compact JSON of a scanned object or array (J3); of one that is too long, more than a row may have (J5). */
function putCompact(out: RowBuffer, bytes: Uint8Array, begin: number, end: number): boolean {
  const stop = out.at + ROW_BYTES_MAX;
  let at = begin;
  while (at < end && out.at <= stop) {
    const byte = bytes[at]!;
    if (byte === 0x22) {
      let after = at + 1;
      let escaped = false;
      while (bytes[after] !== 0x22) {
        if (bytes[after] === 0x5c) {
          escaped = true;
          after++;
        }
        after++;
      }
      after++;
      if (escaped) putEscapedString(out, bytes, at, after, false);
      else putQuotedBytes(out, bytes, at, after);
      at = after;
    } else if (byte === 0x2d || (byte >= 0x30 && byte <= 0x39)) {
      let after = at + 1;
      while (after < end && isNumberByte(bytes[after]!)) after++;
      if (!putNumber(out, bytes, at, after)) return false;
      at = after;
    } else {
      if (byte > 0x20) out.putByte(byte);
      at++;
    }
  }
  return true;
}

function isNumberByte(byte: number): boolean {
  return (
    (byte >= 0x30 && byte <= 0x39) ||
    byte === 0x2e ||
    byte === 0x65 ||
    byte === 0x45 ||
    byte === 0x2b ||
    byte === 0x2d
  );
}
