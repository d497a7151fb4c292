// std: bytes, hashes, JSON and YAML as texts.
import type { BuiltinTable } from "./std.ts";
import { fromHost } from "./host.ts";
import { toText } from "./manifest.ts";
import { item } from "./operators.ts";
import type { Runtime } from "./runtime.ts";
import { wantArray, wantNumber, wantString } from "./std-check.ts";
import { here } from "./std-types.ts";
import { parseYaml } from "./std-yaml.ts";
import { hashHex, type HashName } from "./system-hash.ts";
import { quoted } from "./text.ts";
import { JArray, typeOf, type Value } from "./value.ts";

const BASE64_ALPHABET = new TextEncoder().encode(
  "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
);
const BASE64_CHARACTERS = /^[A-Za-z0-9+/]*={0,2}$/;

const TEXT = new TextDecoder("utf-8", { ignoreBOM: true });

/** What is wrong with an array that should be bytes. */
interface Complaints {
  type(value: Value, rt: Runtime): never;
  range(value: number): string;
}

const BASE64_COMPLAINTS: Complaints = {
  type: (value, rt) => rt.fail(`base64 encountered a non-integer value in the array, got ${typeOf(value)}`),
  range: (value) =>
    `base64 encountered invalid codepoint value in the array (must be 0 <= X <= 255), got ${String(value)}`,
};

const UTF8_COMPLAINTS: Complaints = {
  type: (value, rt) => rt.fail(`Expected an integer, but got ${String(wantNumber(value, rt))}`),
  range: (value) => `Bytes must be integers in range [0, 255], got ${String(value)}`,
};

export const ENCODINGS: BuiltinTable = {
  md5: ["s", hash("md5")],
  sha1: ["s", hash("sha1")],
  sha256: ["s", hash("sha256")],
  sha512: ["s", hash("sha512")],
  sha3: ["s", hash("sha3-512")],
  base64: ["input", (rt, input) => base64(input, rt)],
  base64Decode: ["str", (rt, text) => TEXT.decode(bytesOfBase64("base64Decode", text, rt))],
  base64DecodeBytes: ["str", (rt, text) => new JArray([...bytesOfBase64("base64DecodeBytes", text, rt)])],
  encodeUTF8: [
    "str",
    (rt, text) => {
      rt.chargeItems(3 * wantString(text, rt).length);
      rt.step(wantString(text, rt).length >> 4);
      return new JArray([...new TextEncoder().encode(wantString(text, rt))]);
    },
  ],
  decodeUTF8: [
    "arr",
    (rt, array) => {
      return TEXT.decode(bytesOf(wantArray(array, rt), UTF8_COMPLAINTS, rt));
    },
  ],
  parseJson: ["str", (rt, text) => parseJson(wantString(text, rt), rt)],
  parseYaml: ["str", (rt, text) => parseYaml(wantString(text, rt), rt)],
  escapeStringJson: ["str_", (rt, text) => escaped(text, rt, quoted)],
  escapeStringPython: ["str", (rt, text) => escaped(text, rt, quoted)],
  escapeStringBash: ["str_", (rt, text) => escaped(text, rt, (s) => `'${s.replaceAll("'", `'"'"'`)}'`)],
  escapeStringDollars: ["str_", (rt, text) => escaped(text, rt, (s) => s.replaceAll("$", "$$$$"))],
  escapeStringXML: ["str_", (rt, text) => escaped(text, rt, xmlText)],
  escapeStringXml: ["str_", (rt, text) => escaped(text, rt, xmlText)],
};

/** Of a hash of nothing. */
const HASH_STEPS = 32;

function hash(name: HashName): BuiltinTable[string][1] {
  return (rt, text) => {
    const bytes = wantString(text, rt);
    rt.step(HASH_STEPS + (bytes.length >> 5));
    return hashHex(name, bytes);
  };
}

function escaped(value: Value, rt: Runtime, escape: (text: string) => string): string {
  const text = toText(value, rt, here(rt));
  // The longest escape is six characters.
  rt.charge(6 * text.length);
  rt.step(text.length >> 4);
  return escape(text);
}

const XML: Readonly<Record<string, string>> = {
  "<": "&lt;",
  ">": "&gt;",
  "&": "&amp;",
  '"': "&quot;",
  "'": "&apos;",
};

export function xmlText(text: string): string {
  return text.replace(/[<>&"']/g, (c) => XML[c]!);
}

function bytesOf(array: JArray, complain: Complaints, rt: Runtime): Uint8Array {
  rt.charge(array.items.length);
  const bytes = new Uint8Array(array.items.length);
  for (let i = 0; i < bytes.length; i++) {
    rt.step(1);
    const value = item(array, i, rt);
    const byte = typeof value === "number" && Number.isInteger(value) ? value : complain.type(value, rt);
    if (byte < 0 || byte > 255) rt.fail(complain.range(byte));
    bytes[i] = byte;
  }
  return bytes;
}

/** Of a string its UTF-8; characters above 255 are refused, as the language has it. */
function base64(input: Value, rt: Runtime): string {
  if (input instanceof JArray) {
    const bytes = bytesOf(input, BASE64_COMPLAINTS, rt);
    rt.charge(2 * bytes.length);
    return toBase64(bytes, rt);
  }
  if (typeof input !== "string") {
    return rt.fail(`base64 can only base64 encode strings / arrays of single bytes, got ${typeOf(input)}`);
  }
  rt.charge(3 * input.length);
  const wide = input.search(/[\u0100-\uffff]/);
  if (wide !== -1) rt.fail(BASE64_COMPLAINTS.range(input.codePointAt(wide)!));
  return toBase64(new TextEncoder().encode(input), rt);
}

function toBase64(bytes: Uint8Array, rt: Runtime): string {
  rt.step(bytes.length >> 5);
  const { length } = bytes;
  const out = new Uint8Array(4 * Math.ceil(length / 3)).fill(0x3d);
  for (let from = 0, to = 0; from < length; from += 3, to += 4) {
    const bits = (bytes[from]! << 16) | ((bytes[from + 1] ?? 0) << 8) | (bytes[from + 2] ?? 0);
    out[to] = BASE64_ALPHABET[bits >> 18]!;
    out[to + 1] = BASE64_ALPHABET[(bits >> 12) & 63]!;
    if (from + 1 < length) out[to + 2] = BASE64_ALPHABET[(bits >> 6) & 63]!;
    if (from + 2 < length) out[to + 3] = BASE64_ALPHABET[bits & 63]!;
  }
  return TEXT.decode(out);
}

function bytesOfBase64(name: string, value: Value, rt: Runtime): Uint8Array {
  if (typeof value !== "string") return rt.fail(`${name} requires a string, got ${typeOf(value)}`);
  if (value.length % 4 !== 0) {
    rt.fail(`input string appears not to be a base64 encoded string. Wrong length found (${value.length})`);
  }
  const match = BASE64_CHARACTERS.test(value);
  if (!match)
    rt.fail(`failed to decode: illegal base64 data at input byte ${value.search(/[^A-Za-z0-9+/]/)}`);
  rt.chargeItems(value.length);
  rt.step(value.length >> 4);
  const binary = atob(value);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

function parseJson(text: string, rt: Runtime): Value {
  // Not less than what the text may become.
  rt.charge(8 * text.length);
  rt.step(text.length >> 5);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return rt.fail(`failed to parse JSON: ${(error as Error).message}`, undefined, error);
  }
  return fromHost(value, rt, here(rt));
}
