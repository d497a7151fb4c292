// From the tree to closures: variables become places in frames, constants are folded, and an expression that is
// cheap and cannot fail is evaluated at once where the language would put its evaluation off.
import type { Bind, Expression, FunctionExpression } from "./ast.ts";
import { compileCall, knownFunction } from "./compile-call.ts";
import { compileArrayFor, compileObjectFor } from "./compile-for.ts";
import { compileObject, compileSuper } from "./compile-object.ts";
import { compileBinary, compileUnary } from "./compile-operators.ts";
import { constant, type Compiled, type Compiler, type Place, type Surroundings } from "./compiler.ts";
import { JsonnetError, type Source } from "./error.ts";
import { Closure, type FunctionCode } from "./functions.ts";
import { toText } from "./manifest.ts";
import { SELF_SLOT, getField } from "./objects.ts";
import { booleanOf, indexValue, slice } from "./operators.ts";
import { Runtime, newFrame, type ImportedFile } from "./runtime.ts";
import { frameAt, passVariable, readVariable, Scope } from "./scope.ts";
import {
  JArray,
  JObject,
  Thunk,
  type Code,
  type Frame,
  type LazyCode,
  type Site,
  type Value,
} from "./value.ts";

/** What may be computed while a program is compiled. */
const NOTHING = { variable: () => undefined, native: () => undefined };
const FOLDING_LIMITS = { steps: 1000, stack: 50, bytes: 64 * 1024 };

/** Compiles a whole file. */
export function compileFile(source: Source, program: Expression, surroundings: Surroundings): ImportedFile {
  const scope = Scope.top();
  const compiler = new ProgramCompiler(source, surroundings);
  const { code } = compiler.compile(program, scope);
  const site = compiler.site(program, scope);
  const top: Frame = [];
  return {
    evaluate: (rt) => {
      rt.enter(site, site.height);
      const frame = scope.layout.size === 1 ? top : newFrame(top, scope.layout.size);
      const value = code(frame, rt);
      rt.leave();
      return value;
    },
  };
}

class ProgramCompiler implements Compiler {
  readonly source: Source;
  readonly surroundings: Surroundings;

  constructor(source: Source, surroundings: Surroundings) {
    this.source = source;
    this.surroundings = surroundings;
  }

  site(node: Place, scope: Scope): Site {
    const { begin, end, height = 1 } = node;
    return { span: { source: this.source, begin, end }, what: scope.layout.what, height };
  }

  fail(node: Place, reason: string): never {
    throw new JsonnetError("static", reason, { source: this.source, begin: node.begin, end: node.end });
  }

  /** @param tail the expression's value is that of the function around it */
  compile(node: Expression, scope: Scope, tail = false): Compiled {
    switch (node.kind) {
      case "constant":
        return constant(node.value);
      case "self":
      case "dollar":
        return this.#self(node, scope);
      case "super-index":
      case "in-super":
        return compileSuper(this, node, scope);
      case "variable":
        return this.#variable(node, scope);
      case "index":
        return this.#index(node, scope);
      case "slice":
        return this.#slice(node, scope);
      case "binary":
        return compileBinary(this, node, scope);
      case "unary":
        return compileUnary(this, node, scope);
      case "if":
        return this.#if(node, scope, tail);
      case "local":
        return this.#local(node, scope, tail);
      case "assert":
        return this.#assert(node, scope, tail);
      case "error":
        return this.#error(node, scope);
      case "import":
        return this.#import(node, scope);
      case "array":
        return this.#array(node, scope);
      case "array-for":
        return compileArrayFor(this, node, scope);
      case "function":
        return this.function(node, scope, "anonymous");
      case "call":
        return compileCall(this, node, scope, tail);
      case "object":
        return compileObject(this, node, scope);
      case "object-for":
        return compileObjectFor(this, node, scope);
    }
  }

  /** The expression as an argument, an element or a local: evaluated when it is needed. */
  lazy(node: Expression, scope: Scope, name?: string): LazyCode {
    const variable = node.kind === "variable" ? scope.find(node.name) : undefined;
    const { code, eager } =
      node.kind === "function" && name ? this.function(node, scope, name) : this.compile(node, scope);
    if (eager) return code;
    const site = this.site(node, scope);
    if (variable !== undefined) return passVariable(variable.depth, variable.place, code, site);
    return (frame) => new Thunk(code, frame, site);
  }

