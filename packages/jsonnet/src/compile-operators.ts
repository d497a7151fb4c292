// Operators. Two numbers are the common case, and taken without a call.
import type { Expression } from "./ast.ts";
import type { Compiled, Compiler } from "./compiler.ts";
import { formatText, parseFormat, type Format } from "./format.ts";
import { hasField } from "./objects.ts";
import {
  add,
  bitwise,
  booleanOf,
  compare,
  complement,
  divide,
  equals,
  finite,
  numberOf,
  remainder,
} from "./operators.ts";
import type { Runtime } from "./runtime.ts";
import type { Scope } from "./scope.ts";
import { JObject, typeOf, type Code, type Site, type Value } from "./value.ts";

export function compileUnary(
  compiler: Compiler,
  node: Expression & { readonly kind: "unary" },
  scope: Scope,
): Compiled {
  const site = compiler.site(node, scope);
  const compiled = compiler.compile(node.operand, scope);
  const operand = compiled.code;
  switch (node.operator) {
    case "!":
      return compiler.fold((frame, rt) => !booleanOf(operand(frame, rt), rt, site), compiled);
    case "+":
      return compiler.fold((frame, rt) => numberOf(operand(frame, rt), rt, site), compiled);
    case "-":
      return compiler.fold((frame, rt) => -numberOf(operand(frame, rt), rt, site), compiled);
    case "~":
      return compiler.fold((frame, rt) => complement(operand(frame, rt), rt, site), compiled);
  }
}

export function compileBinary(
  compiler: Compiler,
  node: Expression & { readonly kind: "binary" },
  scope: Scope,
): Compiled {
  const site = compiler.site(node, scope);
  const left = compiler.compile(node.left, scope);
  const right = compiler.compile(node.right, scope);
  if (node.operator === "%" && typeof left.constant === "string") {
    const format = knownFormat(left.constant);
    if (format !== undefined) {
      const values = right.code;
      return compiler.fold((frame, rt) => formatted(format, values(frame, rt), rt, site), left, right);
    }
  }
  const { operator } = node;
  if (operator === "&&" || operator === "||")
    return compiler.fold(logical(operator, left, right, site), left, right);
  return compiler.fold(operation(operator, left.code, right.code, site), left, right);
}

function knownFormat(text: string): Format | undefined {
  const format = parseFormat(text);
  return typeof format === "string" ? undefined : format;
}

function formatted(format: Format, values: Value, rt: Runtime, site: Site): Value {
  rt.enter(site);
  const text = formatText(format, values, rt);
  rt.leave();
  return text;
}

function logical(operator: "&&" | "||", left: Compiled, right: Compiled, site: Site): Code {
  const [a, b] = [left.code, right.code];
  const settles = operator === "||";
  return (frame, rt) => {
    if (booleanOf(a(frame, rt), rt, site) === settles) return settles;
    return booleanOf(b(frame, rt), rt, site);
  };
}

type Operator = Exclude<(Expression & { readonly kind: "binary" })["operator"], "&&" | "||">;

function operation(operator: Operator, a: Code, b: Code, site: Site): Code {
  switch (operator) {
    case "+":
      return (frame, rt) => add(a(frame, rt), b(frame, rt), rt, site);
    case "-":
      return arithmetic(a, b, site, (x, y, rt) => finite(x - y, rt, site));
    case "*":
      return arithmetic(a, b, site, (x, y, rt) => finite(x * y, rt, site));
    case "/":
      return arithmetic(a, b, site, (x, y, rt) => divide(x, y, rt, site));
    case "%":
      return (frame, rt) => modulo(a(frame, rt), b(frame, rt), rt, site);
    case "==":
      return (frame, rt) => equals(a(frame, rt), b(frame, rt), rt, site);
    case "!=":
      return (frame, rt) => !equals(a(frame, rt), b(frame, rt), rt, site);
    case "in":
      return (frame, rt) => isIn(a(frame, rt), b(frame, rt), rt, site);
    case "&":
    case "|":
    case "^":
    case "<<":
    case ">>":
      return (frame, rt) => bitwise(operator, a(frame, rt), b(frame, rt), rt, site);
    case "<":
    case ">":
    case "<=":
    case ">=":
      return comparison(operator, a, b, site);
  }
}

function arithmetic(
  a: Code,
  b: Code,
  site: Site,
  apply: (x: number, y: number, rt: Runtime) => number,
): Code {
  return (frame, rt) => {
    const x = a(frame, rt);
    const y = b(frame, rt);
    if (typeof x === "number" && typeof y === "number") return apply(x, y, rt);
    return rt.failType(typeof x === "number" ? y : x, "number", typeOf, site);
  };
}

function comparison(operator: "<" | ">" | "<=" | ">=", a: Code, b: Code, site: Site): Code {
  const order = (rt: Runtime, x: Value, y: Value): number => compare(x, y, rt, site);
  switch (operator) {
    case "<":
      return (frame, rt) => order(rt, a(frame, rt), b(frame, rt)) < 0;
    case ">":
      return (frame, rt) => order(rt, a(frame, rt), b(frame, rt)) > 0;
    case "<=":
      return (frame, rt) => order(rt, a(frame, rt), b(frame, rt)) <= 0;
    case ">=":
      return (frame, rt) => order(rt, a(frame, rt), b(frame, rt)) >= 0;
  }
}

/** `%` and std.mod: the remainder of numbers, or std.format. */
export function modulo(left: Value, right: Value, rt: Runtime, site: Site): Value {
  if (typeof left === "number" && typeof right === "number") return remainder(left, right, rt, site);
  if (typeof left !== "string") {
    return rt.fail(`Operator % cannot be used on types ${typeOf(left)} and ${typeOf(right)}.`, site);
  }
  const format = parseFormat(left, rt);
  if (typeof format === "string") rt.fail(format, site);
  return formatted(format, right, rt, site);
}

function isIn(name: Value, object: Value, rt: Runtime, site: Site): boolean {
  if (!(object instanceof JObject)) rt.failType(object, "object", typeOf, site);
  if (typeof name !== "string") rt.failType(name, "string", typeOf, site);
  return hasField(object, name, rt);
}
