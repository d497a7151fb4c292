// Go's fmt for the values of templates: Sprint, Sprintln, Sprintf. Structs without a String method cannot be printed
// here.
import { utf8 } from "@millrace/base";
import { invalid } from "@millrace/protobuf";
import { goQuote } from "./go-quote.ts";
import { TEMPLATE_OUTPUT_CHARS_MAX } from "./limits.ts";
import type { GoValue } from "./go-value.ts";

/**
 * `print`: spaces between operands neither of which is a text.
 * @throws {ValidationError} when it gives more than TEMPLATE_OUTPUT_CHARS_MAX characters
 */
export function goSprint(values: readonly GoValue[]): string {
  let out = "";
  values.forEach((given, i) => {
    const before = values[i - 1];
    if (before !== undefined && before.kind !== "string" && given.kind !== "string") out += " ";
    out = bounded(out + goText(given));
  });
  return out;
}

/** `println`, bounded as `print` is. */
export function goSprintln(values: readonly GoValue[]): string {
  let out = "";
  values.forEach((given, i) => (out = bounded(`${out}${i === 0 ? "" : " "}${goText(given)}`)));
  return `${out}\n`;
}

/** As %v. */
export function goText(given: GoValue): string {
  if (given.text !== undefined) return given.text();
  switch (given.kind) {
    case "bool":
    case "int":
    case "uint":
    case "string":
      return String(given.value);
    case "float":
      return formatFloat(given.value, "g", undefined);
    case "list":
      return `[${given.items.map((item) => goText(item)).join(" ")}]`;
    case "nil":
      return "<nil>";
    case "struct":
      return invalid(`a value of type ${given.type} cannot be printed here`);
  }
}

interface Verb {
  readonly flags: ReadonlySet<string>;
  readonly width: number | undefined;
  readonly precision: number | undefined;
  readonly verb: string;
}

