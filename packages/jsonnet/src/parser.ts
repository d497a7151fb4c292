// Recursive descent for what begins an expression, precedence climbing for what follows it. The stack is bounded by
// NESTING_MAX: more expressions within each other are refused.
import type { BinaryOperator, Bind, Expression, Parameter, UnaryOperator } from "./ast.ts";
import { JsonnetError, type Source } from "./error.ts";
import { NESTING_MAX, SOURCE_CHARS_MAX } from "./limits.ts";
import { parseClauses, parseObject } from "./parser-objects.ts";
import { TokenCursor } from "./token-cursor.ts";
import type { Token } from "./token.ts";

const PRECEDENCE: ReadonlyMap<string, number> = new Map<BinaryOperator, number>([
  ["*", 10],
  ["/", 10],
  ["%", 10],
  ["+", 9],
  ["-", 9],
  ["<<", 8],
  [">>", 8],
  ["<", 7],
  [">", 7],
  ["<=", 7],
  [">=", 7],
  ["in", 7],
  ["==", 6],
  ["!=", 6],
  ["&", 5],
  ["^", 4],
  ["|", 3],
  ["&&", 2],
  ["||", 1],
]);

/** An expression without its height. */
type Bare<E> = E extends Expression ? Omit<E, "height"> : never;

/** Parses a whole program. */
export function parse(source: Source): Expression {
  if (source.text.length > SOURCE_CHARS_MAX) {
    throw new JsonnetError(
      "limit",
      `the program has ${source.text.length} characters, the limit is ${SOURCE_CHARS_MAX}`,
      { source, begin: 0, end: 0 },
    );
  }
  const parser = new Parser(source);
  const expression = parser.expression();
  const rest = parser.peek();
  if (rest.kind !== "end") parser.fail(rest, `Did not expect: ${parser.describe(rest)}`);
  return expression;
}

/** Where the expression begins, with its parentheses. */
function beginOf(expression: Expression): number {
  return expression.outerBegin ?? expression.begin;
}

function endOf(expression: Expression): number {
  return expression.outerEnd ?? expression.end;
}

export class Parser extends TokenCursor {
  #depth = 0;

  /** Gives `expression` its height, which is bounded. */
  node(expression: Bare<Expression>, ...below: readonly (Expression | undefined)[]): Expression {
    let height = 1;
    for (const child of below) if (child !== undefined && child.height >= height) height = child.height + 1;
    if (height > NESTING_MAX) this.#tooDeep(expression);
    return { ...expression, height };
  }

  expression(): Expression {
    if (++this.#depth > NESTING_MAX) this.#tooDeep(this.peek());
    const token = this.peek();
    const expression = token.kind === "keyword" ? this.#statement(token) : undefined;
    const result = expression ?? this.#binary(1);
    this.#depth--;
    return result;
  }

  #tooDeep(at: { readonly begin: number; readonly end: number }): never {
    throw new JsonnetError("limit", `more than ${NESTING_MAX} expressions within each other`, {
      source: this.source,
      begin: at.begin,
      end: at.end,
    });
  }

