// What a template of Go's text/template consists of once it is parsed. `source` is the node as Go writes it in the
// errors of an execution, `at` the index in the template that they name.

/** A literal number, in each of the types that it has a value of. */
export interface NumberLiteral {
  readonly int: bigint | undefined;
  readonly float: number | undefined;
  /** Whether its spelling makes it a float where nothing else decides. */
  readonly isFloat: boolean;
}

interface Placed {
  readonly source: string;
  readonly at: number;
}

export type Operand = Placed &
  (
    | { readonly kind: "field"; readonly names: readonly string[] }
    /** `$name` and the fields behind it. */
    | { readonly kind: "variable"; readonly name: string; readonly names: readonly string[] }
    /** Fields of what another operand gives. */
    | { readonly kind: "chain"; readonly of: Operand; readonly names: readonly string[] }
    | { readonly kind: "function"; readonly name: string }
    | { readonly kind: "pipeline"; readonly pipeline: Pipeline }
    | { readonly kind: "bool"; readonly value: boolean }
    | { readonly kind: "number"; readonly value: NumberLiteral }
    | { readonly kind: "string"; readonly value: string }
    | { readonly kind: "dot" | "nil" }
  );

export interface Command extends Placed {
  readonly operands: readonly [Operand, ...Operand[]];
}

export interface Pipeline extends Placed {
  /** Variables that get its value: at most two, and one but for `range`. */
  readonly variables: readonly string[];
  /** They are there already. */
  readonly assigns: boolean;
  readonly commands: readonly Command[];
}

export type TemplateNode =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "action"; readonly pipeline: Pipeline }
  | {
      readonly kind: "if" | "with" | "range";
      readonly pipeline: Pipeline;
      readonly list: readonly TemplateNode[];
      readonly otherwise: readonly TemplateNode[];
    }
  | { readonly kind: "break" | "continue" };

export interface GoTemplate {
  readonly name: string;
  readonly text: string;
  readonly nodes: readonly TemplateNode[];
}
