// std: TOML.
import { lookUp, visibleNames } from "./objects.ts";
import { item } from "./operators.ts";
import type { Runtime } from "./runtime.ts";
import { scalarText } from "./std-manifest-scalar.ts";
import { here } from "./std-types.ts";
import { quoted } from "./text.ts";
import { JArray, JObject, typeOf, type Value } from "./value.ts";

export function tomlText(value: Value, indent: string, rt: Runtime): string {
  if (!(value instanceof JObject)) return rt.fail(`TOML body must be an object. Got ${typeOf(value)}`);
  return tableBody(value, [], "", indent, rt);
}

/** Lines of plain values first, then tables, with an empty line before each. */
function tableBody(
  table: JObject,
  path: readonly string[],
  indent: string,
  step: string,
  rt: Runtime,
): string {
  const lines: string[] = [];
  const sections: string[] = [];
  rt.enter(here(rt));
  for (const name of visibleNames(table, rt)) {
    const value = lookUp(table, name, rt) ?? null;
    const inner = [...path, name];
    if (value instanceof JObject) sections.push(section("[", "]", value, inner, indent, step, rt));
    else if (isTableArray(value, rt)) {
      for (let i = 0; i < value.items.length; i++) {
        sections.push(section("[[", "]]", item(value, i, rt) as JObject, inner, indent, step, rt));
      }
    } else lines.push(`${indent}${keyText(name)} = ${valueText(value, inner, indent, step, false, rt)}`);
  }
  rt.leave();
  const text = [lines.join("\n"), ...sections].join("\n\n");
  rt.charge(text.length);
  return text;
}

function section(
  open: string,
  close: string,
  table: JObject,
  path: readonly string[],
  indent: string,
  step: string,
  rt: Runtime,
): string {
  const body =
    visibleNames(table, rt).length === 0 ? "" : `\n${tableBody(table, path, indent + step, step, rt)}`;
  return `${indent}${open}${path.map(keyText).join(".")}${close}${body}`;
}

function isTableArray(value: Value, rt: Runtime): value is JArray {
  if (!(value instanceof JArray) || value.items.length === 0) return false;
  return value.items.every((_, i) => item(value, i, rt) instanceof JObject);
}

function valueText(
  value: Value,
  path: readonly string[],
  indent: string,
  step: string,
  inline: boolean,
  rt: Runtime,
): string {
  if (value === null) return rt.fail(`Tried to manifest "null" at [${path.join(" ")}]`);
  const scalar = scalarText(value, ["false", "true"], rt);
  if (scalar !== undefined) return scalar;
  rt.enter(here(rt));
  let text: string;
  if (value instanceof JArray) {
    const inner = inline ? "" : indent + step;
    const parts = value.items.map(
      (_, i) => inner + valueText(item(value, i, rt), [...path, String(i)], "", "", true, rt),
    );
    if (parts.length === 0) text = "[]";
    else text = inline ? `[ ${parts.join(", ")} ]` : `[\n${parts.join(",\n")}\n${indent}]`;
  } else if (value instanceof JObject) {
    const parts = visibleNames(value, rt).map(
      (name) =>
        `${keyText(name)} = ${valueText(lookUp(value, name, rt) ?? null, [...path, name], "", "", true, rt)}`,
    );
    text = `{ ${parts.join(", ")} }`;
  } else return rt.fail(`Tried to manifest function at [${path.join(" ")}]`);
  rt.leave();
  rt.charge(text.length);
  return text;
}

function keyText(name: string): string {
  return /^[A-Za-z0-9_-]+$/.test(name) ? name : quoted(name);
}