  /** What extends as far to the right as it can. */
  #statement(token: Token): Expression | undefined {
    const { begin } = token;
    switch (token.text) {
      case "local":
        return this.#local(begin);
      case "if":
        return this.#if(begin);
      case "function": {
        this.next();
        return this.functionBody(begin);
      }
      case "assert": {
        const assertion = this.assertion();
        this.expect(";");
        const body = this.expression();
        const { condition, message } = assertion;
        return this.node(
          { kind: "assert", begin, end: endOf(body), assertion, body },
          condition,
          message,
          body,
        );
      }
      case "error": {
        this.next();
        const message = this.expression();
        return this.node({ kind: "error", begin, end: endOf(message), message }, message);
      }
      case "import":
      case "importstr":
      case "importbin":
        return this.#import(token.text, begin);
      default:
        return undefined;
    }
  }

  /** `assert condition` or `assert condition : message`. */
  assertion(): { begin: number; end: number; condition: Expression; message: Expression | undefined } {
    const { begin } = this.expect("assert");
    const condition = this.expression();
    const message = this.accept(":") ? this.expression() : undefined;
    return { begin, end: this.lastEnd, condition, message };
  }

  #import(form: "import" | "importstr" | "importbin", begin: number): Expression {
    this.next();
    const token = this.peek();
    const path = this.expression();
    if (path.kind !== "constant" || typeof path.value !== "string") {
      this.fail(path, "Computed imports are not allowed");
    }
    if (token.block === true) this.fail(path, "Block string literals not allowed in imports");
    return this.node({ kind: "import", begin, end: endOf(path), form, path: path.value });
  }

  #local(begin: number): Expression {
    this.next();
    const binds = [this.bind()];
    while (this.accept(",")) binds.push(this.bind());
    if (!this.accept(";")) {
      this.fail(this.peek(), `Expected , or ; but got ${this.describe(this.peek())}`);
    }
    this.uniqueNames(binds, "Duplicate local var");
    const body = this.expression();
    return this.node(
      { kind: "local", begin, end: endOf(body), binds, body },
      body,
      ...binds.map((bind) => bind.body),
    );
  }

  /** `name = expression` or `name(parameters) = expression`. */
  bind(): Bind {
    const name = this.identifier();
    const { begin, end } = name;
    if (this.is("(")) {
      const parameters = this.#parameters();
      this.expect("=");
      return { name: name.text, begin, end, body: this.#function(begin, parameters) };
    }
    this.expect("=");
    return { name: name.text, begin, end, body: this.expression() };
  }

  uniqueNames(names: readonly { name: string; begin: number; end: number }[], complaint: string): void {
    const seen = new Set<string>();
    for (const entry of names) {
      if (seen.has(entry.name)) this.fail(entry, `${complaint}: ${entry.name}`);
      seen.add(entry.name);
    }
  }

  #if(begin: number): Expression {
    this.next();
    const condition = this.expression();
    this.expect("then");
    const yes = this.expression();
    const no = this.accept("else") ? this.expression() : undefined;
    const end = this.lastEnd;
    return this.node({ kind: "if", begin, end, condition, yes, no }, condition, yes, no);
  }

  /** Parameters and body of `function(…) …`, after its keyword. */
  functionBody(begin: number): Expression {
    return this.#function(begin, this.#parameters());
  }

  /** A method of an object: parameters, colons and body. */
  method(begin: number, afterParameters: () => void): Expression {
    const parameters = this.#parameters();
    afterParameters();
    return this.#function(begin, parameters);
  }

  #function(begin: number, parameters: readonly Parameter[]): Expression {
    const body = this.expression();
    const fallbacks = parameters.map((parameter) => parameter.fallback);
    return this.node({ kind: "function", begin, end: endOf(body), parameters, body }, body, ...fallbacks);
  }

  #parameters(): Parameter[] {
    this.expect("(");
    const parameters: Parameter[] = [];
    while (!this.accept(")")) {
      if (parameters.length > 0) {
        this.#comma("function parameter");
        if (this.accept(")")) break;
      }
      const { text, begin, end } = this.identifier();
      parameters.push({ name: text, begin, end, fallback: this.accept("=") ? this.expression() : undefined });
    }
    this.uniqueNames(parameters, "Duplicate function parameter");
    return parameters;
  }

  #comma(what: string): void {
    const token = this.peek();
    if (!this.accept(","))
      this.fail(token, `Expected a comma before next ${what}, got ${this.describe(token)}`);
  }

  #binary(least: number): Expression {
    let left = this.#unary();
    for (;;) {
      const token = this.peek();
      if (token.kind !== "operator" && token.text !== "in") return left;
      if (token.kind === "string") return left;
      const precedence = PRECEDENCE.get(token.text);
      if (precedence === undefined) {
        if (!/^(?:[:=]|\+:)/.test(token.text)) this.fail(token, `Not a binary operator: ${token.text}`);
        return left;
      }
      if (precedence < least) return left;
      this.next();
      if (token.text === "in" && this.is("super") && !this.#superIsIndexed()) {
        this.next();
        left = this.node({ kind: "in-super", begin: beginOf(left), end: this.lastEnd, index: left }, left);
        continue;
      }
      const right = this.#operand(precedence + 1);
      const begin = beginOf(left);
      const operator = token.text as BinaryOperator;
      left = this.node({ kind: "binary", begin, end: endOf(right), operator, left, right }, left, right);
    }
  }

  #superIsIndexed(): boolean {
    const after = this.after();
    return after?.kind === "symbol" && (after.text === "." || after.text === "[");
  }

  /** The right side of an operator: `1 + if …` takes all that follows. */
  #operand(least: number): Expression {
    const token = this.peek();
    const statement = token.kind === "keyword" ? this.#nested(() => this.#statement(token)) : undefined;
    return statement ?? this.#binary(least);
  }

  #nested<T>(run: () => T): T {
    if (++this.#depth > NESTING_MAX) this.#tooDeep(this.peek());
    const result = run();
    this.#depth--;
    return result;
  }

  #unary(): Expression {
    const token = this.peek();
    if (token.kind !== "operator" || token.text === "$") return this.#postfix();
    if (!["+", "-", "!", "~"].includes(token.text)) this.fail(token, `Not a unary operator: ${token.text}`);
    this.next();
    const operand = this.#nested(() => {
      const inner = this.peek();
      return (inner.kind === "keyword" ? this.#statement(inner) : undefined) ?? this.#unary();
    });
    const operator = token.text as UnaryOperator;
    return this.node({ kind: "unary", begin: token.begin, end: endOf(operand), operator, operand }, operand);
  }

  #postfix(): Expression {
    let target = this.#primary();
    for (;;) {
      const begin = beginOf(target);
      const token = this.peek();
      if (token.kind !== "symbol") return target;
      if (token.text === ".") {
        this.next();
        const name = this.identifier();
        const index = this.node({ kind: "constant", begin: name.begin, end: name.end, value: name.text });
        target = this.node({ kind: "index", begin, end: name.end, target, index }, target);
      } else if (token.text === "[") {
        target = this.#indexOrSlice(target);
      } else if (token.text === "(") {
        target = this.#call(target);
      } else if (token.text === "{") {
        this.next();
        const right = parseObject(this, token.begin);
        target = this.node(
          { kind: "binary", begin, end: right.end, operator: "+", left: target, right },
          target,
          right,
        );
      } else return target;
    }
  }

  #indexOrSlice(target: Expression): Expression {
    const open = this.next();
    const begin = beginOf(target);
    const parts: [Expression | undefined, Expression | undefined, Expression | undefined] = [
      undefined,
      undefined,
      undefined,
    ];
    let part = 0;
    let isSlice = false;
    while (!this.is("]")) {
      const token = this.peek();
      if (token.text === ":" || token.text === "::") {
        this.next();
        isSlice = true;
        part += token.text.length;
        if (part > 2) this.fail(token, `Unexpected: ${this.describe(token)} while parsing slice`);
        continue;
      }
      if (parts[part] !== undefined) this.expect("]");
      parts[part] = this.expression();
    }
    this.next();
    const end = this.lastEnd;
    if (isSlice) {
      return this.node({ kind: "slice", begin, end, target, bounds: parts }, target, ...parts);
    }
    const [index] = parts;
    if (index === undefined) this.fail({ begin: open.begin, end }, "ast.Index requires an expression");
    return this.node({ kind: "index", begin, end, target, index }, target, index);
  }

  #call(target: Expression): Expression {
    this.next();
    const positional: Expression[] = [];
    const named: { name: string; value: Expression }[] = [];
    while (!this.accept(")")) {
      if (positional.length + named.length > 0) {
        this.#comma("function argument");
        if (this.accept(")")) break;
      }
      const token = this.peek();
      const after = this.after();
      if (token.kind === "identifier" && after?.kind === "operator" && after.text === "=") {
        this.next();
        this.next();
        named.push({ name: token.text, value: this.expression() });
      } else {
        const value = this.expression();
        if (named.length > 0) this.fail(value, "Positional argument after a named argument is not allowed");
        positional.push(value);
      }
    }
    const tailstrict = this.accept("tailstrict");
    return this.node(
      { kind: "call", begin: beginOf(target), end: this.lastEnd, target, positional, named, tailstrict },
      target,
      ...positional,
      ...named.map((argument) => argument.value),
    );
  }

  #primary(): Expression {
    const token = this.next();
    const { begin, end, text } = token;
    switch (token.kind) {
      case "number": {
        const value = Number(text);
        if (!Number.isFinite(value)) this.fail(token, `Number out of range: ${text}`);
        return this.node({ kind: "constant", begin, end, value });
      }
      case "string":
        return this.node({ kind: "constant", begin, end, value: text });
      case "identifier":
        return this.node({ kind: "variable", begin, end, name: text });
      case "keyword":
        return this.#keyword(token);
      case "symbol":
        if (text === "{") return parseObject(this, begin);
        if (text === "[") return this.#array(begin);
        if (text === "(") {
          const inner = this.expression();
          this.expect(")");
          return { ...inner, outerBegin: begin, outerEnd: this.lastEnd };
        }
        break;
      case "operator":
        if (text === "$") return this.node({ kind: "dollar", begin, end });
        break;
      case "end":
        return this.fail(token, "Unexpected end of file");
    }
    return this.fail(token, `Unexpected: ${this.describe(token)} while parsing terminal`);
  }

  #keyword(token: Token): Expression {
    const { begin, end, text } = token;
    switch (text) {
      case "null":
        return this.node({ kind: "constant", begin, end, value: null });
      case "true":
      case "false":
        return this.node({ kind: "constant", begin, end, value: text === "true" });
      case "self":
        return this.node({ kind: "self", begin, end });
      case "super": {
        if (this.accept(".")) {
          const name = this.identifier();
          const index = this.node({ kind: "constant", begin: name.begin, end: name.end, value: name.text });
          return this.node({ kind: "super-index", begin, end: name.end, index });
        }
        const open = this.peek();
        if (!this.accept("[")) this.fail(open, `Expected . or [ after super.`);
        const index = this.expression();
        this.expect("]");
        return this.node({ kind: "super-index", begin, end: this.lastEnd, index }, index);
      }
      default:
        return this.fail(token, `Unexpected: ${this.describe(token)} while parsing terminal`);
    }
  }

  #array(begin: number): Expression {
    const elements: Expression[] = [];
    while (!this.accept("]")) {
      if (elements.length === 1 && this.is("for")) return this.#arrayFor(begin, elements[0]!);
      if (elements.length > 0) {
        this.#comma("array element");
        if (elements.length === 1 && this.is("for")) return this.#arrayFor(begin, elements[0]!);
        if (this.accept("]")) break;
      }
      elements.push(this.expression());
    }
    return this.node({ kind: "array", begin, end: this.lastEnd, elements }, ...elements);
  }

  #arrayFor(begin: number, body: Expression): Expression {
    const clauses = parseClauses(this);
    this.expect("]");
    return this.node(
      { kind: "array-for", begin, end: this.lastEnd, body, clauses },
      body,
      ...clauses.map((clause) => (clause.kind === "for" ? clause.over : clause.condition)),
    );
  }
}
