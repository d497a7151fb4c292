// Go's literals, as templates have them: quoted texts, characters and numbers.
import type { NumberLiteral } from "./go-template-node.ts";

const ESCAPED: Readonly<Record<string, string>> = {
  a: "\x07",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v",
  "\\": "\\",
  "'": "'",
  '"': '"',
};

const ESCAPE = /\\(?:x([\da-fA-F]{2})|u([\da-fA-F]{4})|U([\da-fA-F]{8})|([0-7]{3})|(.))/gsu;

/** The text of a literal between double quotes or back quotes; undefined when it has an unknown escape. */
export function unquoteGo(literal: string): string | undefined {
  const inner = literal.slice(1, -1);
  if (literal.startsWith("`")) return inner.replaceAll("\r", "");
  let isSound = true;
  const text = inner.replace(ESCAPE, (_, hex2, hex4, hex8, octal, char: string | undefined) => {
    const hex: string | undefined = hex2 ?? hex4 ?? hex8;
    const code = hex !== undefined ? Number.parseInt(hex, 16) : Number.parseInt(octal, 8);
    const isRune = code <= 0x10ffff && !(code >= 0xd800 && code <= 0xdfff);
    const known = char === undefined ? (isRune ? String.fromCodePoint(code) : undefined) : ESCAPED[char];
    if (known === undefined || char === (literal.startsWith("'") ? '"' : "'")) isSound = false;
    return known ?? "";
  });
  return isSound ? text : undefined;
}

/** The value of a literal between single quotes. */
export function parseGoCharacter(literal: string): NumberLiteral | undefined {
  const text = unquoteGo(literal);
  if (text === undefined || Array.from(text).length !== 1) return undefined;
  const code = text.codePointAt(0)!;
  return { int: BigInt(code), float: code, isFloat: false };
}

/** Of Go's int64, either side of 0, and of uint64. */
const INT_END = 2n ** 63n;
const UINT_END = 2n ** 64n;

/** The value of a literal number; undefined for what is none, or complex. */
export function parseGoNumber(literal: string): NumberLiteral | undefined {
  const int = parseInteger(literal);
  const decimal =
    /[.eE]/.test(literal) && /^[+-]?(?:\d[\d_]*\.?[\d_]*|\.\d[\d_]*)(?:[eE][+-]?\d+)?$/.test(literal);
  const float = int !== undefined ? Number(int) : decimal ? Number(literal.replaceAll("_", "")) : undefined;
  if (int === undefined && (float === undefined || !Number.isFinite(float))) return undefined;
  const isFloat = !/^[+-]?0[xX]/.test(literal) && /[.eE]/.test(literal);
  const whole = int ?? (Number.isSafeInteger(float) ? BigInt(float!) : undefined);
  return { int: whole, float, isFloat };
}

function parseInteger(literal: string): bigint | undefined {
  const match = /^([+-]?)(0[xX][\da-fA-F_]+|0[bB][01_]+|0[oO]?[0-7_]+|0|[1-9][\d_]*)$/.exec(literal);
  if (match === null || /__|_$/.test(literal)) return undefined;
  const digits = match[2]!.replaceAll("_", "");
  const value = BigInt(/^0\d/.test(digits) ? `0o${digits.slice(1)}` : digits);
  const signed = match[1] === "-" ? -value : value;
  return signed >= -INT_END && signed < UINT_END ? signed : undefined;
}
