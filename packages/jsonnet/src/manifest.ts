// From values to what leaves the language: JSON text in several styles, and plain JavaScript values. Hidden fields are
// left out, fields are in order, asserts are checked.
import { checkAsserts, lookUp, visibleNames } from "./objects.ts";
import { force, type Runtime } from "./runtime.ts";
import { numberText, plainNumberText, quoted } from "./text.ts";
import { JArray, JObject, type Site, type Value } from "./value.ts";

/** What a program gives to its host. Objects have no prototype, so that any name is an ordinary field. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };

/** How JSON is laid out. */
export interface JsonStyle {
  readonly newline: string;
  readonly indent: string;
  /** Between a name and its value. */
  readonly colon: string;
  readonly comma: string;
  /** `%` stands for the indentation. */
  readonly emptyArray: string;
  readonly emptyObject: string;
  readonly number: (value: number) => string;
}

/** Without any blank. */
export const COMPACT: JsonStyle = {
  newline: "",
  indent: "",
  colon: ":",
  comma: ",",
  emptyArray: "[]",
  emptyObject: "{}",
  number: plainNumberText,
};

/** As values are written into strings. */
const IN_TEXT: JsonStyle = {
  newline: "",
  indent: "",
  colon: ": ",
  comma: ", ",
  emptyArray: "[ ]",
  emptyObject: "{ }",
  number: numberText,
};

/** What `+` with a string, `%s` and std.toString make of a value. */
export function toText(value: Value, rt: Runtime, site: Site): string {
  if (typeof value === "string") return value;
  rt.enter(site);
  const text = jsonText(value, IN_TEXT, rt);
  rt.leave();
  return text;
}

/** The value as JSON; the innermost site of `rt` is entered again for each level. */
export function jsonText(value: Value, style: JsonStyle, rt: Runtime): string {
  return write(value, style, "", rt);
}

function write(value: Value, style: JsonStyle, indent: string, rt: Runtime): string {
  if (value === null) return "null";
  switch (typeof value) {
    case "string":
      rt.charge(value.length + 2);
      return quoted(value);
    case "number":
      rt.charge(8);
      return style.number(value);
    case "boolean":
      return value ? "true" : "false";
    default:
      break;
  }
  if (value instanceof JArray) return writeArray(value, style, indent, rt);
  if (value instanceof JObject) return writeObject(value, style, indent, rt);
  return rt.fail("couldn't manifest function as JSON");
}

function writeArray(array: JArray, style: JsonStyle, indent: string, rt: Runtime): string {
  if (array.items.length === 0) return style.emptyArray.replace("%", indent);
  const inner = indent + style.indent;
  rt.enter(here(rt));
  let text = `[${style.newline}`;
  for (let i = 0; i < array.items.length; i++) {
    if (i > 0) text += style.comma + style.newline;
    rt.charge(inner.length + 2);
    rt.step(1);
    text += inner + write(force(array.items[i]!, rt), style, inner, rt);
  }
  rt.leave();
  return `${text}${style.newline}${indent}]`;
}

function writeObject(object: JObject, style: JsonStyle, indent: string, rt: Runtime): string {
  checkAsserts(object, rt);
  const names = visibleNames(object, rt);
  if (names.length === 0) return style.emptyObject.replace("%", indent);
  rt.step(names.length);
  const inner = indent + style.indent;
  rt.enter(here(rt));
  let text = `{${style.newline}`;
  for (let i = 0; i < names.length; i++) {
    const name = names[i]!;
    if (i > 0) text += style.comma + style.newline;
    rt.charge(inner.length + name.length + 4);
    text += inner + quoted(name) + style.colon + write(lookUp(object, name, rt) ?? null, style, inner, rt);
  }
  rt.leave();
  return `${text}${style.newline}${indent}}`;
}

/** The value as plain data. */
export function toJson(value: Value, rt: Runtime): Json {
  if (value === null || typeof value !== "object") return value;
  if (value instanceof JArray) {
    rt.chargeItems(value.items.length);
    rt.enter(here(rt));
    const items: Json[] = [];
    for (let i = 0; i < value.items.length; i++) {
      rt.step(1);
      items.push(toJson(force(value.items[i]!, rt), rt));
    }
    rt.leave();
    return items;
  }
  if (!(value instanceof JObject)) return rt.fail("couldn't manifest function as JSON");
  checkAsserts(value, rt);
  const names = visibleNames(value, rt);
  rt.charge(64 + 32 * names.length);
  rt.step(names.length);
  rt.enter(here(rt));
  const object: Record<string, Json> = Object.create(null) as Record<string, Json>;
  for (let i = 0; i < names.length; i++) {
    const name = names[i]!;
    object[name] = toJson(lookUp(value, name, rt) ?? null, rt);
  }
  rt.leave();
  return object;
}

function here(rt: Runtime): Site {
  return rt.sites[rt.depth - 1]!;
}
