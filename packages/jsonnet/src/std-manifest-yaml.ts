// std: YAML. Texts are quoted as JSON; those that end with a line end are blocks.
import { lookUp, visibleNames } from "./objects.ts";
import { item } from "./operators.ts";
import type { Runtime } from "./runtime.ts";
import { here } from "./std-types.ts";
import { plainNumberText, quoted } from "./text.ts";
import { JArray, JObject, type Value } from "./value.ts";

export interface YamlStyle {
  /** Arrays within objects stand further to the right than their name. */
  readonly indentArrays: boolean;
  /** Names are quoted also where they need not be. */
  readonly quoteAll: boolean;
}

/** Names that YAML readers would take for something else than a text. */
const RESERVED: ReadonlySet<string> = new Set(
  "null true false yes no on off y n .nan nan .inf -.inf - --- ~".split(" "),
);

const NUMBER =
  /^-?(?:[0-9]+(?:_[0-9]+)*|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE]-?[0-9]+)?|0x[0-9a-fA-F].*|0b[01]+)$/;

export function yamlText(value: Value, style: YamlStyle, rt: Runtime): string {
  return write(value, style, "", rt);
}

function write(value: Value, style: YamlStyle, indent: string, rt: Runtime): string {
  if (value === null) return "null";
  switch (typeof value) {
    case "boolean":
      return value ? "true" : "false";
    case "number":
      rt.charge(8);
      return plainNumberText(value);
    case "string":
      return textOf(value, indent, rt);
    default:
      break;
  }
  rt.enter(here(rt));
  let text: string;
  if (value instanceof JArray) text = arrayText(value, style, indent, rt);
  else if (value instanceof JObject) text = objectText(value, style, indent, rt);
  else return rt.fail("couldn't manifest function as YAML");
  rt.leave();
  rt.charge(text.length);
  return text;
}

function textOf(text: string, indent: string, rt: Runtime): string {
  rt.charge(text.length + 2);
  if (!text.endsWith("\n")) return quoted(text);
  const lines = text.slice(0, -1).split("\n");
  rt.charge(lines.length * (indent.length + 2));
  return `|${lines.map((line) => `\n${indent}  ${line}`).join("")}`;
}

function arrayText(array: JArray, style: YamlStyle, indent: string, rt: Runtime): string {
  if (array.items.length === 0) return "[]";
  const inner = `${indent}  `;
  const lines: string[] = [];
  for (let i = 0; i < array.items.length; i++) {
    const value = item(array, i, rt);
    const isNested = value instanceof JArray && value.items.length > 0;
    const isBlock = typeof value === "string";
    const text = write(value, style, isBlock ? indent : inner, rt);
    lines.push(isNested ? `-\n${inner}${text}` : `- ${text}`);
  }
  return lines.join(`\n${indent}`);
}

function objectText(object: JObject, style: YamlStyle, indent: string, rt: Runtime): string {
  const names = visibleNames(object, rt);
  if (names.length === 0) return "{}";
  const lines: string[] = [];
  for (const name of names) {
    const value = lookUp(object, name, rt) ?? null;
    const key = style.quoteAll || !isPlain(name) ? quoted(name) : name;
    if (value instanceof JArray && value.items.length > 0) {
      const inner = style.indentArrays ? `${indent}  ` : indent;
      lines.push(`${key}:\n${inner}${write(value, style, inner, rt)}`);
    } else if (value instanceof JObject && visibleNames(value, rt).length > 0) {
      const inner = `${indent}  `;
      lines.push(`${key}:\n${inner}${write(value, style, inner, rt)}`);
    } else lines.push(`${key}: ${write(value, style, indent, rt)}`);
  }
  return lines.join(`\n${indent}`);
}

function isPlain(name: string): boolean {
  if (!/^[A-Za-z0-9_/.-]+$/.test(name) || RESERVED.has(name.toLowerCase())) return false;
  // Dates are digits with two dashes.
  if (/^[0-9]*-[0-9]*-[0-9]*$/.test(name)) return false;
  return !NUMBER.test(name);
}
