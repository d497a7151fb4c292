// Checks what came in by its schema, with the specification's texts (1.6). All that is wrong is said at once. A field
// that the schema does not know is refused: it is a misspelt one, and what it says would be dropped in silence.
import { ApiError, refuseProblems, type Problem } from "./api-errors.ts";
import type { Fields, Length, ObjectOf, Schema, SchemaNode } from "./schema.ts";

/** Unknown fields of a request that are named; a body may have a hundred thousand. */
const UNKNOWN_FIELDS_MAX = 10;
const SHOWN_CHARS_MAX = 100;
const NOT_A_FIELD = " is not a field of ";

interface Place {
  /** For messages: `body.table`, or a parameter's name alone. */
  readonly where: string;
  readonly problems: Problem[];
}

/** @throws {ApiError} 400 with all that is wrong */
export function checkBody<T>(schema: Schema<T>, body: unknown): T {
  return checkAt(schema, body === undefined ? {} : body, "body");
}

/** A part of a body. @param where it stands @throws {ApiError} 400 with all that is wrong */
export function checkAt<T>(schema: Schema<T>, part: unknown, where: string): T {
  const problems: Problem[] = [];
  const value = read(schema, part, where, problems);
  refuseProblems(problems);
  return value as T;
}

/** Parameters of a query, which come as texts. @throws {ApiError} 400 with all that is wrong */
export function checkQuery<F extends Fields>(
  fields: F,
  given: Readonly<Record<string, unknown>>,
): ObjectOf<F> {
  const problems: Problem[] = [];
  const values: Record<string, unknown> = {};
  for (const [name, { schema, isRequired }] of Object.entries(fields)) {
    const text = given[name];
    if (text === undefined) {
      if (isRequired)
        problems.push({ name: "missingField", message: `"${name}" is missing from query`, field: name });
      continue;
    }
    if (typeof text !== "string") {
      throw new ApiError("badRequest", "a query parameter is given more than once");
    }
    values[name] = readParameter(schema, text, name, problems);
  }
  refuseProblems(problems);
  return values as ObjectOf<F>;
}

function readParameter(schema: SchemaNode, given: string, name: string, problems: Problem[]): unknown {
  switch (schema.kind) {
    case "integer":
      if (/^-?[0-9]{1,15}$/.test(given)) return readInteger(schema, Number(given), name, problems);
      return wrongType(given, name, "integer", problems);
    case "flag":
      if (given === "true" || given === "false") return given === "true";
      return wrongType(given, name, "boolean", problems);
    default:
      return read(schema, given, name, problems);
  }
}

/** The value as far as it is what it should be; what is wrong goes to `problems`. */
function read(schema: SchemaNode, value: unknown, where: string, problems: Problem[]): unknown {
  const before = problems.length;
  const result = readForm(schema, value, where, problems);
  if (problems.length === before) {
    for (const check of schema.checks ?? []) {
      for (const problem of check(result as never)) {
        problems.push({ ...problem, field: within(where, problem.field) });
      }
    }
  }
  return result;
}

function readForm(schema: SchemaNode, value: unknown, where: string, problems: Problem[]): unknown {
  switch (schema.kind) {
    case "text":
      if (typeof value !== "string") return wrongType(value, where, "string", problems);
      checkLength(schema, Array.from(value).length, where, ` value "${value}" (len=`, ")", problems);
      return value;
    case "integer":
      return readInteger(schema, value, where, problems);
    case "flag":
      return typeof value === "boolean" ? value : wrongType(value, where, "boolean", problems);
    case "scalar":
      if (value === null && schema.isNullable) return null;
      if (["string", "number", "boolean"].includes(typeof value)) return value;
      return wrongType(value, where, "string, number or boolean", problems);
    case "choice":
      return readChoice(schema.values, value, where, problems);
    case "list":
      if (!Array.isArray(value)) return wrongType(value, where, "array", problems);
      checkLength(schema, value.length, where, " len=", "", problems);
      return value
        .slice(0, schema.max)
        .map((item: unknown, i) => read(schema.items, item, `${where}[${i}]`, problems));
    case "map":
      return isObject(value)
        ? Object.fromEntries(
            Object.entries(value).map(([name, item]) => {
              return [name, read(schema.values, item, `${where}.${name}`, problems)];
            }),
          )
        : wrongType(value, where, "object", problems);
    case "object":
      if (!isObject(value)) return wrongType(value, where, "object", problems);
      return readFields(schema.fields, value, { where, problems });
    case "variants": {
      if (!isObject(value)) return wrongType(value, where, "object", problems);
      const place = { where, problems };
      const { by, variants } = schema;
      if (isMissing(value[by])) return missing(by, place);
      const kind = readChoice(Object.keys(variants), value[by], `${where}.${by}`, problems);
      // Fields that all have are looked at even so.
      const fields = variants[kind ?? ""] ?? commonFields(variants);
      const names = kind === undefined ? Object.keys(value) : [by, ...Object.keys(fields)];
      return { [by]: kind, ...readFields(fields, value, place, names) };
    }
    case "nullable":
      return value === null ? null : read(schema.of, value, where, problems);
  }
}

