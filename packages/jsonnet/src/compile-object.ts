// Object literals, and what refers to the layers below: `super` and `+:`.
import type { Bind, Expression, FieldDefinition } from "./ast.ts";
import type { Compiled, Compiler } from "./compiler.ts";
import { LAYER_SLOT, SELF_SLOT, fieldBelow, findLayer, objectOfLayer } from "./objects.ts";
import { add } from "./operators.ts";
import type { Runtime } from "./runtime.ts";
import { frameAt, type Scope } from "./scope.ts";
import {
  type JObject,
  Shape,
  typeOf,
  type Code,
  type Field,
  type Frame,
  type LayerCode,
  type LazyCode,
  type Site,
} from "./value.ts";

/** Adds a field to `fields`, unless its name is null. */
type MakeField = (frame: Frame, rt: Runtime, fields: Map<string, Field>) => Field | undefined;

export function compileObject(
  compiler: Compiler,
  node: Expression & { readonly kind: "object" },
  scope: Scope,
): Compiled {
  const inner = scope.object("object <anonymous>");
  const locals = compileLocals(compiler, node.locals, inner);
  const objectSite = compiler.site(node, scope);
  const makers = node.fields.map((field) => compileField(compiler, field, scope, inner, objectSite));
  const asserts = node.asserts.map((assertion) => {
    const height = Math.max(assertion.condition.height, assertion.message?.height ?? 0);
    const site = compiler.site({ begin: assertion.begin, end: assertion.end, height }, inner);
    return { code: compiler.check(assertion, inner, "Object assertion failed.", site), site };
  });
  const layerCode: LayerCode = { frameSize: inner.layout.size, locals, asserts };
  const charged = 96 + 32 * makers.length;
  const isStatic = node.fields.every((field) => typeof field.name === "string");
  const layerOf = (shape: Shape, frame: Frame): JObject =>
    objectOfLayer({ shape, code: layerCode, frame, frames: undefined, values: undefined });
  if (isStatic) {
    const shape = new Shape(makeFields(makers, undefined));
    return {
      code: (frame, rt) => {
        rt.charge(charged);
        return layerOf(shape, frame);
      },
      eager: true,
    };
  }
  return {
    code: (frame, rt) => {
      rt.charge(charged + 64 * makers.length);
      rt.enter(objectSite);
      const shape = new Shape(makeFields(makers, { frame, rt }));
      rt.leave();
      return layerOf(shape, frame);
    },
    eager: false,
  };
}

/** The object's locals, which see each other and the object. */
export function compileLocals(
  compiler: Compiler,
  locals: readonly Bind[],
  inner: Scope,
): { readonly slot: number; readonly code: LazyCode }[] {
  return compiler.binds(locals, inner);
}

/** Where computed names are evaluated; a name that is known needs nothing. */
type Place = { readonly frame: Frame; readonly rt: Runtime } | undefined;

function makeFields(makers: readonly MakeField[], place: Place): Map<string, Field> {
  const fields = new Map<string, Field>();
  for (const make of makers) {
    // Makers of known names read neither.
    make(place?.frame as Frame, place?.rt as Runtime, fields);
  }
  return fields;
}

/**
 * @param outer where a computed name is evaluated
 * @param inner where the field's value is
 * @param object what is wrong when a computed name is
 */
export function compileField(
  compiler: Compiler,
  field: FieldDefinition,
  outer: Scope,
  inner: Scope,
  object: Site,
): MakeField {
  const { visibility, plus, body } = field;
  const known = typeof field.name === "string" ? field.name : undefined;
  const value =
    body.kind === "function"
      ? compiler.function(body, inner, known ?? "anonymous").code
      : compiler.compile(body, inner).code;
  const site = compiler.site(body, inner);
  if (known !== undefined) {
    const code = plus ? extended(known, value, site) : value;
    return (_, __, fields) => {
      const made: Field = { index: fields.size, name: known, visibility, code, site, removes: 0 };
      fields.set(known, made);
      return made;
    };
  }
  const nameCode = compiler.compile(field.name as Expression, outer).code;
  return (frame, rt: Runtime, fields) => {
    const name = nameCode(frame, rt);
    if (name === null) return undefined;
    if (typeof name !== "string") rt.fail(`Field name must be string, got ${typeOf(name)}`, object);
    if (fields.has(name)) rt.fail(`Duplicate field name: ${JSON.stringify(name)}`, object);
    const code = plus ? extended(name, value, site) : value;
    const made: Field = { index: fields.size, name, visibility, code, site, removes: 0 };
    fields.set(name, made);
    return made;
  };
}

/** `name +: value` */
function extended(name: string, value: Code, site: Site): Code {
  return (frame, rt) => {
    const below = fieldBelow(frame, name, rt);
    const own = value(frame, rt);
    return below === undefined ? own : add(below, own, rt, site);
  };
}

/** `super.x`, `super[x]` and `x in super`. */
export function compileSuper(
  compiler: Compiler,
  node: Expression & { readonly kind: "super-index" | "in-super" },
  scope: Scope,
): Compiled {
  const { self } = scope;
  const index = compiler.compile(node.index, scope).code;
  if (self === undefined) compiler.fail(superOf(node), "Can't use super outside of an object.");
  const depth = scope.depthOf(self);
  const site = compiler.site(node, scope);
  const word = compiler.site(superOf(node), scope);
  if (node.kind === "in-super") {
    return {
      code: (frame, rt) => {
        const own = frameAt(frame, depth);
        const name = nameOf(index, frame, rt, site);
        return findLayer(own[SELF_SLOT] as JObject, name, (own[LAYER_SLOT] as number) - 1, rt) !== -1;
      },
      eager: false,
    };
  }
  return {
    code: (frame, rt: Runtime) => {
      const own = frameAt(frame, depth);
      if (own[LAYER_SLOT] === 0) rt.fail("Attempt to use super when there is no super class.", word);
      const name = nameOf(index, frame, rt, site);
      const value = fieldBelow(own, name, rt);
      if (value === undefined) rt.fail(`Field does not exist: ${name}`, site);
      return value;
    },
    eager: false,
  };
}

/** The word `super`. */
function superOf(node: Expression): { begin: number; end: number } {
  return node.kind === "in-super" ? node : { begin: node.begin, end: node.begin + 5 };
}

function nameOf(index: Code, frame: Frame, rt: Runtime, site: Site): string {
  const name = index(frame, rt);
  return typeof name === "string" ? name : rt.failType(name, "string", typeOf, site);
}
