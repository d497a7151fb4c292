// The language's forms of strings: "…" and '…' with escapes, @"…" and @'…' without, and ||| blocks.
import type { Source } from "./error.ts";
import { lexError, type Token } from "./token.ts";

const ESCAPES: Readonly<Record<string, string>> = {
  '"': '"',
  "'": "'",
  "\\": "\\",
  "/": "/",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
};

/** A string with escapes that begins at `begin`. */
export function scanQuoted(source: Source, begin: number): Token {
  const { text } = source;
  const quote = text[begin]!;
  let value = "";
  let from = begin + 1;
  for (let at = from; at < text.length; at++) {
    const c = text[at]!;
    if (c === quote) {
      return { kind: "string", text: value + text.slice(from, at), begin, end: at + 1 };
    }
    if (c !== "\\") continue;
    value += text.slice(from, at);
    const escape = scanEscape(source, at, begin);
    value += escape.value;
    from = escape.end;
    at = from - 1;
  }
  return lexError(source, begin, begin, "Unterminated String");
}

/** A string where only its doubled quote means something else. */
export function scanVerbatim(source: Source, begin: number): Token {
  const { text } = source;
  const quote = text[begin + 1];
  if (quote !== '"' && quote !== "'") {
    lexError(
      source,
      begin,
      begin + 1,
      `Couldn't lex verbatim string, junk after '@': ${quote ?? "end of file"}`,
    );
  }
  for (let at = begin + 2; at < text.length; at++) {
    if (text[at] !== quote) continue;
    if (text[at + 1] === quote) {
      at++;
      continue;
    }
    const value = text.slice(begin + 2, at).replaceAll(quote + quote, quote);
    return { kind: "string", text: value, begin, end: at + 1 };
  }
  return lexError(source, begin, begin, "Unterminated String");
}

/** A block: its lines without the first line's indentation; `|||-` leaves the last line's end out. */
export function scanBlock(source: Source, begin: number): Token {
  const { text } = source;
  let at = begin + 3;
  const chomp = text[at] === "-";
  if (chomp) at++;
  while (text[at] === " " || text[at] === "\t" || text[at] === "\r") at++;
  if (text[at] !== "\n") lexError(source, begin, begin, "Text block requires new line after |||.");
  at++;
  const lines: string[] = [];
  while (text[at] === "\n" || text.startsWith("\r\n", at)) {
    lines.push("\n");
    at += text[at] === "\r" ? 2 : 1;
  }
  const indent = blanksAt(text, at);
  if (indent === "") lexError(source, begin, begin, "Text block's first line must start with whitespace");
  for (;;) {
    const end = text.indexOf("\n", at);
    if (end === -1) lexError(source, begin, begin, "Unexpected EOF");
    lines.push(text.slice(at + indent.length, end + 1));
    at = end + 1;
    while (text[at] === "\n" || text.startsWith("\r\n", at)) {
      lines.push("\n");
      at += text[at] === "\r" ? 2 : 1;
    }
    if (text.startsWith(indent, at)) continue;
    at += blanksAt(text, at).length;
    if (!text.startsWith("|||", at)) lexError(source, begin, begin, "Text block not terminated with |||");
    const value = lines.join("");
    return {
      kind: "string",
      text: chomp && value.endsWith("\n") ? value.slice(0, -1) : value,
      begin,
      end: at + 3,
      block: true,
    };
  }
}

function blanksAt(text: string, begin: number): string {
  let end = begin;
  while (text[end] === " " || text[end] === "\t") end++;
  return text.slice(begin, end);
}

function scanEscape(source: Source, begin: number, quote: number): { value: string; end: number } {
  const { text } = source;
  const c = text[begin + 1];
  if (c === undefined) lexError(source, quote, quote, "Unterminated String");
  if (c === "u") {
    const high = hex4(source, begin + 2);
    if (high < 0xd800 || high > 0xdfff) return { value: String.fromCharCode(high), end: begin + 6 };
    if (text.startsWith("\\u", begin + 6)) {
      const low = hex4(source, begin + 8);
      if (high < 0xdc00 && low >= 0xdc00 && low <= 0xdfff) {
        return { value: String.fromCharCode(high, low), end: begin + 12 };
      }
    }
    lexError(source, begin, begin + 6, "Truncated unicode surrogate pair escape sequence in string literal.");
  }
  const value = Object.hasOwn(ESCAPES, c) ? ESCAPES[c] : undefined;
  if (value === undefined) {
    lexError(source, begin, begin + 2, `Unknown escape sequence in string literal: '\\${c}'`);
  }
  return { value, end: begin + 2 };
}

function hex4(source: Source, begin: number): number {
  const digits = source.text.slice(begin, begin + 4);
  if (!/^[0-9a-fA-F]{4}$/.test(digits)) {
    lexError(source, begin - 2, begin, "Malformed unicode escape character, should be 4 hex digits");
  }
  return Number.parseInt(digits, 16);
}
