// Arguments of library functions: of the type that is wanted, or the evaluation fails.
import type { Runtime } from "./runtime.ts";
import { JArray, JFunction, JObject, typeOf, type Value } from "./value.ts";

export function wantString(value: Value, rt: Runtime): string {
  return typeof value === "string" ? value : rt.failType(value, "string", typeOf);
}

export function wantNumber(value: Value, rt: Runtime): number {
  return typeof value === "number" ? value : rt.failType(value, "number", typeOf);
}

export function wantInteger(value: Value, rt: Runtime): number {
  const number = wantNumber(value, rt);
  if (!Number.isSafeInteger(number)) rt.fail(`Expected an integer, but got ${String(number)}`);
  return number;
}

export function wantBoolean(value: Value, rt: Runtime): boolean {
  return typeof value === "boolean" ? value : rt.failType(value, "boolean", typeOf);
}

export function wantArray(value: Value, rt: Runtime): JArray {
  return value instanceof JArray ? value : rt.failType(value, "array", typeOf);
}

export function wantObject(value: Value, rt: Runtime): JObject {
  return value instanceof JObject ? value : rt.failType(value, "object", typeOf);
}

export function wantFunction(value: Value, rt: Runtime): JFunction {
  return value instanceof JFunction ? value : rt.failType(value, "function", typeOf);
}
