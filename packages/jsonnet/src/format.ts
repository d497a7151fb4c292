// The `%` operator on strings and std.format: Python's rules for `%` with lists and mappings.
import { toText } from "./manifest.ts";
import { getField, hasField } from "./objects.ts";
import { item } from "./operators.ts";
import type { Runtime } from "./runtime.ts";
import { exponentText, generalText, lengthOf, numberText } from "./text.ts";
import { JArray, JObject, typeOf, type Value } from "./value.ts";

/** Width or precision: a number, or `*` for the next value. */
type Size = number | "*" | undefined;

interface Code {
  readonly key: string | undefined;
  readonly alternate: boolean;
  readonly zero: boolean;
  readonly left: boolean;
  readonly blank: boolean;
  readonly plus: boolean;
  readonly width: Size;
  readonly precision: Size;
  readonly conversion: string;
}

/** Literal text and codes by turns. */
export type Format = readonly (string | Code)[];

/** Digits that a width or a precision may have; the bound on bytes is what counts. */
const SIZE_DIGITS_MAX = 9;

/** A code takes the steps of some calls, and is kept with what it says. */
const CODE_STEPS = 4;
const CODE_BYTES = 128;

/** The parts of a format, or what is wrong with it. @param rt whose evaluation it is; a program's own text is short */
export function parseFormat(text: string, rt?: Runtime): Format | string {
  const parts: (string | Code)[] = [];
  let at = 0;
  for (;;) {
    const next = text.indexOf("%", at);
    if (next === -1) {
      if (at < text.length) parts.push(text.slice(at));
      return parts;
    }
    if (next > at) parts.push(text.slice(at, next));
    rt?.step(CODE_STEPS);
    rt?.charge(CODE_BYTES);
    // Key, flags, width, precision, a length that means nothing, conversion.
    const match = /^(?:\(([^)]*)\))?([#0\- +]*)(\*|\d*)(?:\.(\*|\d*))?[hlL]?([\s\S]?)/.exec(
      text.slice(next + 1, next + 1 + 200),
    )!;
    const [whole, key, flags = "", width = "", precision, conversion = ""] = match;
    if (conversion === "" || (conversion === "(" && key === undefined)) return "Truncated format code.";
    if (!"diouxXeEfFgGcs%".includes(conversion)) return `Unrecognised conversion type: ${conversion}`;
    if (width.length > SIZE_DIGITS_MAX || (precision ?? "").length > SIZE_DIGITS_MAX) {
      return `Format width or precision has more than ${SIZE_DIGITS_MAX} digits`;
    }
    parts.push({
      key,
      alternate: flags.includes("#"),
      zero: flags.includes("0"),
      left: flags.includes("-"),
      blank: flags.includes(" "),
      plus: flags.includes("+"),
      width: sizeOf(width),
      precision: precision === "" ? 0 : sizeOf(precision),
      conversion,
    });
    at = next + 1 + whole.length;
  }
}

function sizeOf(text: string | undefined): Size {
  if (text === undefined || text === "") return undefined;
  return text === "*" ? "*" : Number(text);
}

/** The format with `values` in it: an array, an object for codes with keys, or a single value. */
export function formatText(format: Format, values: Value, rt: Runtime): string {
  const source = values instanceof JObject ? fieldsOf(values, rt) : itemsOf(values, rt);
  let text = "";
  for (const part of format) {
    rt.step(1);
    let piece: string;
    if (typeof part === "string") piece = part;
    else {
      const width = source.size(part.width) ?? 0;
      const precision = source.size(part.precision);
      const index = source.taken();
      piece =
        part.conversion === "%" ? "%" : convert(part, source.value(part), { width, precision, index }, rt);
      piece = pad(piece, width, part.left, rt);
    }
    rt.charge(piece.length);
    text += piece;
  }
  source.end();
  return text;
}

/** Where values come from. */
interface Values {
  value(code: Code): Value;
  size(size: Size): number | undefined;
  /** How many values were taken. */
  taken(): number;
  end(): void;
}

function itemsOf(values: Value, rt: Runtime): Values {
  const array = values instanceof JArray ? values : new JArray([values]);
  const count = array.items.length;
  let at = 0;
  const next = (): Value => {
    if (at >= count) rt.fail(`Not enough values to format: ${count}, expected more than ${at}`);
    return item(array, at++, rt);
  };
  return {
    value: next,
    size: (size) => {
      if (size !== "*") return size;
      const value = next();
      return typeof value === "number" ? Math.trunc(value) : rt.failType(value, "number", typeOf);
    },
    taken: () => at,
    end: () => {
      if (at < count) rt.fail(`Too many values to format: ${count}, expected ${at}`);
    },
  };
}

function fieldsOf(object: JObject, rt: Runtime): Values {
  let taken = 0;
  return {
    value: ({ key }) => {
      taken++;
      if (key === undefined) rt.fail("Mapping keys required.");
      if (!hasField(object, key, rt)) rt.fail(`No such field: ${key}`);
      return getField(object, key, rt, rt.sites[rt.depth - 1]!);
    },
    size: (size) => (size === "*" ? rt.fail("Cannot use * field width with object.") : size),
    taken: () => taken,
    end: () => undefined,
  };
}

