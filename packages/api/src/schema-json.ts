// Schemas as OpenAPI 3.1 (JSON Schema 2020-12) has them.
import type { Fields, Length, SchemaNode } from "./schema.ts";

export type JsonSchema = Readonly<Record<string, unknown>>;

/** Named schemas become components, and references to them. */
export class SchemaWriter {
  readonly #components = new Map<string, JsonSchema>();

  /** Every named schema that was written, ordered by name. */
  components(): Readonly<Record<string, JsonSchema>> {
    return Object.fromEntries([...this.#components].sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  write(schema: SchemaNode): JsonSchema {
    const { name } = schema;
    if (name === undefined) return this.#inline(schema);
    if (!this.#components.has(name)) {
      this.#components.set(name, {}); // a schema may hold itself
      this.#components.set(name, this.#inline(schema));
    }
    return { $ref: `#/components/schemas/${name}` };
  }

  #inline(schema: SchemaNode): JsonSchema {
    const { description, example } = schema;
    return {
      ...this.#form(schema),
      ...(description === undefined ? {} : { description }),
      ...(example === undefined ? {} : { examples: [example] }),
    };
  }

  #form(schema: SchemaNode): JsonSchema {
    switch (schema.kind) {
      case "text":
        return {
          type: "string",
          ...bounds(schema, "minLength", "maxLength"),
          ...(schema.format === undefined ? {} : { format: schema.format }),
        };
      case "integer":
        return { type: "integer", ...bounds(schema, "minimum", "maximum") };
      case "flag":
        return { type: "boolean" };
      case "scalar":
        return { type: ["string", "number", "boolean", ...(schema.isNullable ? ["null"] : [])] };
      case "choice":
        return { type: "string", enum: schema.values };
      case "list":
        return {
          type: "array",
          ...bounds(schema, "minItems", "maxItems"),
          items: this.write(schema.items),
        };
      case "map":
        return { type: "object", additionalProperties: this.write(schema.values) };
      case "object":
        return this.#object(schema.fields);
      case "variants": {
        const { by } = schema;
        return {
          oneOf: Object.entries(schema.variants).map(([value, fields]) => {
            const tag = { schema: { kind: "choice", values: [value] }, isRequired: true } as const;
            return this.#object({ [by]: tag, ...fields });
          }),
        };
      }
      case "nullable":
        return { anyOf: [this.write(schema.of), { type: "null" }] };
    }
  }

  #object(fields: Fields): JsonSchema {
    const entries = Object.entries(fields);
    const needed = entries.filter(([, { isRequired }]) => isRequired).map(([name]) => name);
    return {
      type: "object",
      ...(needed.length === 0 ? {} : { required: needed }),
      properties: Object.fromEntries(entries.map(([name, { schema }]) => [name, this.write(schema)])),
    };
  }
}

function bounds({ min, max }: Length, minName: string, maxName: string): JsonSchema {
  return {
    ...(min === undefined ? {} : { [minName]: min }),
    ...(max === undefined ? {} : { [maxName]: max }),
  };
}