const NUMBER_MAX = 1_000_000;
/** Of a float from which on it is printed with an exponent, where no precision is asked for. */
const SHORTEST_EXPONENT = 6;
const VERB = /%([-+# 0]*)(\*|\d+)?(?:\.(\*|\d*))?([^]|$)/gu;

/** `printf`. @throws {ValidationError} when it gives more than TEMPLATE_OUTPUT_CHARS_MAX characters */
export function goSprintf(format: string, values: readonly GoValue[]): string {
  let out = "";
  let at = 0;
  let used = 0;
  const star = (given: string | undefined): number | undefined => {
    if (given !== "*") return given === undefined ? undefined : Number(given);
    const number = values[used++];
    return number?.kind === "int" ? Number(number.value) : undefined;
  };
  for (const match of format.matchAll(VERB)) {
    out += format.slice(at, match.index);
    at = match.index + match[0].length;
    const given = star(match[2]);
    const isLeft = given !== undefined && given < 0;
    const flags = new Set(isLeft ? `${match[1]}-` : match[1]);
    const width = given === undefined ? undefined : Math.abs(given);
    const precision = match[3] === "" ? 0 : star(match[3]);
    const verb = match[4] ?? "";
    if (verb === "%") out += "%";
    else if (verb === "") out += "%!(NOVERB)";
    else if ((width ?? 0) > NUMBER_MAX) out += `%!(BADWIDTH)`;
    else if (used >= values.length) out += `%!${verb}(BADINDEX)`.replace("BADINDEX", "MISSING");
    else out += formatVerb({ flags, width, precision, verb }, values[used++]!);
    bounded(out);
  }
  out += format.slice(at);
  const extra = values
    .slice(used)
    .map((value) => (value.type === "" ? "<nil>" : `${value.type}=${goText(value)}`));
  return bounded(extra.length === 0 ? out : `${out}%!(EXTRA ${extra.join(", ")})`);
}

function bounded(text: string): string {
  if (text.length <= TEMPLATE_OUTPUT_CHARS_MAX) return text;
  return invalid(`more than ${TEMPLATE_OUTPUT_CHARS_MAX} characters`);
}

function formatVerb(verb: Verb, given: GoValue): string {
  if (verb.verb === "T") return pad(verb, given.type === "" ? "<nil>" : given.type);
  if (given.kind === "nil" && verb.verb !== "v") return `%!${verb.verb}(${given.type || "<nil>"})`;
  const text = given.text;
  if (text !== undefined && "vsqxX".includes(verb.verb)) return formatString(verb, text());
  if (given.kind === "list") return formatList(verb, given);
  const formatted = formatScalar(verb, given);
  return formatted ?? `%!${verb.verb}(${given.type}=${goText(given)})`;
}

function formatList(verb: Verb, given: Extract<GoValue, { kind: "list" }>): string {
  const isBytes = given.items.every(({ type }) => type === "uint8");
  if (isBytes && "xX".includes(verb.verb)) {
    const bytes = given.items.map((item) => (item.kind === "uint" ? Number(item.value) : 0));
    return pad(verb, hexOf(new Uint8Array(bytes), verb));
  }
  return `[${given.items.map((item) => formatVerb(verb, item)).join(" ")}]`;
}

function formatScalar(verb: Verb, given: GoValue): string | undefined {
  switch (given.kind) {
    case "bool":
      return "vt".includes(verb.verb) ? pad(verb, String(given.value)) : undefined;
    case "int":
    case "uint":
      return formatInteger(verb, given.value);
    case "float":
      return "vgGeEfF".includes(verb.verb) ? formatNumber(verb, given.value) : undefined;
    case "string":
      return "vsqxX".includes(verb.verb) ? formatString(verb, given.value) : undefined;
    default:
      return verb.verb === "v" ? pad(verb, goText(given)) : undefined;
  }
}

const RADIX: Readonly<Record<string, number>> = { v: 10, d: 10, b: 2, o: 8, O: 8, x: 16, X: 16 };
const PREFIX: Readonly<Record<string, string>> = { b: "0b", o: "0", x: "0x", X: "0X" };

function formatInteger(verb: Verb, value: bigint): string | undefined {
  if (verb.verb === "c" || verb.verb === "q") {
    const isRune = value >= 0n && value <= 0x10ffffn && !(value >= 0xd800n && value <= 0xdfffn);
    const char = isRune ? String.fromCodePoint(Number(value)) : "\ufffd";
    return pad(
      verb,
      verb.verb === "c" ? char : `'${char === "'" ? "\\'" : goQuote(char).slice(1, -1).replace('\\"', '"')}'`,
    );
  }
  if (verb.verb === "U") return pad(verb, `U+${value.toString(16).toUpperCase().padStart(4, "0")}`);
  const radix = Object.hasOwn(RADIX, verb.verb) ? RADIX[verb.verb]! : undefined;
  if (radix === undefined) return undefined;
  const { flags, precision } = verb;
  let digits = (value < 0n ? -value : value).toString(radix);
  if (verb.verb === "X") digits = digits.toUpperCase();
  if (precision === 0 && value === 0n) return pad({ ...verb, flags: withoutZero(flags) }, "");
  if (precision !== undefined) digits = digits.padStart(Math.min(precision, NUMBER_MAX), "0");
  const prefix = verb.verb === "O" ? "0o" : flags.has("#") ? (PREFIX[verb.verb] ?? "") : "";
  const sign = signOf(flags, value < 0n);
  return padNumber(
    { ...verb, flags: precision === undefined ? flags : withoutZero(flags) },
    sign,
    prefix,
    digits,
  );
}

function formatNumber(verb: Verb, value: number): string {
  const lower = verb.verb === "v" ? "g" : verb.verb.toLowerCase();
  const precision = verb.precision ?? (lower === "g" ? undefined : 6);
  const formatted = formatFloat(Math.abs(value), lower, precision);
  const cased = /[GE]/.test(verb.verb) ? formatted.toUpperCase() : formatted;
  return padNumber(verb, signOf(verb.flags, value < 0 || Object.is(value, -0)), "", cased);
}

/** @param precision undefined: as many digits as tell it from its neighbours */
function formatFloat(value: number, verb: string, precision: number | undefined): string {
  const digits = Math.min(precision ?? 0, 100);
  if (verb === "f" && Math.abs(value) < 1e21) return value.toFixed(digits);
  if (verb === "f") return `${BigInt(value)}${digits === 0 ? "" : "."}${"0".repeat(digits)}`;
  if (verb === "e") return goExponent(value.toExponential(digits));
  const exponential =
    precision === undefined ? value.toExponential() : value.toExponential(Math.max(digits, 1) - 1);
  const exponent = Number(exponential.slice(exponential.indexOf("e") + 1));
  if (exponent < -4 || exponent >= (precision === undefined ? SHORTEST_EXPONENT : Math.max(digits, 1)))
    return goExponent(exponential.replace(/\.?0+e/, "e"));
  const fixed = precision === undefined ? decimalOf(value) : value.toPrecision(Math.max(digits, 1));
  return fixed.includes(".") ? fixed.replace(/\.?0+$/, "") : fixed;
}

function decimalOf(value: number): string {
  const text = String(value);
  return text.includes("e") ? value.toFixed(20) : text;
}

/** At least two digits. */
function goExponent(text: string): string {
  return text.replace(/e([+-])(\d)$/, "e$10$2");
}

function formatString(verb: Verb, text: string): string {
  const { precision, flags } = verb;
  const cut = precision === undefined ? text : Array.from(text).slice(0, precision).join("");
  if (verb.verb === "q") return pad(verb, flags.has("#") && !cut.includes("`") ? `\`${cut}\`` : goQuote(cut));
  if (verb.verb !== "x" && verb.verb !== "X") return pad(verb, cut);
  const bytes = utf8(text);
  return pad(verb, hexOf(bytes.subarray(0, precision ?? bytes.length), verb));
}

function hexOf(bytes: Uint8Array, { flags, verb }: Verb): string {
  const prefix = flags.has("#") && bytes.length > 0 ? "0x" : "";
  const pairs = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0"));
  const text = prefix + pairs.join(flags.has(" ") ? ` ${prefix}` : "");
  return verb === "X" ? text.toUpperCase() : text;
}

function signOf(flags: ReadonlySet<string>, isNegative: boolean): string {
  if (isNegative) return "-";
  return flags.has("+") ? "+" : flags.has(" ") ? " " : "";
}

function withoutZero(flags: ReadonlySet<string>): ReadonlySet<string> {
  return new Set([...flags].filter((flag) => flag !== "0"));
}

function padNumber(verb: Verb, sign: string, prefix: string, digits: string): string {
  const { flags, width = 0 } = verb;
  if (!flags.has("0") || flags.has("-"))
    return pad({ ...verb, flags: withoutZero(flags) }, sign + prefix + digits);
  return sign + prefix + digits.padStart(width - sign.length - (prefix === "" ? 0 : 0), "0");
}

function pad({ flags, width = 0 }: Verb, text: string): string {
  const missing = width - Array.from(text).length;
  if (missing <= 0) return text;
  if (flags.has("-")) return text + " ".repeat(missing);
  return (flags.has("0") ? "0" : " ").repeat(missing) + text;
}
