// JSON whose integers keep all their digits: OTLP has 64-bit ones, which exporters write as strings or as numbers, and
// JSON.parse rounds the latter. Bounded in values, members and nesting; the text's size is the caller's bound.
import { invalid } from "@millrace/protobuf";
import { JSON_INTEGER_CHARS_MAX, JSON_MEMBERS_MAX, JSON_NESTED_MAX, JSON_VALUES_MAX } from "./limits.ts";

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const ARRAY = 0x5b;
const ARRAY_END = 0x5d;
const OBJECT = 0x7b;
const OBJECT_END = 0x7d;

const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const INTEGER = /^-?[0-9]+$/;
const WORDS = [["true", true] as const, ["false", false] as const, ["null", null] as const];

/** Values between two yields: some tenths of a millisecond. */
const VALUES_A_YIELD = 500;

/**
 * The value that `text` is: as JSON.parse has it, but for integers beyond 2^53, which are bigints, and keys
 * `__proto__`, which are left out. Yields after some values, so that others may have their turns.
 * @throws {ValidationError} with the position in characters
 */
export function* walkExactJson(text: string): Generator<undefined, unknown, undefined> {
  const parser = new Parser(text);
  while (!parser.step(VALUES_A_YIELD)) yield;
  return parser.value;
}

/** An array or object that is being read. */
type Container =
  | { readonly kind: "array"; readonly array: unknown[] }
  | { readonly kind: "object"; readonly object: Record<string, unknown>; members: number; key: string };

class Parser {
  readonly #text: string;
  #at = 0;
  #left = JSON_VALUES_MAX;
  #value: unknown;
  /** From the outside in. */
  readonly #open: Container[] = [];

  constructor(text: string) {
    this.#text = text;
  }

  /** The whole, once a step has ended with it. */
  get value(): unknown {
    return this.#value;
  }

  /** Reads at most so many values. @returns whether it is done */
  step(values: number): boolean {
    for (let i = 0; i < values; i++) {
      if (!this.#begin()) continue;
      if (!this.#complete()) continue;
      this.#space();
      if (this.#at < this.#text.length) this.#fail("unexpected data after the value");
      return true;
    }
    return false;
  }

  /** Reads a value, or opens one. @returns whether it is complete */
  #begin(): boolean {
    if (this.#left-- === 0) invalid(`too many values in JSON (expected <= ${JSON_VALUES_MAX})`);
    const first = this.#space();
    if (first !== OBJECT && first !== ARRAY) {
      this.#value = first === QUOTE ? this.#string() : this.#word();
      return true;
    }
    if (this.#open.length === JSON_NESTED_MAX)
      invalid(`JSON nests too deeply (expected <= ${JSON_NESTED_MAX})`);
    this.#at++;
    const isObject = first === OBJECT;
    if (this.#space() === (isObject ? OBJECT_END : ARRAY_END)) {
      this.#at++;
      this.#value = isObject ? {} : [];
      return true;
    }
    if (!isObject) this.#open.push({ kind: "array", array: [] });
    else this.#open.push({ kind: "object", object: {}, members: 1, key: this.#key() });
    return false;
  }

  /** Puts the value where it belongs. @returns whether it is the whole; else the next one begins here */
  #complete(): boolean {
    for (;;) {
      const top = this.#open.at(-1);
      if (top === undefined) return true;
      const value = this.#value;
      if (top.kind === "array") {
        top.array.push(value);
        if (this.#goesOn(ARRAY_END, "expected ',' or ']'")) return false;
        this.#value = top.array;
      } else {
        if (top.key !== "__proto__") top.object[top.key] = value;
        if (this.#goesOn(OBJECT_END, "expected ',' or '}'")) {
          if (++top.members > JSON_MEMBERS_MAX)
            invalid(`too many members in a JSON object (expected <= ${JSON_MEMBERS_MAX})`);
          top.key = this.#key();
          return false;
        }
        this.#value = top.object;
      }
      this.#open.pop();
    }
  }

  /** Of a member, with its colon. */
  #key(): string {
    if (this.#space() !== QUOTE) this.#fail("expected a string");
    const key = this.#string();
    if (this.#space() !== COLON) this.#fail("expected ':'");
    this.#at++;
    return key;
  }

  #word(): unknown {
    for (const [word, value] of WORDS) {
      if (!this.#text.startsWith(word, this.#at)) continue;
      this.#at += word.length;
      return value;
    }
    return this.#number();
  }

  /** Behind an item. @returns whether another one follows */
  #goesOn(end: number, expected: string): boolean {
    const code = this.#space();
    if (code !== COMMA && code !== end) this.#fail(expected);
    this.#at++;
    return code === COMMA;
  }

  #string(): string {
    const text = this.#text;
    const begin = this.#at;
    let isPlain = true;
    for (let at = begin + 1; at < text.length; at++) {
      const code = text.charCodeAt(at);
      if (code === QUOTE) {
        this.#at = at + 1;
        return isPlain ? text.slice(begin + 1, at) : this.#unescape(begin, at + 1);
      }
      if (code < 0x20) {
        this.#at = at;
        this.#fail("control character in a string");
      }
      if (code !== BACKSLASH) continue;
      isPlain = false;
      at++;
    }
    this.#at = text.length;
    return this.#fail("unexpected end");
  }

  #unescape(begin: number, end: number): string {
    try {
      return JSON.parse(this.#text.slice(begin, end)) as string; // A quoted string, or an error.
    } catch {
      this.#at = begin;
      return this.#fail("invalid escape in a string");
    }
  }

  #number(): number | bigint {
    NUMBER.lastIndex = this.#at;
    const digits = NUMBER.exec(this.#text)?.[0];
    if (digits === undefined) {
      return this.#fail(this.#at < this.#text.length ? "unexpected character" : "unexpected end");
    }
    this.#at += digits.length;
    const value = Number(digits);
    if (Number.isSafeInteger(value) || digits.length > JSON_INTEGER_CHARS_MAX) return value;
    return INTEGER.test(digits) ? BigInt(digits) : value;
  }

  /** Skips whitespace. @returns the char there, NaN at the end */
  #space(): number {
    for (;;) {
      const code = this.#text.charCodeAt(this.#at);
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return code;
      this.#at++;
    }
  }

  #fail(problem: string): never {
    return invalid(`invalid JSON: ${problem} at position ${this.#at}`);
  }
}
