// What the parts of the compiler know of each other.
import type { Bind, Expression, FunctionExpression } from "./ast.ts";
import type { Source, Span } from "./error.ts";
import type { ImportedFile } from "./runtime.ts";
import type { Scope } from "./scope.ts";
import type { Code, JFunction, LazyCode, Primitive, Site, Value } from "./value.ts";

/** An expression that is ready to run. */
export interface Compiled {
  readonly code: Code;
  /** What it always gives, if that is known. */
  readonly constant?: Primitive;
  /** A function that it always gives. */
  readonly known?: JFunction;
  /** It costs next to nothing and cannot fail. */
  readonly eager: boolean;
}

/** What a program finds around it. */
export interface Surroundings {
  /** Functions with names of their own, and `std`. */
  global(name: string): Value | undefined;
  /** A function of the library. */
  builtin(name: string): Value | undefined;
  /** @throws {JsonnetError} when it may not be imported */
  import(path: string, form: "import" | "importstr" | "importbin", span: Span): ImportedFile | Value;
}

/** A place of a program. */
export interface Place {
  readonly begin: number;
  readonly end: number;
  readonly height?: number;
}

export interface Compiler {
  readonly source: Source;
  readonly surroundings: Surroundings;
  site(node: Place, scope: Scope): Site;
  /** The program is wrong at `node`. */
  fail(node: Place, reason: string): never;
  /** @param tail the expression's value is that of the function around it */
  compile(node: Expression, scope: Scope, tail?: boolean): Compiled;
  /** The expression as an argument, an element or a local: evaluated when it is needed. */
  lazy(node: Expression, scope: Scope, name?: string): LazyCode;
  /** Runs `code` now when all that it works on is known. */
  fold(code: Code, ...operands: readonly Compiled[]): Compiled;
  function(node: FunctionExpression, scope: Scope, name: string): Compiled;
  /** Code that puts the values of `binds` in their places. */
  binds(binds: readonly Bind[], scope: Scope): { readonly slot: number; readonly code: LazyCode }[];
  /** Code that fails when the condition is not true. */
  check(
    assertion: { readonly condition: Expression; readonly message: Expression | undefined },
    scope: Scope,
    complaint: string,
    site: Site,
  ): Code;
}

export function constant(value: Primitive): Compiled {
  return { code: () => value, constant: value, eager: true };
}
