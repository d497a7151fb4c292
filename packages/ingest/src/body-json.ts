// Scans one JSON value in place: checks that it is JSON (RFC 8259, UTF-8) and notes where the wanted values lie,
// without making a string or an object of anything. The oracle of its tests is JSON.parse: what one accepts, the
// other accepts, except that nesting is bounded here and malformed UTF-8 is refused.
//
// S1 Of a repeated key the last one counts, as in JSON.parse, with everything below it.
// S2 In line mode (NDJSON) a newline ends the record wherever it stands.
import { BodyBytes, text } from "@millrace/base";
import { firstByteOf, specialBits } from "./body-bits.ts";
import type { PathNode, PathTree } from "./mapping-path.ts";

/** What was found at a slot. A plain string has no escapes. */
export const KIND = {
  missing: 0,
  plainString: 1,
  escapedString: 2,
  number: 3,
  true: 4,
  false: 5,
  null: 6,
  object: 7,
  array: 8,
} as const;
export type Kind = (typeof KIND)[keyof typeof KIND];

export const JSON_DEPTH_MAX = 512;

const OPEN_OBJECT = 1;
const OPEN_ARRAY = 2;
const EMPTY = new BodyBytes(new Uint8Array(0));

const DIGIT = new Uint8Array(256);
for (let i = 0x30; i <= 0x39; i++) DIGIT[i] = 1;
const HEX = new Uint8Array(256);
for (const c of "0123456789abcdefABCDEF") HEX[c.charCodeAt(0)] = 1;
/** Whitespace; the second table is line mode's. */
const SPACE = new Uint8Array(256);
const LINE_SPACE = new Uint8Array(256);
for (const c of [0x20, 0x09, 0x0d]) SPACE[c] = LINE_SPACE[c] = 1;
SPACE[0x0a] = 1;

/** Scans values; holds the places of the last one. One per door: scanning is synchronous. */
export class JsonScanner {
  /** What the places refer to. */
  bytes: Uint8Array = EMPTY.bytes;
  #view = EMPTY.view;
  /** Of each slot: what it is and the half-open range of its bytes, a string's with its quotes. */
  kinds = new Uint8Array(0);
  begins = new Int32Array(0);
  ends = new Int32Array(0);
  /** Range of the last value, without whitespace around it. */
  valueBegin = 0;
  valueEnd = 0;
  /** After a refusal: what was wrong, and where in the bytes. */
  problem = "";
  problemAt = 0;

  #root: PathNode | undefined;
  #slots = 0;
  #end = 0;
  #space = SPACE;
  /** Whether the last string has escapes. */
  #escaped = false;
  /** The child that the last key named, if it is wanted. */
  #matched: PathNode | undefined;
  readonly #open = new Uint8Array(JSON_DEPTH_MAX + 1);
  readonly #nodes: (PathNode | undefined)[] = [];
  readonly #items = new Int32Array(JSON_DEPTH_MAX + 1);

  /** What to look for from now on. */
  use(tree: PathTree): void {
    this.#root = tree.slots === 0 ? undefined : tree.root;
    this.#slots = tree.slots;
    if (this.kinds.length >= tree.slots) return;
    this.kinds = new Uint8Array(tree.slots);
    this.begins = new Int32Array(tree.slots);
    this.ends = new Int32Array(tree.slots);
  }

  /** Forgets the places of the last value: every slot is missing. */
  clear(): void {
    for (let slot = 0; slot < this.#slots; slot++) this.kinds[slot] = KIND.missing;
  }

  /**
   * Scans the value that begins at `begin`, after whitespace. @returns the position behind the value and the
   * whitespace after it, or -1 with `problem` and `problemAt`
   */
  scan(body: BodyBytes, begin: number, end: number, lineMode: boolean): number {
    this.clear();
    this.bytes = body.bytes;
    this.#view = body.view;
    this.#end = end;
    this.#space = lineMode ? LINE_SPACE : SPACE;
    this.valueBegin = this.#skipSpace(begin);
    const after = this.#value(this.valueBegin, this.#root);
    if (after < 0) return -1;
    this.valueEnd = after;
    return this.#skipSpace(after);
  }

  /** Scans the whole of body[begin, end) as one value. @returns whether it is JSON */
  scanWhole(body: BodyBytes, begin: number, end: number): boolean {
    const after = this.scan(body, begin, end, false);
    if (after < 0) return false;
    if (after === end) return true;
    this.#fail(after, "unexpected data after the value");
    return false;
  }

  #skipSpace(from: number): number {
    const bytes = this.bytes;
    const space = this.#space;
    const end = this.#end;
    let at = from;
    while (at < end && space[bytes[at]!] === 1) at++;
    return at;
  }

