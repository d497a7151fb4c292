// std: strings.
import type { BuiltinTable } from "./std.ts";
import { modulo } from "./compile-operators.ts";
import { characterOf } from "./format.ts";
import { toText } from "./manifest.ts";
import type { Runtime } from "./runtime.ts";
import { wantInteger, wantNumber, wantString } from "./std-check.ts";
import { here } from "./std-types.ts";
import { placesOf } from "./text-search.ts";
import { charactersOf, isNarrow, lengthOf, numberText } from "./text.ts";
import { JArray, typeOf, type Value } from "./value.ts";

/** Outside of the table, where its name would be taken for that of Object.prototype. */
const TO_STRING: BuiltinTable[string] = ["a", (rt, a) => toText(a, rt, here(rt))];

export const STRINGS: BuiltinTable = {
  toString: TO_STRING,
  codepoint: [
    "str",
    (rt, text) => {
      const string = wantString(text, rt);
      const length = lengthOf(string, rt);
      if (length !== 1) rt.fail(`codepoint takes a string of length 1, got length ${length}`);
      return string.codePointAt(0)!;
    },
  ],
  char: ["n", (rt, n) => characterOf(wantNumber(n, rt), rt)],
  substr: ["str from len", (rt, text, from, length) => substring(rt, text, from, length)],
  findSubstr: ["pat str", (rt, pattern, text) => findAll(wantString(pattern, rt), wantString(text, rt), rt)],
  startsWith: ["a b", (rt, a, b) => looked(a, rt).startsWith(looked(b, rt))],
  endsWith: ["a b", (rt, a, b) => looked(a, rt).endsWith(looked(b, rt))],
  stripChars: ["str chars", (rt, text, chars) => strip(text, chars, true, true, rt)],
  lstripChars: ["str chars", (rt, text, chars) => strip(text, chars, true, false, rt)],
  rstripChars: ["str chars", (rt, text, chars) => strip(text, chars, false, true, rt)],
  trim: ["str", (rt, text) => strip(text, " \t\n\f\r\u0085\u00a0", true, true, rt)],
  split: ["str c", (rt, text, by) => split("split", text, by, -1, rt)],
  splitLimit: ["str c maxsplits", (rt, text, by, most) => split("splitLimit", text, by, most, rt)],
  splitLimitR: ["str c maxsplits", (rt, text, by, most) => splitRight(text, by, most, rt)],
  strReplace: ["str from to", (rt, text, from, to) => replace(rt, text, from, to)],
  isEmpty: ["str", (rt, text) => wantString(text, rt) === ""],
  equalsIgnoreCase: [
    "str1 str2",
    (rt, a, b) => {
      const [one, other] = [wantString(a, rt), wantString(b, rt)];
      return one.length === other.length && asciiCase(one, "lower", rt) === asciiCase(other, "lower", rt);
    },
  ],
  asciiUpper: ["str", (rt, text) => asciiCase(wantString(text, rt), "upper", rt)],
  asciiLower: ["str", (rt, text) => asciiCase(wantString(text, rt), "lower", rt)],
  stringChars: ["str", (rt, text) => new JArray([...charactersOf(wantString(text, rt), rt)])],
  format: [
    "str vals",
    (rt, text, values) => {
      if (typeof text !== "string") rt.failType(text, "string", typeOf);
      return modulo(text, values, rt, here(rt));
    },
  ],
  resolvePath: [
    "f r",
    (rt, file, name) => {
      const path = wantString(file, rt);
      return made(path.slice(0, path.lastIndexOf("/") + 1) + wantString(name, rt), rt);
    },
  ],
  parseInt: ["str", (rt, text) => parseInteger(looked(text, rt), rt)],
  parseOctal: ["str", (rt, text) => parseDigits(looked(text, rt), 8, "octal", rt)],
  parseHex: ["str", (rt, text) => parseDigits(looked(text, rt), 16, "hexadecimal", rt)],
};

/** Code units that are made a string at once: they are arguments of a call. */
const PIECE_UNITS = 4096;

function made(text: string, rt: Runtime): string {
  rt.charge(text.length);
  return text;
}

/** A text that is looked through, which takes steps. */
function looked(value: Value, rt: Runtime): string {
  const text = wantString(value, rt);
  rt.step(text.length >> 8);
  return text;
}

/** The letters of ASCII in one case, others as they are. */
function asciiCase(text: string, wanted: "upper" | "lower", rt: Runtime): string {
  rt.charge(text.length);
  rt.step(text.length >> 6);
  if (!/[\u0080-\uffff]/.test(text)) return wanted === "upper" ? text.toUpperCase() : text.toLowerCase();
  rt.charge(text.length);
  rt.step(text.length >> 4);
  const first = wanted === "upper" ? 0x61 : 0x41;
  const pieces: string[] = [];
  const units = new Uint16Array(PIECE_UNITS);
  for (let at = 0; at < text.length; at += PIECE_UNITS) {
    const count = Math.min(PIECE_UNITS, text.length - at);
    for (let i = 0; i < count; i++) {
      const unit = text.charCodeAt(at + i);
      units[i] = unit >= first && unit < first + 26 ? unit ^ 0x20 : unit;
    }
    pieces.push(String.fromCharCode(...units.subarray(0, count)));
  }
  return pieces.join("");
}