  /** Runs `code` now when all that it works on is known. */
  fold(code: Code, ...operands: readonly Compiled[]): Compiled {
    if (operands.some((operand) => operand.constant === undefined)) return { code, eager: false };
    try {
      const value = code([], new Runtime(FOLDING_LIMITS, NOTHING));
      if (value === null || typeof value !== "object") return constant(value);
    } catch (error) {
      // It fails when it is run, if it ever is.
      if (!(error instanceof JsonnetError)) throw error;
    }
    return { code, eager: false };
  }

  function(node: FunctionExpression, scope: Scope, name: string): Compiled {
    const inner = scope.within(`function <${name}>`);
    for (const parameter of node.parameters) inner.declare(parameter.name);
    const fallbacks = node.parameters.map(({ fallback }) =>
      fallback === undefined ? undefined : this.compile(fallback, inner).code,
    );
    const body = this.compile(node.body, inner, true);
    const code: FunctionCode = {
      name,
      parameters: node.parameters.map((parameter) => parameter.name),
      fallbacks,
      required: fallbacks.filter((fallback) => fallback === undefined).length,
      site: { ...this.site(node.body, inner), height: node.height },
      body: body.code,
      frameSize: inner.layout.size,
    };
    return { code: (frame) => new Closure(code, frame), eager: true };
  }

  /** Code that puts the values of `binds` in their places. */
  binds(binds: readonly Bind[], scope: Scope): { readonly slot: number; readonly code: LazyCode }[] {
    const slots = binds.map((bind) => scope.declare(bind.name));
    return binds.map((bind, i) => ({ slot: slots[i]!, code: this.lazy(bind.body, scope, bind.name) }));
  }

  /** Code that fails when the condition is not true. */
  check(
    assertion: { readonly condition: Expression; readonly message: Expression | undefined },
    scope: Scope,
    complaint: string,
    site: Site,
  ): Code {
    const condition = this.compile(assertion.condition, scope).code;
    const message = assertion.message === undefined ? undefined : this.compile(assertion.message, scope).code;
    return (frame, rt) => {
      if (booleanOf(condition(frame, rt), rt, site)) return null;
      return rt.fail(message === undefined ? complaint : toText(message(frame, rt), rt, site), site);
    };
  }

