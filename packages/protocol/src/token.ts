// Tokens and path components: the alphabets of every name. No character up to '#' (0x23) is in them, which is
// what keeps the order of keys in the coordination store equal to the order of the entities.
import { invalid } from "@millrace/protobuf";
import { cleanPath } from "./go-path.ts";

export interface LengthBounds {
  readonly min: number;
  readonly max: number;
}

const TOKEN = /^[\p{L}\p{N}\-_+/.]*$/u;
const PATH = /^[\p{L}\p{N}\-_+/.=%]*$/u;
const ASCII_TOKEN = /^[A-Za-z0-9\-_+/.]*$/;
const ASCII_PATH = /^[A-Za-z0-9\-_+/.=%]*$/;

/** Letters and numbers of any script and `-_+/.`. @param bounds in UTF-8 bytes @throws {ValidationError} */
export function validateToken(text: string, bounds: LengthBounds): void {
  validateAlphabet(text, bounds, ASCII_TOKEN, TOKEN);
}

/** The token alphabet with `=` and `%`. @param bounds in UTF-8 bytes @throws {ValidationError} */
export function validatePathToken(text: string, bounds: LengthBounds): void {
  validateAlphabet(text, bounds, ASCII_PATH, PATH);
}

/**
 * A path token that Go's path.Clean leaves as it is and that is not rooted. A leading run of `../` passes:
 * whoever joins it to a root has to look for that.
 * @throws {ValidationError}
 */
export function validatePathComponent(text: string, bounds: LengthBounds): void {
  validatePathToken(text, bounds);
  if (text === "") return;
  if (cleanPath(text) !== text) invalid(`must be a clean path (${text})`);
  if (text.startsWith("/")) invalid(`cannot begin with '/' (${text})`);
}

/** Bytes of `text` in UTF-8, without encoding it. */
export function utf8Length(text: string): number {
  let bytes = text.length;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) continue;
    if (unit < 0x800) bytes += 1;
    else if (unit >= 0xd800 && unit <= 0xdbff && isLowSurrogate(text.charCodeAt(i + 1))) {
      bytes += 2; // A pair is two units and four bytes.
      i += 1;
    } else bytes += 2;
  }
  return bytes;
}

function isLowSurrogate(unit: number): boolean {
  return unit >= 0xdc00 && unit <= 0xdfff;
}

function validateAlphabet(text: string, bounds: LengthBounds, ascii: RegExp, full: RegExp): void {
  const bytes = utf8Length(text);
  if (bytes < bounds.min || bytes > bounds.max) {
    invalid(`invalid length (${bytes}; expected ${bounds.min} <= length <= ${bounds.max})`);
  }
  if (!ascii.test(text) && !full.test(text)) invalid(`not a valid token (${text})`);
}
