// What stands in a file against the shapes of the API's requests: a slip of the pen in a field's name is found before
// anything is asked of the API, with its place. What values may be, the API says. Pure.
import type { Shape } from "@millrace/api-client";
import { UsageError } from "./cli-io.ts";

type Shapes = Readonly<Record<string, Shape>>;
type Values = Readonly<Record<string, unknown>>;

/**
 * The value without fields that are null, which to the API are not given.
 * @param where for messages
 * @throws {UsageError} naming the place of a field that there is not, and those that there are
 */
export function knownFields(value: unknown, shape: Shape, where: string): unknown {
  const { items } = shape;
  if (Array.isArray(value)) {
    if (items === undefined) return value;
    return value.map((item: unknown, i) => knownFields(item, items, `${where}[${i}]`));
  }
  if (typeof value !== "object" || value === null) return value;
  const values = value as Values;
  const fields = fieldsOf(shape, values);
  if (fields === undefined) return value;
  const entries = Object.entries(values).flatMap(([name, one]) => {
    const inner = Object.hasOwn(fields, name) ? fields[name] : undefined;
    if (inner === undefined) {
      const all = Object.keys(fields).join(", ");
      throw new UsageError(`${where}: "${name}" is not a field${ofKind(shape, values)} (expected ${all})`);
    }
    if (one === null && inner.isNullable !== true) return [];
    return [[name, knownFields(one, inner, `${where}: ${name}`)] as const];
  });
  return Object.fromEntries(entries);
}

/** Undefined: any. Of a kind that there is not, which the API refuses: those of all kinds. */
function fieldsOf({ fields, by, variants }: Shape, values: Values): Shapes | undefined {
  if (by === undefined || variants === undefined) return fields;
  const kind = values[by];
  if (typeof kind === "string" && Object.hasOwn(variants, kind)) return variants[kind];
  return Object.assign({}, ...Object.values(variants)) as Shapes;
}

function ofKind({ by, variants }: Shape, values: Values): string {
  const kind = by === undefined ? undefined : values[by];
  return typeof kind === "string" && Object.hasOwn(variants ?? {}, kind) ? ` of ${by} ${kind}` : "";
}
