// What a JSON value of the API may be, as data: one table says its type, its bounds and what it is for. Requests are
// checked by it (schema-check.ts) and the OpenAPI document is made of it (schema-json.ts).
import type { Problem } from "./api-errors.ts";

declare const typed: unique symbol;

/** A value of type `T`. */
export type Schema<T> = SchemaNode & { readonly [typed]?: T };
export type ValueOf<S> = S extends Schema<infer T> ? T : never;

export interface Length {
  readonly min?: number;
  readonly max?: number;
}

export type SchemaNode = {
  readonly description?: string;
  readonly example?: unknown;
  /** Components of the document have one; they are referred to by it. */
  readonly name?: string;
  /** What else must hold of a value whose form is right. */
  readonly checks?: readonly ((value: never) => readonly Problem[])[];
} & (
  | ({ readonly kind: "text"; readonly format?: "date-time" | "uri" } & Length)
  | ({ readonly kind: "integer" } & Length)
  | { readonly kind: "flag" }
  /** A text, number or flag; null as well when `isNullable`. */
  | { readonly kind: "scalar"; readonly isNullable: boolean }
  | { readonly kind: "choice"; readonly values: readonly string[] }
  | ({ readonly kind: "list"; readonly items: SchemaNode } & Length)
  | { readonly kind: "map"; readonly values: SchemaNode }
  | { readonly kind: "object"; readonly fields: Fields }
  /** Objects, told apart by the field `by`. */
  | { readonly kind: "variants"; readonly by: string; readonly variants: Readonly<Record<string, Fields>> }
  | { readonly kind: "nullable"; readonly of: SchemaNode }
);

export interface Field {
  readonly schema: SchemaNode;
  readonly isRequired: boolean;
}
export type Fields = Readonly<Record<string, Field>>;

export interface RequiredField<T> extends Field {
  readonly schema: Schema<T>;
  readonly isRequired: true;
}
export interface OptionalField<T> extends Field {
  readonly schema: Schema<T>;
  readonly isRequired: false;
}

export type ObjectOf<F extends Fields> = {
  readonly [K in keyof F as F[K]["isRequired"] extends true ? K : never]: ValueOf<F[K]["schema"]>;
} & {
  readonly [K in keyof F as F[K]["isRequired"] extends true ? never : K]?: ValueOf<F[K]["schema"]>;
};

export interface About {
  readonly description?: string;
  readonly example?: unknown;
}

export function required<T>(schema: Schema<T>): RequiredField<T> {
  return { schema, isRequired: true };
}

/** A field that may be missing; null is the same as missing. */
export function optional<T>(schema: Schema<T>): OptionalField<T> {
  return { schema, isRequired: false };
}

/** Lengths are those of characters, not of bytes or UTF-16 units. */
export function text(about: About & Length & { readonly format?: "date-time" | "uri" } = {}): Schema<string> {
  return { kind: "text", ...about };
}

export function integer(about: About & Length = {}): Schema<number> {
  return { kind: "integer", ...about };
}

export function flag(about: About = {}): Schema<boolean> {
  return { kind: "flag", ...about };
}

export function scalar(about: About = {}): Schema<string | number | boolean> {
  return { kind: "scalar", isNullable: false, ...about };
}

export function scalarOrNull(about: About = {}): Schema<string | number | boolean | null> {
  return { kind: "scalar", isNullable: true, ...about };
}

export function choice<const T extends string>(values: readonly T[], about: About = {}): Schema<T> {
  return { kind: "choice", values, ...about };
}

export function list<T>(items: Schema<T>, about: About & Length = {}): Schema<readonly T[]> {
  return { kind: "list", items, ...about };
}

export function map<T>(values: Schema<T>, about: About = {}): Schema<Readonly<Record<string, T>>> {
  return { kind: "map", values, ...about };
}

export function object<const F extends Fields>(fields: F, about: About = {}): Schema<ObjectOf<F>> {
  return { kind: "object", fields, ...about };
}

/** @param variants fields besides `by`, for each of its values */
export function variants<const B extends string, const V extends Readonly<Record<string, Fields>>>(
  by: B,
  all: V,
  about: About = {},
): Schema<{ [K in keyof V]: { readonly [N in B]: K } & ObjectOf<V[K]> }[keyof V]> {
  return { kind: "variants", by, variants: all, ...about };
}

export function nullable<T>(of: Schema<T>, about: About = {}): Schema<T | null> {
  return { kind: "nullable", of, ...about };
}

/** The schema as a component of the document. */
export function named<T>(name: string, schema: Schema<T>): Schema<T> {
  return { ...schema, name };
}

/** The schema with something more that must hold. */
export function checked<T>(schema: Schema<T>, check: (value: T) => readonly Problem[]): Schema<T> {
  return { ...schema, checks: [...(schema.checks ?? []), check] };
}