function substring(rt: Runtime, text: Value, from: Value, length: Value): string {
  if (typeof text !== "string") rt.fail(`substr first parameter should be a string, got ${typeOf(text)}`);
  const begin = substringBound("second", from, rt);
  const count = substringBound("third", length, rt);
  if (isNarrow(text, rt)) return made(text.slice(begin, begin + count), rt);
  return made(
    charactersOf(text, rt)
      .slice(begin, begin + count)
      .join(""),
    rt,
  );
}

function substringBound(which: string, value: Value, rt: Runtime): number {
  if (typeof value !== "number")
    return rt.fail(`substr ${which} parameter should be a number, got ${typeOf(value)}`);
  if (!Number.isInteger(value))
    rt.fail(`substr ${which} parameter should be an integer, got ${numberText(value)}`);
  if (value < 0) rt.fail(`substr ${which} parameter should be greater than zero, got ${numberText(value)}`);
  return value;
}

/** Places of `pattern`, also such that overlap. */
function findAll(pattern: string, text: string, rt: Runtime): JArray {
  const found: number[] = [];
  if (pattern === "") return new JArray(found);
  const places = placesOf(text, pattern, rt, { overlapping: true });
  if (isNarrow(text, rt)) return new JArray(places);
  let characters = 0;
  let counted = 0;
  for (const at of places) {
    for (; counted < at; counted++) {
      const unit = text.charCodeAt(counted);
      if (unit < 0xdc00 || unit > 0xdfff) characters++;
    }
    found.push(characters);
  }
  return new JArray(found);
}

function strip(text: Value, chars: Value, left: boolean, right: boolean, rt: Runtime): string {
  const characters = isNarrow(wantString(text, rt), rt)
    ? wantString(text, rt)
    : charactersOf(wantString(text, rt), rt);
  const gone = new Set(charactersOf(wantString(chars, rt), rt));
  let begin = 0;
  let end = characters.length;
  if (left) while (begin < end && gone.has(characters[begin]!)) begin++;
  if (right) while (end > begin && gone.has(characters[end - 1]!)) end--;
  rt.step((begin + characters.length - end) >> 4);
  const rest = characters.slice(begin, end);
  return made(typeof rest === "string" ? rest : rest.join(""), rt);
}

function separator(name: string, by: Value, rt: Runtime): string {
  const text = wantString(by, rt);
  if (text === "") rt.fail(`std.${name} second parameter should have length 1 or greater, got 0`);
  return text;
}

function splitCount(name: string, most: Value, rt: Runtime): number {
  const count = wantInteger(most, rt);
  if (count < -1)
    rt.fail(`std.${name} third parameter should be -1 or non-negative, got ${numberText(count)}`);
  return count === -1 ? Number.POSITIVE_INFINITY : count;
}

function split(name: string, value: Value, by: Value, most: Value, rt: Runtime): JArray {
  const text = wantString(value, rt);
  const between = separator(name, by, rt);
  const limit = splitCount(name, most, rt);
  const parts: string[] = [];
  let from = 0;
  for (const at of placesOf(text, between, rt, { most: limit })) {
    rt.charge(32);
    parts.push(text.slice(from, at));
    from = at + between.length;
  }
  rt.charge(text.length);
  parts.push(text.slice(from));
  return new JArray(parts);
}

function splitRight(value: Value, by: Value, most: Value, rt: Runtime): JArray {
  const text = wantString(value, rt);
  const between = separator("splitLimitR", by, rt);
  const limit = splitCount("splitLimitR", most, rt);
  const parts: string[] = [];
  let to = text.length;
  for (const at of placesOf(text, between, rt, { most: limit, fromEnd: true })) {
    rt.charge(32);
    parts.push(text.slice(at + between.length, to));
    to = at;
  }
  rt.charge(text.length);
  parts.push(text.slice(0, to));
  return new JArray(parts.reverse());
}

function replace(rt: Runtime, value: Value, from: Value, to: Value): string {
  const [text, old, replacement] = [wantString(value, rt), wantString(from, rt), wantString(to, rt)];
  if (old === "") rt.fail("'from' string must not be zero length.");
  const parts: string[] = [];
  let begin = 0;
  for (const at of placesOf(text, old, rt)) {
    rt.charge(at - begin + replacement.length + 16);
    parts.push(text.slice(begin, at));
    begin = at + old.length;
  }
  rt.charge(text.length - begin);
  parts.push(text.slice(begin));
  return parts.join(replacement);
}

function parseInteger(text: string, rt: Runtime): number {
  rt.step(text.length >> 5);
  const match = /^[+-]?[0-9]+$/.exec(text);
  const value = Number(text);
  if (match === null || !Number.isFinite(value)) return rt.fail(`${text} is not a base 10 integer`);
  return value;
}

function parseDigits(text: string, radix: 8 | 16, what: string, rt: Runtime): number {
  rt.step(text.length >> 5);
  if (text === "") rt.fail(`Not ${what}: ""`);
  if (!(radix === 8 ? /^[0-7]+$/ : /^[0-9a-fA-F]+$/).test(text))
    rt.fail(`${text} is not a base ${radix} integer`);
  const value = Number(`${radix === 8 ? "0o" : "0x"}${text}`);
  return Number.isFinite(value) ? value : rt.fail("Overflow");
}
