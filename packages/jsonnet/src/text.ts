// Numbers and strings as the language writes them, and strings as sequences of characters (code points).
import type { Runtime } from "./runtime.ts";

const SURROGATE = /[\ud800-\udfff]/;
const RARE_CONTROLS = /[\u007f-\u009f]/g;

/** Whole numbers with all their digits, others with 17 significant ones as C's `%.17g` has them. */
export function numberText(value: number): string {
  if (Number.isInteger(value)) {
    if (Object.is(value, -0)) return "-0";
    return Math.abs(value) < 1e21 ? integerText(value) : BigInt(value).toString();
  }
  return generalText(value, 17, false);
}

/** The shortest decimal that reads as the same number, without exponent: for JSON and other texts for programs. */
export function plainNumberText(value: number): string {
  if (Number.isInteger(value)) return numberText(value);
  const text = String(value);
  const split = text.indexOf("e");
  if (split === -1) return text;
  // Only small ones get here: whole numbers have no exponent.
  const sign = value < 0 ? "-" : "";
  const digits = text.slice(sign.length, split).replace(".", "");
  return `${sign}0.${"0".repeat(-Number(text.slice(split + 1)) - 1)}${digits}`;
}

function integerText(value: number): string {
  return Number.isSafeInteger(value) ? String(value) : BigInt(value).toString();
}

/** C's `%.<precision>g`; `keepZeros` as with its `#`. */
export function generalText(value: number, precision: number, keepZeros: boolean): string {
  const digitsWanted = Math.max(precision, 1);
  const scientific = value.toExponential(Math.min(digitsWanted - 1, 100));
  const split = scientific.indexOf("e");
  const exponent = Number(scientific.slice(split + 1));
  const sign = scientific.startsWith("-") ? "-" : "";
  const digits = scientific.slice(sign.length, split).replace(".", "");
  if (exponent < -4 || exponent >= digitsWanted) {
    const fraction = keepZeros ? digits.slice(1) : digits.slice(1).replace(/0+$/, "");
    return `${sign}${digits[0]!}${fraction === "" && !keepZeros ? "" : `.${fraction}`}e${exponentText(exponent)}`;
  }
  const whole = exponent < 0 ? "0" : digits.slice(0, exponent + 1);
  const rest = exponent < 0 ? "0".repeat(-exponent - 1) + digits : digits.slice(exponent + 1);
  const fraction = keepZeros ? rest : rest.replace(/0+$/, "");
  return `${sign}${whole}${fraction === "" && !keepZeros ? "" : `.${fraction}`}`;
}

/** At least two digits, with a sign. */
export function exponentText(exponent: number): string {
  const digits = String(Math.abs(exponent)).padStart(2, "0");
  return `${exponent < 0 ? "-" : "+"}${digits}`;
}

/** A JSON string. */
export function quoted(text: string): string {
  const json = JSON.stringify(text);
  return json.replace(RARE_CONTROLS, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** The order of code points, which is not that of UTF-16 units. */
export function compareText(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    let x = a.charCodeAt(i);
    let y = b.charCodeAt(i);
    if (x === y) continue;
    // Surrogates stand for characters above all others.
    if (x >= 0xd800 && y >= 0xd800) {
      x += x >= 0xe000 ? -0x800 : 0x2000;
      y += y >= 0xe000 ? -0x800 : 0x2000;
    }
    return x - y;
  }
  return a.length - b.length;
}

/** Whether each character of `text` is one UTF-16 unit. */
export function isNarrow(text: string, rt: Runtime): boolean {
  if (text === rt.narrow) return true;
  rt.step(text.length >> 8);
  if (SURROGATE.test(text)) return false;
  rt.narrow = text;
  return true;
}

/** The characters of `text`. */
export function charactersOf(text: string, rt: Runtime): readonly string[] {
  if (text === rt.wide) return rt.wideCharacters;
  rt.chargeItems(text.length);
  rt.step(text.length >> 4);
  rt.wideCharacters = Array.from(text);
  rt.wide = text;
  return rt.wideCharacters;
}

/** The number of characters of `text`. */
export function lengthOf(text: string, rt: Runtime): number {
  return isNarrow(text, rt) ? text.length : charactersOf(text, rt).length;
}
