// std: values as texts in other languages.
import type { BuiltinTable } from "./std.ts";
import { COMPACT, jsonText, toText, type JsonStyle } from "./manifest.ts";
import { getField, hasField, lookUp, visibleNames } from "./objects.ts";
import { item } from "./operators.ts";
import type { Runtime } from "./runtime.ts";
import { wantArray, wantBoolean, wantObject, wantString } from "./std-check.ts";
import { scalarText } from "./std-manifest-scalar.ts";
import { tomlText } from "./std-manifest-toml.ts";
import { yamlText } from "./std-manifest-yaml.ts";
import { here } from "./std-types.ts";
import { plainNumberText, quoted } from "./text.ts";
import { JArray, JObject, typeOf, type Value } from "./value.ts";

export const MANIFESTS: BuiltinTable = {
  manifestJson: ["value", (rt, value) => jsonText(value, styleOf("    ", "\n", ": "), rt)],
  manifestJsonMinified: ["value", (rt, value) => jsonText(value, COMPACT, rt)],
  manifestJsonEx: [
    "value indent newline? key_val_sep?",
    (rt, value, indent, newline, colon) => {
      const lineEnd = newline === null ? "\n" : wantString(newline, rt);
      return jsonText(
        value,
        styleOf(wantString(indent, rt), lineEnd, colon === null ? ": " : wantString(colon, rt)),
        rt,
      );
    },
  ],
  manifestYamlDoc: [
    "value indent_array_in_object? quote_keys?",
    (rt, value, indentArrays, quoteKeys) => {
      const quoteAll = quoteKeys === null || wantBoolean(quoteKeys, rt);
      return yamlText(
        value,
        { indentArrays: indentArrays !== null && wantBoolean(indentArrays, rt), quoteAll },
        rt,
      );
    },
  ],
  manifestYamlStream: [
    "value indent_array_in_object? c_document_end? quote_keys?",
    (rt: Runtime, value, indentArrays, end, quoteKeys) => {
      if (!(value instanceof JArray)) rt.fail(`manifestYamlStream only takes arrays, got ${typeOf(value)}`);
      const style = {
        indentArrays: indentArrays !== null && wantBoolean(indentArrays, rt),
        quoteAll: quoteKeys === null || wantBoolean(quoteKeys, rt),
      };
      const documents = value.items.map((_, i) => yamlText(item(value, i, rt), style, rt));
      return `---\n${documents.join("\n---\n")}${end === null || wantBoolean(end, rt) ? "\n...\n" : "\n"}`;
    },
  ],
  manifestToml: ["value", (rt, value) => tomlText(value, "  ", rt)],
  manifestTomlEx: ["value indent", (rt, value, indent) => tomlText(value, wantString(indent, rt), rt)],
  manifestIni: ["ini", (rt, ini) => iniText(wantObject(ini, rt), rt)],
  manifestPython: ["v", (rt, value) => pythonText(value, rt)],
  manifestPythonVars: [
    "conf",
    (rt, conf) => {
      const object = wantObject(conf, rt);
      return visibleNames(object, rt)
        .map((name) => `${name} = ${pythonText(lookUp(object, name, rt) ?? null, rt)}\n`)
        .join("");
    },
  ],
  manifestXmlJsonml: [
    "value",
    (rt, value) => {
      if (!(value instanceof JArray)) rt.fail(`Expected a JSONML value (an array), got ${typeOf(value)}`);
      return xmlElement(value, rt);
    },
  ],
};

function styleOf(indent: string, newline: string, colon: string): JsonStyle {
  return {
    newline,
    indent,
    colon,
    comma: ",",
    emptyArray: `[${newline}${newline}%]`,
    emptyObject: `{${newline}${newline}%}`,
    number: plainNumberText,
  };
}

function iniText(ini: JObject, rt: Runtime): string {
  const lines: string[] = [];
  if (hasField(ini, "main", rt)) iniLines(lines, getField(ini, "main", rt, here(rt)), rt);
  const sections = wantObject(getField(ini, "sections", rt, here(rt)), rt);
  for (const name of visibleNames(sections, rt)) {
    lines.push(`[${name}]\n`);
    iniLines(lines, getField(sections, name, rt, here(rt)), rt);
  }
  return lines.join("");
}

function iniLines(lines: string[], value: Value, rt: Runtime): void {
  const object = wantObject(value, rt);
  for (const name of visibleNames(object, rt)) {
    const field = lookUp(object, name, rt) ?? null;
    const values = field instanceof JArray ? field.items.map((_, i) => item(field, i, rt)) : [field];
    for (const one of values) {
      const text = toText(one, rt, here(rt));
      rt.charge(name.length + text.length + 4);
      lines.push(`${name} = ${text}\n`);
    }
  }
}

function pythonText(value: Value, rt: Runtime): string {
  rt.step(1);
  if (value === null) return "None";
  const scalar = scalarText(value, ["False", "True"], rt);
  if (scalar !== undefined) return scalar;
  rt.enter(here(rt));
  let text: string;
  if (value instanceof JArray) {
    text = `[${value.items.map((_, i) => pythonText(item(value, i, rt), rt)).join(", ")}]`;
  } else if (value instanceof JObject) {
    const fields = visibleNames(value, rt).map(
      (name) => `${quoted(name)}: ${pythonText(lookUp(value, name, rt) ?? null, rt)}`,
    );
    text = `{${fields.join(", ")}}`;
  } else return rt.fail("cannot manifest function");
  rt.leave();
  rt.charge(text.length);
  return text;
}

/** `[tag, {attributes}?, ...children]` */
function xmlElement(element: Value, rt: Runtime): string {
  rt.step(1);
  if (typeof element === "string") return element;
  const array = wantArray(element, rt);
  if (array.items.length === 0) rt.fail("a JSONML element has no tag");
  rt.enter(here(rt));
  const tag = wantString(item(array, 0, rt), rt);
  const second = array.items.length > 1 ? item(array, 1, rt) : null;
  let text = `<${tag}`;
  if (second instanceof JObject) {
    for (const name of visibleNames(second, rt)) {
      text += ` ${name}="${toText(lookUp(second, name, rt) ?? null, rt, here(rt))}"`;
    }
  }
  text += ">";
  for (let i = second instanceof JObject ? 2 : 1; i < array.items.length; i++) {
    const child = xmlElement(item(array, i, rt), rt);
    rt.charge(child.length + text.length);
    text += child;
  }
  rt.leave();
  rt.charge(text.length);
  return `${text}</${tag}>`;
}