/** @param names that the value may have */
function readFields(
  fields: Fields,
  value: Readonly<Record<string, unknown>>,
  place: Place,
  names: readonly string[] = Object.keys(fields),
): Record<string, unknown> {
  const result: Record<string, unknown> = {};
  for (const [name, { schema, isRequired }] of Object.entries(fields)) {
    const member = value[name];
    const isNull = member === null && !takesNull(schema);
    if (member === undefined || isNull) {
      if (isRequired) missing(name, place);
      continue;
    }
    result[name] = read(schema, member, `${place.where}.${name}`, place.problems);
  }
  checkNames(names, value, place);
  return result;
}

function checkNames(
  known: readonly string[],
  value: Readonly<Record<string, unknown>>,
  { where, problems }: Place,
): void {
  for (const name of Object.keys(value)) {
    if (known.includes(name)) continue;
    if (problems.filter(({ message }) => message.includes(NOT_A_FIELD)).length >= UNKNOWN_FIELDS_MAX) return;
    const short = name.slice(0, SHOWN_CHARS_MAX);
    const message = `${JSON.stringify(short)}${NOT_A_FIELD}${where} (expected ${known.join(", ")})`;
    problems.push({ name: "badRequest", message, field: within(where, short) });
  }
}

function takesNull(schema: SchemaNode): boolean {
  return schema.kind === "nullable" || (schema.kind === "scalar" && schema.isNullable);
}

function commonFields(variants: Readonly<Record<string, Fields>>): Fields {
  const [first = {}, ...others] = Object.values(variants);
  return Object.fromEntries(Object.entries(first).filter(([name]) => others.every((one) => name in one)));
}

function readInteger(schema: Length, value: unknown, where: string, problems: Problem[]): number | undefined {
  if (!Number.isSafeInteger(value)) return wrongType(value, where, "integer", problems);
  const number = value as number;
  if (schema.min !== undefined && number < schema.min) {
    problems.push(outOfRange(where, "greater", schema.min, number));
  }
  if (schema.max !== undefined && number > schema.max) {
    problems.push(outOfRange(where, "lesser", schema.max, number));
  }
  return number;
}

function outOfRange(where: string, side: "greater" | "lesser", bound: number, value: number): Problem {
  const message = `${where} must be ${side} or equal than ${bound} but got value ${value}`;
  return { name: "invalidRange", message, field: where };
}

function readChoice(
  values: readonly string[],
  value: unknown,
  where: string,
  problems: Problem[],
): string | undefined {
  const known = values.find((one) => one === value);
  if (known !== undefined) return known;
  const all = values.map((one) => `"${one}"`).join(" or ");
  const message = `Value of ${where} must be one of ${all} but got value ${shown(value)}`;
  problems.push({ name: "invalidEnumValue", message, field: where });
  return undefined;
}

function checkLength(
  { min = 0, max = Number.POSITIVE_INFINITY }: Length,
  length: number,
  where: string,
  before: string,
  behind: string,
  problems: Problem[],
): void {
  if (length >= min && length <= max) return;
  const bound = length < min ? `greater or equal than ${min}` : `lesser or equal than ${max}`;
  const message = `Length of ${where} must be ${bound} but got${before}${length}${behind}`;
  problems.push({ name: "invalidLength", message, field: where });
}

function missing(name: string, { where, problems }: Place): undefined {
  const message = `"${name}" is missing from ${where}`;
  problems.push({ name: "missingField", message, field: within(where, name) });
}

function wrongType(value: unknown, where: string, type: string, problems: Problem[]): undefined {
  const message = `Invalid value ${shown(value)} for "${where}", must be a ${type}`;
  problems.push({ name: "invalidFieldType", message, field: where });
}

/** The place of a field, or of an item as `[2]`, within another. */
function within(where: string, field: string | undefined): string {
  if (field === undefined) return where;
  return field.startsWith("[") ? `${where}${field}` : `${where}.${field}`;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isMissing(value: unknown): boolean {
  return value === undefined || value === null;
}

/** What a list or an object holds is not shown: it may be deeper than the stack. */
function shown(value: unknown): string {
  if (Array.isArray(value)) return "[…]";
  if (typeof value === "object" && value !== null) return "{…}";
  return (JSON.stringify(value) ?? "undefined").slice(0, SHOWN_CHARS_MAX);
}
