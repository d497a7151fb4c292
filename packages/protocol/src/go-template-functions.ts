// The functions of Go's text/template. `and` and `or` are known here and evaluated by go-template-run.ts: they leave
// operands unevaluated. Left out: `call`, `js`.
import { compareBytes, text as textOf, utf8 } from "@millrace/base";
import { invalid } from "@millrace/protobuf";
import { goSprint, goSprintf, goSprintln } from "./go-printf.ts";
import { goBool, goInt, goString, isTrue, lengthOf, NOTHING, type GoValue } from "./go-value.ts";

export interface TemplateFunction {
  /** Types of its fixed parameters; undefined takes any. */
  readonly fixed: readonly (string | undefined)[];
  readonly isVariadic: boolean;
  /** @throws {ValidationError} with the reason alone */
  readonly call: (...given: readonly GoValue[]) => GoValue;
}

function fixed(count: number, call: TemplateFunction["call"], isVariadic = false): TemplateFunction {
  return { fixed: Array.from({ length: count }, () => undefined), isVariadic, call };
}

const FUNCTIONS: Readonly<Record<string, TemplateFunction>> = {
  and: fixed(1, () => NOTHING, true),
  or: fixed(1, () => NOTHING, true),
  not: fixed(1, (given) => goBool(!isTrue(given))),
  eq: fixed(1, (first, ...others) => goBool(isEqualToOne(first, others)), true),
  ne: fixed(2, (a, b) => goBool(!isEqualToOne(a, [b]))),
  lt: fixed(2, (a, b) => goBool(isLess(a, b))),
  le: fixed(2, (a, b) => goBool(isLess(a, b) || isEqualToOne(a, [b]))),
  gt: fixed(2, (a, b) => goBool(!(isLess(a, b) || isEqualToOne(a, [b])))),
  ge: fixed(2, (a, b) => goBool(!isLess(a, b))),
  len: fixed(1, (given) => goInt(lengthOf(given) ?? invalid(noLength(given)))),
  index: fixed(1, (list, ...at) => at.reduce(itemAt, list), true),
  slice: fixed(1, (list, ...at) => sliceOf(list, at), true),
  print: fixed(0, (...given) => goString(goSprint(given)), true),
  println: fixed(0, (...given) => goString(goSprintln(given)), true),
  printf: {
    fixed: ["string"],
    isVariadic: true,
    call: (format, ...given) => goString(goSprintf(textIn(format), given)),
  },
  html: fixed(0, (...given) => goString(evaluated(given).replace(/["'&<>\0]/g, (char) => HTML[char]!)), true),
  urlquery: fixed(0, (...given) => goString(escapeQuery(evaluated(given))), true),
};

const HTML: Readonly<Record<string, string>> = {
  '"': "&#34;",
  "'": "&#39;",
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  "\0": "\ufffd",
};

export function isTemplateFunction(name: string): boolean {
  return Object.hasOwn(FUNCTIONS, name);
}

/** @param name of a function that there is */
export function templateFunction(name: string): TemplateFunction {
  return FUNCTIONS[name]!;
}

function textIn(given: GoValue | undefined): string {
  return given?.kind === "string" ? given.value : "";
}

function evaluated(given: readonly GoValue[]): string {
  return given.length === 1 && given[0]!.kind === "string" ? given[0]!.value : goSprint(given);
}

function escapeQuery(text: string): string {
  return Array.from(utf8(text), (byte) => {
    const char = String.fromCharCode(byte);
    if (/[A-Za-z0-9\-_.~]/.test(char)) return char;
    return char === " " ? "+" : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }).join("");
}

function noLength({ kind, type }: GoValue): string {
  if (kind !== "nil") return `len of type ${type}`;
  return type === "" ? "reflect: call of reflect.Value.Type on zero Value" : "len of nil pointer";
}

function isInteger(given: GoValue): given is Extract<GoValue, { kind: "int" | "uint" }> {
  return given.kind === "int" || given.kind === "uint";
}

function isBasic({ kind }: GoValue): boolean {
  return kind !== "list" && kind !== "struct" && kind !== "nil";
}

function isEqualToOne(first: GoValue, others: readonly GoValue[]): boolean {
  if (others.length === 0) return invalid("missing argument for comparison");
  return others.some((other) => isEqual(first, other));
}

function isEqual(a: GoValue, b: GoValue): boolean {
  if (isInteger(a) && isInteger(b)) return a.value === b.value;
  if (isNil(a) || isNil(b)) return isNil(a) && isNil(b);
  if (a.kind !== b.kind && (isBasic(a) || isBasic(b)))
    return invalid(`incompatible types for comparison: ${a.type} and ${b.type}`);
  if (!isBasic(a)) return invalid(`values of type ${a.type} cannot be compared here`);
  return "value" in a && "value" in b && a.value === b.value;
}

/** Lists come from specs, where one without elements is nil. */
function isNil(given: GoValue): boolean {
  return given.kind === "nil" || (given.kind === "list" && given.items.length === 0);
}

function isLess(a: GoValue, b: GoValue): boolean {
  if (isInteger(a) && isInteger(b)) return a.value < b.value;
  if (!isBasic(a) || !isBasic(b)) return invalid("invalid type for comparison");
  if (a.kind !== b.kind) return invalid(`incompatible types for comparison: ${a.type} and ${b.type}`);
  if (a.kind === "float" && b.kind === "float") return a.value < b.value;
  if (a.kind === "string" && b.kind === "string") return compareBytes(utf8(a.value), utf8(b.value)) < 0;
  return invalid("invalid type for comparison");
}

/** @param end largest index that is let through */
function indexOf(given: GoValue, end: number): number {
  if (given.kind === "nil") return invalid("cannot index slice/array with nil");
  if (!isInteger(given)) return invalid(`cannot index slice/array with type ${given.type}`);
  if (given.value < 0n || given.value > BigInt(end)) return invalid(`index out of range: ${given.value}`);
  return Number(given.value);
}

function itemAt(list: GoValue, given: GoValue): GoValue {
  if (list.kind === "nil") return invalid(`index of ${list.type === "" ? "untyped nil" : "nil pointer"}`);
  if (list.kind !== "list" && list.kind !== "string") return invalid(`can't index item of type ${list.type}`);
  if (list.kind === "list") {
    const at = indexOf(given, list.items.length);
    return list.items[at] ?? invalid("reflect: slice index out of range");
  }
  const bytes = utf8(list.value);
  const byte = bytes[indexOf(given, bytes.length)] ?? invalid("reflect: string index out of range");
  return { kind: "uint", type: "uint8", value: BigInt(byte) };
}

function sliceOf(list: GoValue, given: readonly GoValue[]): GoValue {
  if (list.kind === "nil") return invalid(`slice of ${list.type === "" ? "untyped nil" : "nil pointer"}`);
  if (given.length > 3) return invalid(`too many slice indexes: ${given.length}`);
  if (list.kind !== "list" && list.kind !== "string") return invalid(`can't slice item of type ${list.type}`);
  if (list.kind === "string" && given.length === 3) return invalid("cannot 3-index slice a string");
  const length = lengthOf(list)!;
  const [begin = 0, end = length, last = length] = given.map((at) => indexOf(at, length));
  if (begin > end) return invalid(`invalid slice index: ${begin} > ${end}`);
  if (end > last) return invalid(`invalid slice index: ${end} > ${last}`);
  if (list.kind === "list") return { ...list, items: list.items.slice(begin, end) };
  const { type } = list;
  return { kind: "string", type, value: textOf(utf8(list.value).subarray(begin, end)) };
}
