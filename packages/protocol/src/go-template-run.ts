// Evaluates a template of Go's text/template, with the texts that Go has for what fails:
// `template: <name>:<line>:<column>: executing "<name>" at <<node>>: ...`.
//
// R1  Steps and output are bounded (limits.ts): a template comes from whoever may apply specs.
// R2  Values have what their members say and nothing else: no name in a template reaches an object of this process.
import { utf8 } from "@millrace/base";
import { invalid, ValidationError } from "@millrace/protobuf";
import { goText } from "./go-printf.ts";
import { goQuote } from "./go-quote.ts";
import { templateFunction } from "./go-template-functions.ts";
import type { Command, GoTemplate, Operand, Pipeline, TemplateNode } from "./go-template-node.ts";
import { goBool, goFloat, goInt, goString, isTrue, NOTHING, type GoValue } from "./go-value.ts";
import { TEMPLATE_OUTPUT_CHARS_MAX, TEMPLATE_STEPS_MAX } from "./limits.ts";

/** @throws {ValidationError} */
export function runGoTemplate(template: GoTemplate, data: GoValue): string {
  return new Run(template, data).output();
}

/** Of Go's int64. */
const INT_END = 2n ** 63n;

/** What a list of nodes leaves behind: `break` and `continue` go up to their loop. */
type Outcome = "next" | "break" | "continue";

interface Place {
  readonly at: number;
  readonly source: string;
}

class Run {
  readonly #template: GoTemplate;
  readonly #data: GoValue;
  readonly #variables: { readonly name: string; value: GoValue }[];
  #place: Place = { at: 0, source: "" };
  #out = "";
  #steps = 0;

  constructor(template: GoTemplate, data: GoValue) {
    this.#template = template;
    this.#data = data;
    this.#variables = [{ name: "$", value: data }];
  }

  output(): string {
    this.#walkAll(this.#data, this.#template.nodes);
    return this.#out;
  }

