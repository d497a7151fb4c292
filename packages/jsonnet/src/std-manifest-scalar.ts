// std: values that are no arrays and objects, as texts in other languages.
import type { Runtime } from "./runtime.ts";
import { numberText, quoted } from "./text.ts";
import type { Value } from "./value.ts";

/** @param booleans the words for false and true @returns undefined: it is null, or not a scalar */
export function scalarText(
  value: Value,
  booleans: readonly [string, string],
  rt: Runtime,
): string | undefined {
  switch (typeof value) {
    case "boolean":
      return booleans[value ? 1 : 0];
    case "number":
      rt.charge(8);
      return numberText(value);
    case "string":
      rt.charge(value.length + 2);
      return quoted(value);
    default:
      return undefined;
  }
}
