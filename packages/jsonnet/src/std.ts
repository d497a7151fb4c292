// The standard library: its functions by name, and `std` as an object of hidden fields.
import { Builtin, LazyBuiltin, type BuiltinRun } from "./functions.ts";
import type { Runtime } from "./runtime.ts";
import { ARRAYS, LAZY_ARRAYS } from "./std-arrays.ts";
import { ENCODINGS } from "./std-encodings.ts";
import { MANIFESTS } from "./std-manifest.ts";
import { NUMBERS } from "./std-numbers.ts";
import { LAZY_OBJECTS, OBJECTS } from "./std-objects.ts";
import { SETS } from "./std-sets.ts";
import { STRINGS } from "./std-strings.ts";
import { LAZY_TYPES, TYPES } from "./std-types.ts";
import { JObject, Shape, NO_LAYER_CODE, type Field, type JFunction, type Slot, type Value } from "./value.ts";

/** Parameters, those that end with `?` may be left out; and what the function does. */
export type BuiltinTable = Readonly<Record<string, readonly [parameters: string, run: BuiltinRun]>>;

/** The same for functions that evaluate their arguments themselves. */
export type LazyBuiltinTable = Readonly<
  Record<string, readonly [parameters: string, run: (rt: Runtime, slots: (Slot | undefined)[]) => Value]>
>;

const BUILTINS: ReadonlyMap<string, JFunction> = makeBuiltins();

/** std.pi, and all functions. */
export function builtin(name: string): Value | undefined {
  return name === "pi" ? Math.PI : BUILTINS.get(name);
}

/** `std` for a file: an object whose fields are hidden. */
export function stdObject(file: string): JObject {
  const fields = new Map<string, Field>();
  const values: Slot[] = [];
  const put = (name: string, value: Value): void => {
    fields.set(name, {
      index: values.length,
      name,
      visibility: "hidden",
      code: undefined,
      site: undefined,
      removes: 0,
    });
    values.push(value);
  };
  for (const [name, value] of BUILTINS) put(name, value);
  put("pi", Math.PI);
  put("thisFile", file);
  const layer = {
    shape: new Shape(fields),
    code: NO_LAYER_CODE,
    frame: undefined,
    frames: undefined,
    values,
  };
  return new JObject([layer], false);
}

function makeBuiltins(): Map<string, JFunction> {
  const all = new Map<string, JFunction>();
  for (const table of [TYPES, NUMBERS, STRINGS, ENCODINGS, MANIFESTS, ARRAYS, SETS, OBJECTS]) {
    for (const [name, [text, run]] of Object.entries(table)) {
      const { parameters, required } = parametersOf(text);
      all.set(name, new Builtin(name, parameters, required, run));
    }
  }
  for (const table of [LAZY_TYPES, LAZY_ARRAYS, LAZY_OBJECTS]) {
    for (const [name, [text, run]] of Object.entries(table)) {
      const { parameters, required } = parametersOf(text);
      all.set(name, new LazyBuiltin(name, parameters, required, run));
    }
  }
  return all;
}

function parametersOf(text: string): { parameters: string[]; required: number } {
  const words = text.split(" ");
  const required = words.filter((word) => !word.endsWith("?")).length;
  return { parameters: words.map((word) => word.replace("?", "")), required };
}