  #walkAll(dot: GoValue, nodes: readonly TemplateNode[]): Outcome {
    for (const node of nodes) {
      const outcome = this.#walk(dot, node);
      if (outcome !== "next") return outcome;
    }
    return "next";
  }

  #walk(dot: GoValue, node: TemplateNode): Outcome {
    this.#step();
    switch (node.kind) {
      case "text":
        this.#write(node.text);
        return "next";
      case "action": {
        const value = this.#pipeline(dot, node.pipeline);
        if (node.pipeline.variables.length === 0) this.#write(this.#printed(value));
        return "next";
      }
      case "break":
      case "continue":
        return node.kind;
      default:
        return this.#scoped(() => (node.kind === "range" ? this.#range(dot, node) : this.#choose(dot, node)));
    }
  }

  /** Variables of a block end with it. */
  #scoped<T>(run: () => T): T {
    const mark = this.#variables.length;
    const result = run();
    this.#variables.length = mark;
    return result;
  }

  #choose(dot: GoValue, node: Extract<TemplateNode, { kind: "if" | "with" | "range" }>): Outcome {
    const value = this.#pipeline(dot, node.pipeline);
    if (!isTrue(value)) return this.#walkAll(dot, node.otherwise);
    return this.#walkAll(node.kind === "with" ? value : dot, node.list);
  }

  #range(dot: GoValue, node: Extract<TemplateNode, { kind: "if" | "with" | "range" }>): Outcome {
    const { variables, assigns } = node.pipeline;
    const list = this.#pipeline(dot, node.pipeline);
    const count = this.#rounds(list, variables.length);
    for (let i = 0n; i < count; i++) {
      this.#step();
      const item = list.kind === "list" ? list.items[Number(i)]! : goInt(i, list.type);
      const index = list.kind === "list" ? goInt(i) : NOTHING;
      const values = variables.length > 1 ? [index, item] : [item];
      variables.forEach((name, at) => this.#loopVariable({ name, assigns, value: values[at]! }));
      const outcome = this.#scoped(() => this.#walkAll(item, node.list));
      if (outcome === "break") break;
    }
    return count > 0n ? "next" : this.#walkAll(dot, node.otherwise);
  }

  /** How many times a loop goes round. */
  #rounds(list: GoValue, variables: number): bigint {
    if (list.kind === "list") return BigInt(list.items.length);
    if (list.kind === "nil" && list.type === "") return 0n;
    if (list.kind !== "int" && list.kind !== "uint")
      return this.#fail(`range can't iterate over ${goText(list)}`);
    if (variables > 1) return this.#fail(`can't use ${goText(list)} to iterate over more than one variable`);
    return list.value;
  }

  #loopVariable({ name, assigns, value }: { name: string; assigns: boolean; value: GoValue }): void {
    if (assigns) return this.#assign(name, value);
    this.#variables.findLast((variable) => variable.name === name)!.value = value;
  }

  #pipeline(dot: GoValue, pipeline: Pipeline): GoValue {
    this.#step();
    this.#place = pipeline;
    let value: GoValue | undefined;
    for (const command of pipeline.commands) value = this.#command(dot, command, value);
    for (const name of pipeline.variables) {
      if (pipeline.assigns) this.#assign(name, value!);
      else this.#variables.push({ name, value: value! });
    }
    return value!;
  }

  #assign(name: string, value: GoValue): void {
    const variable = this.#variables.findLast((known) => known.name === name);
    if (variable === undefined) return this.#fail(`undefined variable: ${name}`);
    variable.value = value;
  }

  /** @param final what the command before it in a pipeline gave */
  #command(dot: GoValue, command: Command, final: GoValue | undefined): GoValue {
    const [first, ...given] = command.operands;
    if (first.kind === "function")
      return this.#function(dot, { name: first.name, place: first, command }, given, final);
    if (
      first.kind === "field" ||
      first.kind === "chain" ||
      (first.kind === "variable" && first.names.length > 0)
    )
      return this.#fields(dot, first, given, final);
    if (first.kind !== "pipeline") this.#place = first;
    if (given.length > 0 || final !== undefined)
      this.#fail(`can't give argument to non-function ${first.source}`);
    if (first.kind === "nil") this.#fail("nil is not a command");
    return this.#operand(dot, first);
  }

  /** The value of an operand that gets no arguments. */
  #operand(dot: GoValue, operand: Operand): GoValue {
    this.#step();
    this.#place = operand;
    switch (operand.kind) {
      case "dot":
        return dot;
      case "nil":
        return NOTHING;
      case "bool":
        return goBool(operand.value);
      case "string":
        return goString(operand.value);
      case "number":
        return this.#number(operand);
      case "pipeline":
        return this.#pipeline(dot, operand.pipeline);
      case "function":
        return this.#function(dot, { name: operand.name, place: operand, command: operand }, [], undefined);
      default:
        return this.#fields(dot, operand, [], undefined);
    }
  }

  #number({ value: { int, float, isFloat }, source }: Extract<Operand, { kind: "number" }>): GoValue {
    if (isFloat || int === undefined) return goFloat(float ?? 0);
    return int < INT_END ? goInt(int) : this.#fail(`${source} overflows int`);
  }

  /** The last of the names gets the arguments, if it is a method. */
  #fields(
    dot: GoValue,
    operand: Extract<Operand, { kind: "field" | "chain" | "variable" }>,
    given: readonly Operand[],
    final: GoValue | undefined,
  ): GoValue {
    this.#place = operand;
    let value = operand.kind === "field" ? dot : this.#receiver(dot, operand);
    if (operand.names.length === 0) return value;
    operand.names.forEach((name, i) => {
      const isLast = i === operand.names.length - 1;
      value = this.#member(
        dot,
        { value, name, place: operand },
        isLast ? given : [],
        isLast ? final : undefined,
      );
    });
    return value;
  }

  #receiver(dot: GoValue, operand: Extract<Operand, { kind: "chain" | "variable" }>): GoValue {
    if (operand.kind === "chain") return this.#operand(dot, operand.of);
    const variable = this.#variables.findLast(({ name }) => name === operand.name);
    return variable === undefined ? this.#fail(`undefined variable: ${operand.name}`) : variable.value;
  }

  #member(
    dot: GoValue,
    { value, name, place }: { readonly value: GoValue; readonly name: string; readonly place: Place },
    given: readonly Operand[],
    final: GoValue | undefined,
  ): GoValue {
    this.#step();
    const { kind, type } = value;
    if (kind === "nil") return type === "" ? NOTHING : this.#fail(`nil pointer evaluating ${type}.${name}`);
    const members = value.members?.() ?? {};
    const member = Object.hasOwn(members, name) ? members[name] : undefined; // R2
    if (member === undefined) return this.#fail(`can't evaluate field ${name} in type ${type}`);
    const count = given.length + (final === undefined ? 0 : 1);
    if (member.kind === "field") {
      if (count > 0) this.#fail(`${name} has arguments but cannot be invoked as function`);
      return member.value;
    }
    const { parameters } = member;
    if (count !== parameters.length)
      this.#fail(`wrong number of args for ${name}: want ${parameters.length} got ${count}`);
    const values = given.map((operand, i) => this.#argument(dot, operand, parameters[i]));
    if (final !== undefined) values.push(this.#checked(final, parameters[given.length]));
    return this.#called(name, place, () => member.call(...values));
  }

  #function(
    dot: GoValue,
    { name, place, command }: { readonly name: string; readonly place: Place; readonly command: Place },
    given: readonly Operand[],
    final: GoValue | undefined,
  ): GoValue {
    this.#place = place;
    const { fixed, isVariadic, call } = templateFunction(name);
    const count = given.length + (final === undefined ? 0 : 1);
    if (isVariadic && count < fixed.length)
      this.#fail(`wrong number of args for ${name}: want at least ${fixed.length} got ${given.length}`);
    if (!isVariadic && count !== fixed.length)
      this.#fail(`wrong number of args for ${name}: want ${fixed.length} got ${count}`);
    if (name === "and" || name === "or") return this.#shortCircuit(dot, name, given, final);
    const values = given.map((operand, i) => this.#argument(dot, operand, fixed[i]));
    if (final !== undefined) values.push(this.#checked(final, fixed[given.length]));
    return this.#called(name, command, () => call(...values));
  }

  #shortCircuit(
    dot: GoValue,
    name: "and" | "or",
    given: readonly Operand[],
    final: GoValue | undefined,
  ): GoValue {
    let value = NOTHING;
    for (const operand of given) {
      value = this.#argument(dot, operand, undefined);
      if (isTrue(value) === (name === "or")) return value;
    }
    return final ?? value;
  }

  /** @param type of the parameter; undefined takes any */
  #argument(dot: GoValue, operand: Operand, type: string | undefined): GoValue {
    if (type === undefined) return this.#operand(dot, operand);
    this.#place = operand;
    const { kind, source } = operand;
    if (kind === "nil") return this.#fail(`cannot assign nil to ${type}`);
    const isText = type === "string";
    const isLiteral = kind === "bool" || kind === "number" || kind === "string";
    if (!isLiteral) return this.#checked(this.#operand(dot, operand), type);
    if (isText && kind === "string") return goString(operand.value);
    const int = kind === "number" ? operand.value.int : undefined;
    if (!isText && int !== undefined && int < INT_END) return goInt(int, type);
    return this.#fail(`expected ${isText ? "string" : "integer"}; found ${source}`);
  }

  #checked(value: GoValue, type: string | undefined): GoValue {
    if (type === undefined || value.type === type) return value;
    if (value.kind === "nil" && value.type === "") return this.#fail(`invalid value; expected ${type}`);
    return this.#fail(`wrong type for value; expected ${type}; got ${value.type}`);
  }

  #called(name: string, place: Place, call: () => GoValue): GoValue {
    try {
      const value = call();
      if (value.kind !== "string" || value.value.length <= TEMPLATE_OUTPUT_CHARS_MAX) return value;
      return invalid(`more than ${TEMPLATE_OUTPUT_CHARS_MAX} characters`); // R1
    } catch (thrown) {
      if (!(thrown instanceof ValidationError)) throw thrown;
      this.#place = place;
      return this.#fail(`error calling ${name}: ${thrown.reason}`);
    }
  }

  #printed(value: GoValue): string {
    if (value.kind === "nil" && value.type === "") return "<no value>";
    try {
      return goText(value);
    } catch (thrown) {
      if (!(thrown instanceof ValidationError)) throw thrown;
      return this.#fail(thrown.reason);
    }
  }

  /** R1 */
  #write(text: string): void {
    this.#out += text;
    if (this.#out.length > TEMPLATE_OUTPUT_CHARS_MAX)
      this.#fail(`more than ${TEMPLATE_OUTPUT_CHARS_MAX} characters`);
  }

  /** R1 */
  #step(): void {
    if (++this.#steps > TEMPLATE_STEPS_MAX) this.#fail(`more than ${TEMPLATE_STEPS_MAX} steps`);
  }

  #fail(what: string): never {
    const { name, text } = this.#template;
    const { at, source } = this.#place;
    const before = text.slice(0, at);
    const line = before.split("\n").length;
    const column = utf8(before.slice(before.lastIndexOf("\n") + 1)).length;
    return invalid(`template: ${name}:${line}:${column}: executing ${goQuote(name)} at <${source}>: ${what}`);
  }
}