  #self(node: Expression, scope: Scope): Compiled {
    const layout = node.kind === "self" ? scope.self : scope.dollar;
    if (layout === undefined) {
      this.fail(
        node,
        node.kind === "self" ? "Can't use self outside of an object." : "No top-level object found.",
      );
    }
    const depth = scope.depthOf(layout);
    if (depth === 0) return { code: (frame) => frame[SELF_SLOT] as Value, eager: true };
    return { code: (frame) => frameAt(frame, depth)[SELF_SLOT] as Value, eager: true };
  }

  #variable(node: Expression & { readonly kind: "variable" }, scope: Scope): Compiled {
    const found = scope.find(node.name);
    if (found !== undefined) return { code: readVariable(found.depth, found.place), eager: false };
    const known = knownFunction(this, node, scope);
    if (known !== undefined) return { code: () => known, known, eager: true };
    const value = this.surroundings.global(node.name);
    if (value === undefined) this.fail(node, `Unknown variable: ${node.name}`);
    return { code: () => value, eager: true };
  }

  #index(node: Expression & { readonly kind: "index" }, scope: Scope): Compiled {
    const site = this.site(node, scope);
    const known = knownFunction(this, node, scope);
    if (known !== undefined) return { code: () => known, known, eager: true };
    const target = this.compile(node.target, scope);
    const index = this.compile(node.index, scope);
    if (typeof index.constant === "string") return this.#field(node, scope, target, index.constant, site);
    return this.fold(
      (frame, rt) => indexValue(target.code(frame, rt), index.code(frame, rt), rt, site),
      target,
      index,
    );
  }

  #field(
    node: Expression & { readonly kind: "index" },
    scope: Scope,
    target: Compiled,
    name: string,
    site: Site,
  ): Compiled {
    const object = target.code;
    if (node.target.kind === "self" && scope.self !== undefined && scope.depthOf(scope.self) === 0) {
      return { code: (frame, rt) => getField(frame[SELF_SLOT] as JObject, name, rt, site), eager: false };
    }
    return {
      code: (frame, rt) => {
        const value = object(frame, rt);
        return value instanceof JObject ? getField(value, name, rt, site) : indexValue(value, name, rt, site);
      },
      eager: false,
    };
  }

  #slice(node: Expression & { readonly kind: "slice" }, scope: Scope): Compiled {
    const site = this.site(node, scope);
    const target = this.compile(node.target, scope);
    const bounds = node.bounds.map((bound) =>
      bound === undefined ? constant(null) : this.compile(bound, scope),
    );
    const code: Code = (frame, rt) => {
      const value = target.code(frame, rt);
      return slice(
        value,
        bounds.map((bound) => bound.code(frame, rt)),
        rt,
        site,
      );
    };
    return this.fold(code, target, ...bounds);
  }

  #if(node: Expression & { readonly kind: "if" }, scope: Scope, tail: boolean): Compiled {
    const site = this.site(node, scope);
    const condition = this.compile(node.condition, scope);
    const whenTrue = this.compile(node.yes, scope, tail);
    const whenFalse = node.no === undefined ? constant(null) : this.compile(node.no, scope, tail);
    if (condition.constant === true) return whenTrue;
    if (condition.constant === false) return whenFalse;
    const [test, yes, no] = [condition.code, whenTrue.code, whenFalse.code];
    return {
      code: (frame, rt) => {
        const value = test(frame, rt);
        if (value === true) return yes(frame, rt);
        return booleanOf(value, rt, site) ? yes(frame, rt) : no(frame, rt);
      },
      eager: false,
    };
  }

  #local(node: Expression & { readonly kind: "local" }, scope: Scope, tail: boolean): Compiled {
    const inner = scope.block();
    const binds = this.binds(node.binds, inner);
    const body = this.compile(node.body, inner, tail).code;
    const [first] = binds;
    if (binds.length === 1 && first !== undefined) {
      return {
        code: (frame, rt) => {
          frame[first.slot] = first.code(frame, rt);
          return body(frame, rt);
        },
        eager: false,
      };
    }
    return {
      code: (frame, rt) => {
        for (let i = 0; i < binds.length; i++) frame[binds[i]!.slot] = binds[i]!.code(frame, rt);
        return body(frame, rt);
      },
      eager: false,
    };
  }

  #assert(node: Expression & { readonly kind: "assert" }, scope: Scope, tail: boolean): Compiled {
    const check = this.check(node.assertion, scope, "Assertion failed", this.site(node, scope));
    const body = this.compile(node.body, scope, tail).code;
    return { code: (frame, rt) => (check(frame, rt), body(frame, rt)), eager: false };
  }

  #error(node: Expression & { readonly kind: "error" }, scope: Scope): Compiled {
    const site = this.site(node, scope);
    const message = this.compile(node.message, scope).code;
    return { code: (frame, rt) => rt.fail(toText(message(frame, rt), rt, site), site), eager: false };
  }

  #import(node: Expression & { readonly kind: "import" }, scope: Scope): Compiled {
    const { span } = this.site(node, scope);
    const imported = this.surroundings.import(node.path, node.form, span);
    if (typeof imported === "string") return constant(imported);
    if (imported !== null && typeof imported === "object" && "evaluate" in imported) {
      return { code: (_, rt) => rt.importValue(imported), eager: false };
    }
    return { code: () => imported, eager: true };
  }

  #array(node: Expression & { readonly kind: "array" }, scope: Scope): Compiled {
    const elements = node.elements.map((element) => this.lazy(element, scope));
    const { length } = elements;
    return {
      code: (frame, rt) => {
        rt.chargeItems(length);
        const items = [];
        for (let i = 0; i < length; i++) items.push(elements[i]!(frame, rt));
        return new JArray(items);
      },
      eager: true,
    };
  }
}