  /**
   * Iterative, so that nesting costs no stack. Strings without escapes are scanned in line: calls there cost a third of
   * the whole. @returns the position behind the value, or -1
   */
  #value(from: number, root: PathNode | undefined): number {
    const bytes = this.bytes;
    const end = this.#end;
    let at = from;
    let depth = 0;
    let object = false;
    let node = root;
    for (;;) {
      const begin = at;
      const first = at < end ? bytes[at]! : -1;
      if (first === 0x22) {
        at = this.#plain(at + 1);
        this.#escaped = false;
        if (at < end && bytes[at] === 0x22) at++;
        else if ((at = this.#restOfString(at)) < 0) return -1;
        if (node !== undefined)
          this.#note(node, this.#escaped ? KIND.escapedString : KIND.plainString, begin, at);
        if (depth === 0) return at;
      } else if (first === 0x7b || first === 0x5b) {
        if (depth === JSON_DEPTH_MAX) return this.#fail(at, `nested deeper than ${JSON_DEPTH_MAX}`);
        depth++;
        object = first === 0x7b;
        this.#open[depth] = object ? OPEN_OBJECT : OPEN_ARRAY;
        this.#nodes[depth] = node;
        this.#items[depth] = 0;
        if (node !== undefined) this.#note(node, object ? KIND.object : KIND.array, begin, begin);
        at = this.#skipSpace(at + 1);
        const empty = at < end && bytes[at] === (object ? 0x7d : 0x5d);
        if (!empty) {
          if (object) {
            at = this.#key(at, node);
            if (at < 0) return -1;
            node = this.#matched;
          } else node = this.#item(node, 0);
          continue;
        }
      } else {
        at = this.#word(at, first, node);
        if (at < 0 || depth === 0) return at;
      }
      // Behind a value, or at the bracket that closes an empty container.
      for (;;) {
        if (at < end && bytes[at]! <= 0x20) at = this.#skipSpace(at);
        const next = at < end ? bytes[at] : -1;
        const parent = this.#nodes[depth];
        if (next === 0x2c) {
          at++;
          if (at < end && bytes[at]! <= 0x20) at = this.#skipSpace(at);
          if (object) {
            at = this.#key(at, parent);
            if (at < 0) return -1;
            node = this.#matched;
          } else node = this.#item(parent, ++this.#items[depth]!);
          break;
        }
        if (next !== (object ? 0x7d : 0x5d))
          return this.#unexpected(at, object ? "',' or '}'" : "',' or ']'");
        at++;
        if (parent !== undefined && parent.slot >= 0) this.ends[parent.slot] = at;
        if (--depth === 0) return at;
        object = this.#open[depth] === OPEN_OBJECT;
      }
    }
  }

  /** Reads `"key" :` and the whitespace around it. @returns the position of the value, or -1 */
  #key(from: number, parent: PathNode | undefined): number {
    const bytes = this.bytes;
    const end = this.#end;
    if (from >= end || bytes[from] !== 0x22) return this.#unexpected(from, "a key");
    let at = this.#plain(from + 1);
    this.#escaped = false;
    if (at < end && bytes[at] === 0x22) at++;
    else if ((at = this.#restOfString(at)) < 0) return -1;
    this.#matched = undefined;
    if (parent !== undefined && parent.hasKeys) {
      this.#matched = this.#wanted(
        this.#escaped
          ? parent.keyText(JSON.parse(text(bytes.subarray(from, at))) as string)
          : parent.key(bytes, from + 1, at - 1),
      );
    }
    if (at < end && bytes[at] !== 0x3a) at = this.#skipSpace(at);
    if (at >= end || bytes[at] !== 0x3a) return this.#unexpected(at, "':'");
    at++;
    return at < end && bytes[at]! <= 0x20 ? this.#skipSpace(at) : at;
  }

  #item(parent: PathNode | undefined, index: number): PathNode | undefined {
    return parent !== undefined && parent.hasItems ? this.#wanted(parent.item(index)) : undefined;
  }

