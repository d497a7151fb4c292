// std: types, equality, debugging, what comes from outside.
import type { BuiltinTable, LazyBuiltinTable } from "./std.ts";
import { toText } from "./manifest.ts";
import { visibleNames } from "./objects.ts";
import { compare, equals, slice } from "./operators.ts";
import { force, type Runtime } from "./runtime.ts";
import { wantBoolean, wantString } from "./std-check.ts";
import { lengthOf } from "./text.ts";
import { JArray, JFunction, JObject, typeOf, type Site, type Value } from "./value.ts";

export const TYPES: BuiltinTable = {
  type: ["x", (_, x) => typeOf(x)],
  length: ["x", (rt, x) => length(x, rt)],
  isString: ["v", (_, v) => typeof v === "string"],
  isNumber: ["v", (_, v) => typeof v === "number"],
  isBoolean: ["v", (_, v) => typeof v === "boolean"],
  isNull: ["v", (_, v) => v === null],
  isObject: ["v", (_, v) => v instanceof JObject],
  isArray: ["v", (_, v) => v instanceof JArray],
  isFunction: ["v", (_, v) => v instanceof JFunction],
  equals: ["a b", (rt, a, b) => equals(a, b, rt, here(rt))],
  primitiveEquals: [
    "x y",
    (rt, x, y) => {
      if (x !== null && typeof x === "object" && typeOf(x) === typeOf(y)) {
        rt.fail(
          x instanceof JFunction
            ? "Cannot test equality of functions"
            : `primitiveEquals operates on primitive types, got ${typeOf(x)}`,
        );
      }
      return x === y;
    },
  ],
  __compare: ["v1 v2", (rt, a, b) => Math.sign(compare(a, b, rt, here(rt)))],
  __compare_array: ["arr1 arr2", (rt, a, b) => Math.sign(compare(a, b, rt, here(rt)))],
  __array_less: ["arr1 arr2", (rt, a, b) => compare(a, b, rt, here(rt)) < 0],
  __array_greater: ["arr1 arr2", (rt, a, b) => compare(a, b, rt, here(rt)) > 0],
  __array_less_or_equal: ["arr1 arr2", (rt, a, b) => compare(a, b, rt, here(rt)) <= 0],
  __array_greater_or_equal: ["arr1 arr2", (rt, a, b) => compare(a, b, rt, here(rt)) >= 0],
  assertEqual: [
    "a b",
    (rt, a, b) => {
      if (equals(a, b, rt, here(rt))) return true;
      return rt.fail(`Assertion failed. ${shown(a, rt)} != ${shown(b, rt)}`);
    },
  ],
  id: ["x", (_, x) => x],
  xor: ["x y", (rt, x, y) => wantBoolean(x, rt) !== wantBoolean(y, rt)],
  xnor: ["x y", (rt, x, y) => wantBoolean(x, rt) === wantBoolean(y, rt)],
  extVar: ["x", (rt, x) => rt.externalVariable(wantString(x, rt))],
  native: ["x", (rt, x) => rt.nativeFunction(wantString(x, rt))],
  slice: [
    "indexable index end step",
    (rt, target, begin, end, step) => slice(target, [begin, end, step], rt),
  ],
};

export const LAZY_TYPES: LazyBuiltinTable = {
  // What is traced goes nowhere: a server has no terminal for its templates.
  trace: [
    "str rest",
    (rt, [text, rest]) => {
      wantString(force(text!, rt), rt);
      return force(rest!, rt);
    },
  ],
};

/** The innermost call. */
export function here(rt: Runtime): Site {
  return rt.sites[rt.depth - 1]!;
}

function shown(value: Value, rt: Runtime): string {
  return typeof value === "string" ? JSON.stringify(value) : toText(value, rt, here(rt));
}

function length(value: Value, rt: Runtime): number {
  if (typeof value === "string") return lengthOf(value, rt);
  if (value instanceof JArray) return value.items.length;
  if (value instanceof JObject) return visibleNames(value, rt).length;
  if (value instanceof JFunction) return value.required;
  return rt.fail(`Unexpected type ${typeOf(value)}`);
}
