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

/**
 * The value that `text` is: as JSON.parse has it, but for integers beyond 2^53, which are bigints, and keys
 * `__proto__`, which are left out.
 * @throws {ValidationError} with the position in characters
 */
export function parseExactJson(text: string): unknown {
  const parser = new Parser(text);
  const value = parser.value(JSON_NESTED_MAX);
  parser.end();
  return value;
}

class Parser {
  readonly #text: string;
  #at = 0;
  #left = JSON_VALUES_MAX;

  constructor(text: string) {
    this.#text = text;
  }

  end(): void {
    this.#space();
    if (this.#at < this.#text.length) this.#fail("unexpected data after the value");
  }

  /** @param levels arrays and objects that may still open */
  value(levels: number): unknown {
    if (this.#left-- === 0) invalid(`too many values in JSON (expected <= ${JSON_VALUES_MAX})`);
    const first = this.#space();
    if (first === QUOTE) return this.#string();
    if (first === OBJECT || first === ARRAY) {
      if (levels === 0) invalid(`JSON nests too deeply (expected <= ${JSON_NESTED_MAX})`);
      this.#at++;
      return first === OBJECT ? this.#object(levels - 1) : this.#array(levels - 1);
    }
    for (const [word, value] of WORDS) {
      if (!this.#text.startsWith(word, this.#at)) continue;
      this.#at += word.length;
      return value;
    }
    return this.#number();
  }

  #object(levels: number): Record<string, unknown> {
    const object: Record<string, unknown> = {};
    if (this.#space() === OBJECT_END) {
      this.#at++;
      return object;
    }
    for (let members = 1; ; members++) {
      if (members > JSON_MEMBERS_MAX)
        invalid(`too many members in a JSON object (expected <= ${JSON_MEMBERS_MAX})`);
      if (this.#space() !== QUOTE) this.#fail("expected a string");
      const key = this.#string();
      if (this.#space() !== COLON) this.#fail("expected ':'");
      this.#at++;
      const value = this.value(levels);
      if (key !== "__proto__") object[key] = value;
      if (!this.#goesOn(OBJECT_END, "expected ',' or '}'")) return object;
    }
  }

  #array(levels: number): unknown[] {
    const array: unknown[] = [];
    if (this.#space() === ARRAY_END) {
      this.#at++;
      return array;
    }
    do array.push(this.value(levels));
    while (this.#goesOn(ARRAY_END, "expected ',' or ']'"));
    return array;
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