  /** Forgets what an earlier member of the same key had (S1). */
  #wanted(node: PathNode | undefined): PathNode | undefined {
    if (node !== undefined) {
      const below = node.below;
      for (let i = 0; i < below.length; i++) this.kinds[below[i]!] = KIND.missing;
    }
    return node;
  }

  #note(node: PathNode, kind: Kind, begin: number, end: number): void {
    const slot = node.slot;
    if (slot < 0) return;
    this.kinds[slot] = kind;
    this.begins[slot] = begin;
    this.ends[slot] = end;
  }

  /** A number, true, false or null. */
  #word(at: number, first: number, node: PathNode | undefined): number {
    let after: number;
    let kind: Kind;
    if (first === 0x2d || (first >= 0x30 && first <= 0x39)) {
      after = this.#number(at);
      kind = KIND.number;
    } else if (first === 0x74) {
      after = this.#literal(at, "true");
      kind = KIND.true;
    } else if (first === 0x66) {
      after = this.#literal(at, "false");
      kind = KIND.false;
    } else if (first === 0x6e) {
      after = this.#literal(at, "null");
      kind = KIND.null;
    } else return this.#unexpected(at, "a value");
    if (after >= 0 && node !== undefined) this.#note(node, kind, at, after);
    return after;
  }

  /** @returns the position of the first byte from `at` on that is not plain, at most the end */
  #plain(from: number): number {
    const view = this.#view;
    const end = this.#end;
    let at = from;
    for (const last = end - 4; at <= last; at += 4) {
      const bits = specialBits(view.getInt32(at, true));
      if (bits !== 0) return at + firstByteOf(bits);
    }
    const bytes = this.bytes;
    for (; at < end; at++) {
      const byte = bytes[at]!;
      if (byte === 0x22 || byte === 0x5c || (byte - 0x20) >>> 0 >= 0x60) break;
    }
    return at;
  }

  /** From the first byte that is not plain. @returns the position behind the closing quote, or -1 */
  #restOfString(from: number): number {
    const bytes = this.bytes;
    const end = this.#end;
    let at = from;
    for (;;) {
      at = this.#plain(at);
      if (at >= end) return this.#fail(end, "unexpected end of a string");
      const byte = bytes[at]!;
      if (byte === 0x22) return at + 1;
      if (byte === 0x5c) {
        this.#escaped = true;
        at = this.#escape(at + 1);
      } else if (byte >= 0x80) {
        at = this.#multibyte(at);
      } else if (byte === 0x7f) {
        at++;
      } else {
        return this.#fail(
          at,
          byte === 0x0a ? "unexpected newline in a string" : "control character in a string",
        );
      }
      if (at < 0) return -1;
    }
  }

  #escape(at: number): number {
    const bytes = this.bytes;
    const byte = at < this.#end ? bytes[at]! : -1;
    switch (byte) {
      case 0x22:
      case 0x5c:
      case 0x2f:
      case 0x62:
      case 0x66:
      case 0x6e:
      case 0x72:
      case 0x74:
        return at + 1;
      case 0x75:
        for (let i = 1; i <= 4; i++) {
          if (at + i >= this.#end || HEX[bytes[at + i]!] !== 1)
            return this.#fail(at + i, "invalid unicode escape");
        }
        return at + 5;
      default:
        return this.#fail(at, "invalid escape");
    }
  }

  #multibyte(at: number): number {
    const length = utf8SequenceLength(this.bytes, at, this.#end);
    return length === 0 ? this.#fail(at, "malformed UTF-8") : at + length;
  }

  #number(from: number): number {
    const bytes = this.bytes;
    const end = this.#end;
    let at = bytes[from] === 0x2d ? from + 1 : from;
    if (at >= end || DIGIT[bytes[at]!] !== 1) return this.#unexpected(at, "a digit");
    if (bytes[at] === 0x30) at++;
    else while (at < end && DIGIT[bytes[at]!] === 1) at++;
    if (at < end && bytes[at] === 0x2e) {
      at++;
      if (at >= end || DIGIT[bytes[at]!] !== 1) return this.#unexpected(at, "a digit");
      while (at < end && DIGIT[bytes[at]!] === 1) at++;
    }
    if (at < end && (bytes[at] === 0x65 || bytes[at] === 0x45)) {
      at++;
      if (at < end && (bytes[at] === 0x2b || bytes[at] === 0x2d)) at++;
      if (at >= end || DIGIT[bytes[at]!] !== 1) return this.#unexpected(at, "a digit");
      while (at < end && DIGIT[bytes[at]!] === 1) at++;
    }
    return at;
  }

  #literal(at: number, word: "true" | "false" | "null"): number {
    for (let i = 0; i < word.length; i++) {
      if (at + i >= this.#end || this.bytes[at + i] !== word.charCodeAt(i))
        return this.#unexpected(at + i, word);
    }
    return at + word.length;
  }

  #unexpected(at: number, expected: string): -1 {
    if (at >= this.#end) return this.#fail(this.#end, `unexpected end, expected ${expected}`);
    const byte = this.bytes[at]!;
    if (byte === 0x0a) return this.#fail(at, `unexpected end of the line, expected ${expected}`);
    const shown = byte > 0x20 && byte < 0x7f ? `'${String.fromCharCode(byte)}'` : `byte ${byte}`;
    return this.#fail(at, `unexpected ${shown}, expected ${expected}`);
  }

  #fail(at: number, problem: string): -1 {
    this.problem = problem;
    this.problemAt = at;
    return -1;
  }
}

/** Length (2..4) of the well-formed UTF-8 sequence of a non-ASCII character at `at`, or 0. */
export function utf8SequenceLength(bytes: Uint8Array, at: number, end: number): number {
  const lead = bytes[at]!;
  const length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || at + length > end) return 0;
  const second = bytes[at + 1]!;
  // Overlong forms, surrogates and what is beyond U+10FFFF show in the second byte.
  const low = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80;
  const high = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf;
  if (second < low || second > high) return 0;
  for (let i = 2; i < length; i++) {
    if ((bytes[at + i]! & 0xc0) !== 0x80) return 0;
  }
  return length;
}
