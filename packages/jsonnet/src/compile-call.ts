// Calls. A function of the library or of the host that is named directly is called without thunks; a closure whose
// arguments are all given by position gets them written straight into its frame.
import type { CallExpression, Expression } from "./ast.ts";
import { constant, type Compiled, type Compiler } from "./compiler.ts";
import {
  Builtin,
  Closure,
  TAIL,
  asFunction,
  call,
  checkArguments,
  continueTail,
  placeNamed,
} from "./functions.ts";
import { HostFunction, callHost, specialized } from "./host.ts";
import { force, newFrame, type Runtime } from "./runtime.ts";
import type { Scope } from "./scope.ts";
import { JFunction, type Code, type Frame, type LazyCode, type Site, type Slot } from "./value.ts";

/** Library functions whose value is not a matter of their arguments alone. */
const IMPURE: ReadonlySet<string> = new Set(["extVar", "native", "trace"]);

/** The function that `name` or `std.name` always is. */
export function knownFunction(compiler: Compiler, node: Expression, scope: Scope): JFunction | undefined {
  const { surroundings } = compiler;
  if (node.kind === "variable" && scope.find(node.name) === undefined) {
    const value = surroundings.global(node.name);
    return value instanceof JFunction ? value : undefined;
  }
  if (node.kind !== "index" || node.target.kind !== "variable" || node.index.kind !== "constant")
    return undefined;
  if (node.target.name !== "std" || scope.find("std") !== undefined) return undefined;
  const value = typeof node.index.value === "string" ? surroundings.builtin(node.index.value) : undefined;
  return value instanceof JFunction ? value : undefined;
}

export function compileCall(compiler: Compiler, node: CallExpression, scope: Scope, tail: boolean): Compiled {
  const site = compiler.site(node, scope);
  const target = compiler.compile(node.target, scope);
  const { known } = target;
  if (known !== undefined && node.named.length === 0) {
    const count = node.positional.length;
    if (count >= known.required && count <= known.parameters.length) {
      const direct = compileDirect(compiler, node, known, scope, site);
      if (direct !== undefined) return direct;
    }
  }
  const positional = node.positional.map((argument) => compiler.lazy(argument, scope));
  const names = node.named.map((argument) => argument.name);
  const named = node.named.map((argument) => compiler.lazy(argument.value, scope));
  if (node.tailstrict)
    return { code: strictCall(target.code, positional, names, named, site, tail), eager: false };
  if (named.length > 0) {
    const callee = target.code;
    return {
      code: (frame, rt) =>
        call(callee(frame, rt), slots(positional, frame, rt), names, slots(named, frame, rt), rt, site),
      eager: false,
    };
  }
  return { code: positionalCall(target.code, positional, site), eager: false };
}

function positionalCall(target: Code, positional: readonly LazyCode[], site: Site): Code {
  const count = positional.length;
  return (frame, rt) => {
    const callee = target(frame, rt);
    if (!(callee instanceof Closure) || callee.code.parameters.length !== count) {
      return call(callee, slots(positional, frame, rt), [], [], rt, site);
    }
    const { code } = callee;
    const inner = newFrame(callee.frame, code.frameSize);
    for (let i = 0; i < count; i++) inner[i + 1] = positional[i]!(frame, rt);
    rt.enter(site, code.site.height);
    let value = code.body(inner, rt);
    while (value === TAIL) value = continueTail(rt);
    rt.leave();
    return value;
  };
}

/** A call with `tailstrict`: its arguments are evaluated first, and at the end of a function it needs no stack. */
function strictCall(
  target: Code,
  positional: readonly LazyCode[],
  names: readonly string[],
  named: readonly LazyCode[],
  site: Site,
  tail: boolean,
): Code {
  return (frame, rt) => {
    const callee = asFunction(target(frame, rt), rt, site);
    const given = slots(positional, frame, rt).map((slot) => force(slot, rt));
    const more = slots(named, frame, rt).map((slot) => force(slot, rt));
    if (!tail) return call(callee, given, names, more, rt, site);
    const places = placeNamed(callee, given, names, more, rt, site);
    checkArguments(callee, places, rt, site);
    rt.tailFunction = callee;
    rt.tailSlots = places;
    return TAIL;
  };
}

function slots(codes: readonly LazyCode[], frame: Frame, rt: Runtime): Slot[] {
  const values: Slot[] = [];
  for (let i = 0; i < codes.length; i++) values.push(codes[i]!(frame, rt));
  return values;
}

function compileDirect(
  compiler: Compiler,
  node: CallExpression,
  known: JFunction,
  scope: Scope,
  site: Site,
): Compiled | undefined {
  if (!(known instanceof Builtin) && !(known instanceof HostFunction)) return undefined;
  const operands = node.positional.map((argument) => compiler.compile(argument, scope));
  if (known instanceof HostFunction) {
    const special = specialized(known, operands, site);
    if (special !== undefined) return { code: special, eager: false };
    const codes = operands.map((operand) => operand.code);
    return {
      code: (frame, rt) => {
        rt.enter(site, known.height);
        const value = callHost(
          known,
          codes.map((code) => code(frame, rt)),
          rt,
        );
        rt.leave();
        return value;
      },
      eager: false,
    };
  }
  const code = builtinCall(known, operands, site);
  return IMPURE.has(known.name) ? { code, eager: false } : compiler.fold(code, ...operands);
}

function builtinCall({ run, height }: Builtin, operands: readonly Compiled[], site: Site): Code {
  const none = constant(null).code;
  const [a = none, b = none, c = none, d = none] = operands.map((operand) => operand.code);
  if (operands.length === 1) {
    return (frame, rt) => {
      const x = a(frame, rt);
      rt.enter(site, height);
      const value = run(rt, x, null, null, null);
      rt.leave();
      return value;
    };
  }
  return (frame, rt) => {
    const x = a(frame, rt);
    const y = b(frame, rt);
    const z = c(frame, rt);
    const w = d(frame, rt);
    rt.enter(site, height);
    const value = run(rt, x, y, z, w);
    rt.leave();
    return value;
  };
}
