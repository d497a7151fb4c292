// The values that Go's text/template sees here, with their Go types: what it does depends on them.
import { utf8 } from "@millrace/base";

interface Typed {
  /** As Go writes it: `time.Month`. */
  readonly type: string;
  /** What its String method gives, if it has one. */
  readonly text?: () => string;
  readonly members?: () => Readonly<Record<string, GoMember>>;
}

export type GoValue = Typed &
  (
    | { readonly kind: "bool"; readonly value: boolean }
    | { readonly kind: "int" | "uint"; readonly value: bigint }
    | { readonly kind: "float"; readonly value: number }
    | { readonly kind: "string"; readonly value: string }
    | { readonly kind: "list"; readonly items: readonly GoValue[] }
    | { readonly kind: "struct" }
    /** A nil pointer, or nothing at all, of type "". */
    | { readonly kind: "nil" }
  );

export type GoMember =
  | { readonly kind: "field"; readonly value: GoValue }
  | {
      readonly kind: "method";
      /** Types of its parameters: "string", or one of integers. */
      readonly parameters: readonly string[];
      readonly call: (...given: readonly GoValue[]) => GoValue;
    };

export const NOTHING: GoValue = { kind: "nil", type: "" };

export function goBool(value: boolean): GoValue {
  return { kind: "bool", type: "bool", value };
}

export function goInt(value: bigint | number, type = "int"): GoValue {
  return { kind: "int", type, value: BigInt(value) };
}

export function goFloat(value: number): GoValue {
  return { kind: "float", type: "float64", value };
}

export function goString(value: string): GoValue {
  return { kind: "string", type: "string", value };
}

/** A list of texts. */
export function goStrings(values: readonly string[]): GoValue {
  return { kind: "list", type: "[]string", items: values.map(goString) };
}

/** A value of an integer type that has a String method. */
export function goNamed(value: bigint | number, type: string, text: string): GoValue {
  const members = { String: method(() => goString(text)) };
  return { kind: "int", type, value: BigInt(value), text: () => text, members: () => members };
}

export function field(value: GoValue): GoMember {
  return { kind: "field", value };
}

/** A method without parameters. */
export function method(call: () => GoValue): GoMember {
  return { kind: "method", parameters: [], call };
}

/** Whether it counts as true in `if`, `and`, and their like. */
export function isTrue(given: GoValue): boolean {
  switch (given.kind) {
    case "bool":
      return given.value;
    case "int":
    case "uint":
      return given.value !== 0n;
    case "float":
      return given.value !== 0;
    case "string":
      return given.value !== "";
    case "list":
      return given.items.length > 0;
    case "struct":
      return true;
    case "nil":
      return false;
  }
}

/** Bytes of a text, elements of a list; undefined for what has no length. */
export function lengthOf(given: GoValue): number | undefined {
  if (given.kind === "string") return utf8(given.value).length;
  return given.kind === "list" ? given.items.length : undefined;
}
