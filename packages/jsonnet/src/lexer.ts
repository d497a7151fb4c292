// Tokens of a program. The whole text is cut at once: it is bounded by SOURCE_CHARS_MAX.
import type { Source } from "./error.ts";
import { scanBlock, scanQuoted, scanVerbatim } from "./lexer-strings.ts";
import { lexError, type Token } from "./token.ts";

const KEYWORDS: ReadonlySet<string> = new Set(
  (
    "assert else error false for function if import importstr importbin in local null " +
    "tailstrict then self super true"
  ).split(" "),
);

const OPERATOR_CHARS = "!$:~+-&|^=<>*/%";
/** More than any operator has; bounds what is looked at again when it is cut. */
const OPERATOR_CHARS_MAX = 8;
/** A longer operator may not end with one of these: `a==-1` is `==` and `-`. */
const LONE_CHARS = "+-~!$";

/** Cuts `source` into tokens, the last of kind "end". */
export function lex(source: Source): Token[] {
  const tokens: Token[] = [];
  const { text } = source;
  let at = 0;
  for (;;) {
    at = skipBlanks(source, at);
    if (at >= text.length) {
      tokens.push({ kind: "end", text: "end of file", begin: text.length, end: text.length });
      return tokens;
    }
    const token = next(source, at);
    tokens.push(token);
    at = token.end;
  }
}

function skipBlanks(source: Source, from: number): number {
  const { text } = source;
  let at = from;
  for (; at < text.length; at++) {
    const c = text[at]!;
    if (c === " " || c === "\t" || c === "\n" || c === "\r") continue;
    if (c === "#" || text.startsWith("//", at)) {
      const end = text.indexOf("\n", at);
      if (end === -1) return text.length;
      at = end;
    } else if (text.startsWith("/*", at)) {
      const end = text.indexOf("*/", at + 2);
      if (end === -1) lexError(source, at, at, "Multi-line comment has no terminator");
      at = end + 1;
    } else return at;
  }
  return at;
}

function next(source: Source, at: number): Token {
  const { text } = source;
  const c = text[at]!;
  if ("{}[](),.;".includes(c)) return { kind: "symbol", text: c, begin: at, end: at + 1 };
  if (isDigit(c)) return number(source, at);
  if (isIdentifierStart(c)) return word(text, at);
  if (c === '"' || c === "'") return scanQuoted(source, at);
  if (c === "@") return scanVerbatim(source, at);
  if (text.startsWith("|||", at)) return scanBlock(source, at);
  if (OPERATOR_CHARS.includes(c)) return operator(text, at);
  const character = String.fromCodePoint(text.codePointAt(at)!);
  return lexError(source, at, at, `Could not lex the character '${character}'`);
}

function word(text: string, begin: number): Token {
  let end = begin + 1;
  while (end < text.length && (isIdentifierStart(text[end]!) || isDigit(text[end]!))) end++;
  const value = text.slice(begin, end);
  return { kind: KEYWORDS.has(value) ? "keyword" : "identifier", text: value, begin, end };
}

function operator(text: string, begin: number): Token {
  let end = begin + 1;
  const last = Math.min(text.length, begin + OPERATOR_CHARS_MAX);
  while (end < last && OPERATOR_CHARS.includes(text[end]!)) {
    if (text.startsWith("//", end) || text.startsWith("/*", end) || text.startsWith("|||", end)) break;
    end++;
  }
  while (end > begin + 1 && LONE_CHARS.includes(text[end - 1]!)) end--;
  const value = text.slice(begin, end);
  // Colons stand for themselves: `a[::2]` and `{a:::b}` are told apart by the parser.
  if (value[0] === ":") {
    let colons = 1;
    while (colons < value.length && value[colons] === ":") colons++;
    return { kind: "operator", text: value.slice(0, colons), begin, end: begin + colons };
  }
  return { kind: "operator", text: value, begin, end };
}

/** JSON's numbers, with `_` between digits. */
function number(source: Source, begin: number): Token {
  const { text } = source;
  let at = text[begin] === "0" ? begin + 1 : digits(source, begin, "");
  if (text[at] === "." && at === begin + 1 && text[begin] === "0")
    at = digits(source, at + 1, " after decimal point");
  else if (text[at] === ".") at = digits(source, at + 1, " after decimal point");
  if (text[at] === "e" || text[at] === "E") {
    at++;
    if (text[at] === "+" || text[at] === "-") at = digits(source, at + 1, " after exponent sign");
    else at = digits(source, at, " after 'E'");
  }
  return { kind: "number", text: text.slice(begin, at).replaceAll("_", ""), begin, end: at };
}

function digits(source: Source, begin: number, where: string): number {
  const { text } = source;
  if (begin >= text.length || !isDigit(text[begin]!)) {
    const found = begin >= text.length ? "end of file" : `'${text[begin]!}'`;
    lexError(source, begin, begin, `Couldn't lex number, junk${where}: ${found}`);
  }
  let at = begin;
  for (;;) {
    while (at < text.length && isDigit(text[at]!)) at++;
    if (text[at] !== "_") return at;
    if (at + 1 >= text.length || !isDigit(text[at + 1]!)) {
      lexError(source, at, at, "Couldn't lex number, junk after '_'");
    }
    at++;
  }
}

function isDigit(c: string): boolean {
  return c >= "0" && c <= "9";
}

function isIdentifierStart(c: string): boolean {
  return (c >= "a" && c <= "z") || (c >= "A" && c <= "Z") || c === "_";
}
