// The program as a tree. Sugar that costs nothing at run time is gone: methods are fields whose value is a function.

/** Where a node is in its source, and how high the tree below it is. */
interface Base {
  readonly begin: number;
  readonly end: number;
  readonly height: number;
  /** With the parentheses around it, if there are any. */
  readonly outerBegin?: number;
  readonly outerEnd?: number;
}

export type UnaryOperator = "+" | "-" | "!" | "~";

export type BinaryOperator =
  | "*"
  | "/"
  | "%"
  | "+"
  | "-"
  | "<<"
  | ">>"
  | "<"
  | ">"
  | "<="
  | ">="
  | "=="
  | "!="
  | "in"
  | "&"
  | "^"
  | "|"
  | "&&"
  | "||";

export interface Parameter {
  readonly name: string;
  readonly begin: number;
  readonly end: number;
  readonly fallback: Expression | undefined;
}

export interface FunctionExpression extends Base {
  readonly kind: "function";
  readonly parameters: readonly Parameter[];
  readonly body: Expression;
}

export interface Bind {
  readonly name: string;
  readonly begin: number;
  readonly end: number;
  readonly body: Expression;
}

/** `:` leaves it to the object below, `::` hides, `:::` shows. */
export type Visibility = "inherit" | "hidden" | "visible";

export interface FieldDefinition {
  /** A text when it is known. */
  readonly name: string | Expression;
  readonly begin: number;
  readonly end: number;
  readonly visibility: Visibility;
  /** `+:`: what an object below has is kept to the left. */
  readonly plus: boolean;
  readonly body: Expression;
}

export interface Assertion {
  readonly begin: number;
  readonly end: number;
  readonly condition: Expression;
  readonly message: Expression | undefined;
}

export type ComprehensionClause =
  | { readonly kind: "for"; readonly name: string; readonly over: Expression }
  | { readonly kind: "if"; readonly condition: Expression };

export interface ObjectExpression extends Base {
  readonly kind: "object";
  readonly locals: readonly Bind[];
  readonly asserts: readonly Assertion[];
  readonly fields: readonly FieldDefinition[];
}

export interface ObjectComprehension extends Base {
  readonly kind: "object-for";
  readonly locals: readonly Bind[];
  readonly field: FieldDefinition;
  readonly clauses: readonly ComprehensionClause[];
}

export interface CallExpression extends Base {
  readonly kind: "call";
  readonly target: Expression;
  readonly positional: readonly Expression[];
  readonly named: readonly { readonly name: string; readonly value: Expression }[];
  readonly tailstrict: boolean;
}

export type Expression =
  | (Base & { readonly kind: "constant"; readonly value: null | boolean | number | string })
  | (Base & { readonly kind: "self" | "dollar" })
  | (Base & { readonly kind: "super-index"; readonly index: Expression })
  | (Base & { readonly kind: "in-super"; readonly index: Expression })
  | (Base & { readonly kind: "variable"; readonly name: string })
  | (Base & { readonly kind: "index"; readonly target: Expression; readonly index: Expression })
  | (Base & {
      readonly kind: "slice";
      readonly target: Expression;
      /** Begin, end, step. */
      readonly bounds: readonly [Expression | undefined, Expression | undefined, Expression | undefined];
    })
  | (Base & {
      readonly kind: "binary";
      readonly operator: BinaryOperator;
      readonly left: Expression;
      readonly right: Expression;
    })
  | (Base & { readonly kind: "unary"; readonly operator: UnaryOperator; readonly operand: Expression })
  | (Base & {
      readonly kind: "if";
      readonly condition: Expression;
      readonly yes: Expression;
      readonly no: Expression | undefined;
    })
  | (Base & { readonly kind: "local"; readonly binds: readonly Bind[]; readonly body: Expression })
  | (Base & { readonly kind: "assert"; readonly assertion: Assertion; readonly body: Expression })
  | (Base & { readonly kind: "error"; readonly message: Expression })
  | (Base & {
      readonly kind: "import";
      readonly form: "import" | "importstr" | "importbin";
      readonly path: string;
    })
  | (Base & { readonly kind: "array"; readonly elements: readonly Expression[] })
  | (Base & {
      readonly kind: "array-for";
      readonly body: Expression;
      readonly clauses: readonly ComprehensionClause[];
    })
  | FunctionExpression
  | CallExpression
  | ObjectExpression
  | ObjectComprehension;