interface Sizes {
  readonly width: number;
  readonly precision: number | undefined;
  readonly index: number;
}

function convert(code: Code, value: Value, sizes: Sizes, rt: Runtime): string {
  switch (code.conversion) {
    case "s":
      return toText(value, rt, rt.sites[rt.depth - 1]!);
    case "c":
      return character(value, rt);
    default:
      break;
  }
  if (typeof value !== "number") rt.fail(`Format required number at ${sizes.index}, got ${typeOf(value)}`);
  rt.charge(Math.min(sizes.precision ?? 6, Number.MAX_SAFE_INTEGER) + 400);
  const { digits, prefix } = "diouxX".includes(code.conversion)
    ? integerDigits(code, value, sizes.precision ?? 0)
    : { digits: floatDigits(code, Math.abs(value), sizes.precision ?? 6), prefix: "" };
  const negative = "diouxX".includes(code.conversion) ? value <= -1 : value < 0;
  const sign = negative ? "-" : code.plus ? "+" : code.blank ? " " : "";
  const head = sign + prefix;
  const wanted = code.zero && !code.left ? sizes.width - head.length : 0;
  rt.charge(Math.max(0, wanted));
  return head + digits.padStart(wanted, "0");
}

function integerDigits(code: Code, value: number, precision: number): { digits: string; prefix: string } {
  const whole = Math.trunc(Math.abs(value));
  const { conversion } = code;
  const radix = conversion === "o" ? 8 : conversion === "x" || conversion === "X" ? 16 : 10;
  let digits = Number.isSafeInteger(whole) ? whole.toString(radix) : BigInt(whole).toString(radix);
  if (conversion === "X") digits = digits.toUpperCase();
  let prefix = "";
  if (code.alternate && radix === 16) prefix = conversion === "X" ? "0X" : "0x";
  if (code.alternate && radix === 8 && digits !== "0") digits = `0${digits}`;
  return { digits: digits.padStart(precision, "0"), prefix };
}

/** Digits that JavaScript gives at most behind the point; zeros follow. */
const FRACTION_DIGITS_MAX = 100;

function floatDigits(code: Code, value: number, precision: number): string {
  const upper = code.conversion === code.conversion.toUpperCase();
  switch (code.conversion) {
    case "f":
    case "F":
      return point(fixedText(value, precision), precision, code);
    case "e":
    case "E": {
      const text = value.toExponential(Math.min(precision, FRACTION_DIGITS_MAX));
      const split = text.indexOf("e");
      const mantissa = text.slice(0, split) + "0".repeat(Math.max(0, precision - FRACTION_DIGITS_MAX));
      const digits = `${point(mantissa, precision, code)}e${exponentText(Number(text.slice(split + 1)))}`;
      return upper ? digits.toUpperCase() : digits;
    }
    default: {
      const text = generalText(value, precision, code.alternate);
      return upper ? text.toUpperCase() : text;
    }
  }
}

/** `1.` instead of `1` for the alternate form. */
function point(digits: string, precision: number, code: Code): string {
  return precision === 0 && code.alternate ? `${digits}.` : digits;
}

/** Rounds halves up, on the value times a power of ten where that is exact enough, as the language does. */
function fixedText(value: number, precision: number): string {
  const scaled = value * 10 ** precision + 0.5;
  if (precision <= 15 && scaled < Number.MAX_SAFE_INTEGER) {
    const digits = String(Math.floor(scaled)).padStart(precision + 1, "0");
    if (precision === 0) return digits;
    return `${digits.slice(0, -precision)}.${digits.slice(-precision)}`;
  }
  if (value < 1e21) {
    return (
      value.toFixed(Math.min(precision, FRACTION_DIGITS_MAX)) +
      "0".repeat(Math.max(0, precision - FRACTION_DIGITS_MAX))
    );
  }
  return numberText(value) + (precision === 0 ? "" : `.${"0".repeat(precision)}`);
}

function character(value: Value, rt: Runtime): string {
  if (typeof value === "number") return characterOf(value, rt);
  if (typeof value !== "string") return rt.fail(`%c expected number / string, got: ${typeOf(value)}`);
  const length = lengthOf(value, rt);
  if (length !== 1) rt.fail(`%c expected 1-sized string got: ${length}`);
  return value;
}

/** The character with this code point. */
export function characterOf(value: number, rt: Runtime): string {
  const code = Math.trunc(value);
  if (code < 0) rt.fail(`Codepoints must be >= 0, got ${String(code)}`);
  if (code > 0x10ffff) rt.fail(`Invalid unicode codepoint, got ${String(code)}`);
  return code >= 0xd800 && code <= 0xdfff ? "\ufffd" : String.fromCodePoint(code);
}

function pad(text: string, width: number, left: boolean, rt: Runtime): string {
  if (text.length >= width) return text;
  const missing = width - lengthOf(text, rt);
  if (missing <= 0) return text;
  rt.charge(missing);
  return left ? text + " ".repeat(missing) : " ".repeat(missing) + text;
}
