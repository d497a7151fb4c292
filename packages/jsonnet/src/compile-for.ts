// Comprehensions: each `for` has a frame an element, since what is made there may be evaluated later.
import type { Expression } from "./ast.ts";
import type { Compiled, Compiler } from "./compiler.ts";
import { compileField, compileLocals } from "./compile-object.ts";
import { objectOfLayer } from "./objects.ts";
import { booleanOf } from "./operators.ts";
import { newFrame, type Runtime } from "./runtime.ts";
import type { Scope } from "./scope.ts";
import { JArray, Shape, typeOf, type Field, type Frame, type LayerCode, type Slot } from "./value.ts";

type Comprehension = Expression & { readonly kind: "array-for" | "object-for" };

/** Runs for each combination of elements; what it finds goes to `out`. */
type Loop<T> = (frame: Frame, rt: Runtime, out: T) => void;

export function compileArrayFor(
  compiler: Compiler,
  node: Expression & { readonly kind: "array-for" },
  scope: Scope,
): Compiled {
  const loop = clauses<Slot[]>(compiler, node, 0, scope, (inner) => {
    const element = compiler.lazy(node.body, inner);
    return (frame, rt, out) => {
      rt.charge(64);
      out.push(element(frame, rt));
    };
  });
  return {
    code: (frame, rt) => {
      const items: Slot[] = [];
      loop(frame, rt, items);
      return new JArray(items);
    },
    eager: false,
  };
}

interface Found {
  readonly fields: Map<string, Field>;
  readonly frames: Frame[];
}

export function compileObjectFor(
  compiler: Compiler,
  node: Expression & { readonly kind: "object-for" },
  scope: Scope,
): Compiled {
  let layerCode: LayerCode | undefined;
  const loop = clauses<Found>(compiler, node, 0, scope, (inner) => {
    const object = inner.object("object <anonymous>");
    const locals = compileLocals(compiler, node.locals, object);
    const makeField = compileField(compiler, node.field, inner, object, compiler.site(node, scope));
    layerCode = { frameSize: object.layout.size, locals, asserts: [] };
    return (frame, rt, out) => {
      rt.charge(128);
      const field = makeField(frame, rt, out.fields);
      if (field !== undefined) out.frames.push(frame);
    };
  });
  const code = layerCode!;
  return {
    code: (frame, rt) => {
      const found: Found = { fields: new Map(), frames: [] };
      loop(frame, rt, found);
      const { fields, frames } = found;
      return objectOfLayer({ shape: new Shape(fields), code, frame: undefined, frames, values: undefined });
    },
    eager: false,
  };
}

function clauses<T>(
  compiler: Compiler,
  node: Comprehension,
  at: number,
  scope: Scope,
  body: (scope: Scope) => Loop<T>,
): Loop<T> {
  const clause = node.clauses[at];
  if (clause === undefined) return body(scope);
  if (clause.kind === "if") {
    const site = compiler.site(node, scope);
    const condition = compiler.compile(clause.condition, scope).code;
    const next = clauses(compiler, node, at + 1, scope, body);
    return (frame, rt, out) => {
      if (booleanOf(condition(frame, rt), rt, site)) next(frame, rt, out);
    };
  }
  const site = compiler.site(node, scope);
  const over = compiler.compile(clause.over, scope).code;
  const inner = scope.within(scope.layout.what);
  const place = inner.declare(clause.name);
  const next = clauses(compiler, node, at + 1, inner, body);
  const { layout } = inner;
  return (frame, rt: Runtime, out) => {
    const array = over(frame, rt);
    if (!(array instanceof JArray)) rt.failType(array, "array", typeOf, site);
    const { items } = array;
    for (let i = 0; i < items.length; i++) {
      rt.step(1);
      const element = newFrame(frame, layout.size);
      element[place] = items[i];
      next(element, rt, out);
    }
  };
}
