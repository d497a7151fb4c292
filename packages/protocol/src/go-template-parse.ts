// Go's text/template, parsed, with the texts that Go has for what is wrong: `template: <name>:<line>: ...`.
// Left out: {{define}}, {{block}} and {{template}}, complex numbers, and the functions that go-template-functions.ts
// lacks; each is refused by its name.
import { invalid } from "@millrace/protobuf";
import { parseGoCharacter, parseGoNumber, unquoteGo } from "./go-literal.ts";
import { goQuote } from "./go-quote.ts";
import { isTemplateFunction } from "./go-template-functions.ts";
import { lexTemplate, type Token, type TokenKind } from "./go-template-lex.ts";
import type { Command, GoTemplate, Operand, Pipeline, TemplateNode } from "./go-template-node.ts";

/** Of parentheses and of blocks. */
const DEPTH_MAX = 100;

const OPERANDS: ReadonlySet<TokenKind> = new Set<TokenKind>([
  "bool",
  "char",
  "dot",
  "field",
  "identifier",
  "left-paren",
  "nil",
  "number",
  "raw",
  "string",
  "variable",
]);
const LITERALS: ReadonlySet<Operand["kind"]> = new Set<Operand["kind"]>([
  "bool",
  "dot",
  "nil",
  "number",
  "string",
]);
const NOT_SUPPORTED: ReadonlySet<string> = new Set(["block", "define", "template"]);

/** @throws {ValidationError} */
export function parseGoTemplate(name: string, text: string): GoTemplate {
  return new Parser(name, text).parse();
}

/** What ends a list of nodes, or the whole template. */
type ListEnd = "{{end}}" | "{{else}}" | "EOF";
type Control = "if" | "with" | "range";

class Parser {
  readonly #name: string;
  readonly #text: string;
  readonly #tokens: readonly Token[];
  readonly #variables: string[] = ["$"];
  #next = 0;
  #rangeDepth = 0;
  #depth = 0;
  #actionLine = 0;

  constructor(name: string, text: string) {
    this.#name = name;
    this.#text = text;
    this.#tokens = lexTemplate(text);
  }

  parse(): GoTemplate {
    const { nodes, end } = this.#list();
    if (end !== "EOF") this.#fail(`unexpected ${end}`);
    return { name: this.#name, text: this.#text, nodes };
  }

  #list(): { readonly nodes: readonly TemplateNode[]; readonly end: ListEnd } {
    const nodes: TemplateNode[] = [];
    for (;;) {
      const token = this.#take();
      if (token.kind === "eof") return { nodes, end: "EOF" };
      if (token.kind === "text") nodes.push({ kind: "text", text: token.text });
      else if (token.kind !== "open") this.#unexpected(token, "input");
      else {
        this.#actionLine = token.line;
        const node = this.#action();
        this.#actionLine = 0;
        if (typeof node === "string") return { nodes, end: node };
        nodes.push(node);
      }
    }
  }

  #action(): TemplateNode | ListEnd {
    const token = this.#peekNonSpace();
    if (token.kind !== "keyword") return { kind: "action", pipeline: this.#pipeline("command", "close") };
    this.#take();
    const { text } = token;
    if (NOT_SUPPORTED.has(text)) this.#fail(`{{${text}}} is not supported`);
    if (text === "end") return this.#closed("end", "{{end}}");
    if (text === "else") {
      const after = this.#peekNonSpace();
      if (after.kind === "keyword" && (after.text === "if" || after.text === "with")) return "{{else}}";
      return this.#closed("else", "{{else}}");
    }
    if (text !== "break" && text !== "continue") return this.#control(text as Control);
    const close = this.#takeNonSpace();
    if (close.kind !== "close") this.#unexpected(close, `{{${text}}}`);
    if (this.#rangeDepth === 0) this.#fail(`{{${text}}} outside {{range}}`);
    return { kind: text };
  }

  #closed(context: string, end: ListEnd): ListEnd {
    const token = this.#takeNonSpace();
    if (token.kind !== "close") this.#unexpected(token, context);
    return end;
  }

  #control(kind: Control): TemplateNode {
    const known = this.#variables.length;
    this.#deeper();
    const pipeline = this.#pipeline(kind, "close");
    if (kind === "range") this.#rangeDepth++;
    const { nodes: list, end } = this.#list();
    if (kind === "range") this.#rangeDepth--;
    let otherwise: readonly TemplateNode[] = [];
    if (end === "EOF") this.#fail("unexpected EOF");
    if (end === "{{else}}") otherwise = this.#otherwise(kind);
    this.#depth--;
    this.#variables.length = known;
    return { kind, pipeline, list, otherwise };
  }

  /** `{{else if a}}` ends with the `{{end}}` of the whole. */
  #otherwise(kind: Control): readonly TemplateNode[] {
    const token = this.#tokens[this.#next];
    if (token?.kind === "keyword" && token.text === kind && kind !== "range") {
      this.#take();
      return [this.#control(kind)];
    }
    const { nodes, end } = this.#list();
    if (end === "EOF") this.#fail("unexpected EOF");
    if (end !== "{{end}}") this.#fail(`expected end; found ${end}`);
    return nodes;
  }

  #pipeline(context: string, end: TokenKind): Pipeline {
    const { at } = this.#peekNonSpace();
    const { variables, assigns } = this.#declarations(context);
    const commands: Command[] = [];
    for (;;) {
      const token = this.#peekNonSpace();
      if (token.kind === end) break;
      if (!OPERANDS.has(token.kind)) this.#unexpected(this.#takeNonSpace(), context);
      commands.push(this.#command());
    }
    this.#take();
    if (commands.length === 0) this.#fail(`missing value for ${context}`);
    commands.slice(1).forEach(({ operands: [first] }, i) => {
      if (LITERALS.has(first.kind)) this.#fail(`non executable command in pipeline stage ${i + 2}`);
    });
    const given = commands.map(({ source }) => source).join(" | ");
    const declared = variables.length === 0 ? "" : `${variables.join(", ")} ${assigns ? "=" : ":="} `;
    return { variables, assigns, commands, at, source: declared + given };
  }

  #declarations(context: string): Pick<Pipeline, "variables" | "assigns"> {
    const variables: string[] = [];
    for (;;) {
      const start = this.#next;
      const variable = this.#peekNonSpace();
      if (variable.kind !== "variable") return { variables, assigns: false };
      this.#take();
      const sign = this.#peekNonSpace();
      const isComma = sign.kind === "other" && sign.text === ",";
      if (sign.kind !== "assign" && sign.kind !== "declare" && !isComma) {
        this.#next = start;
        return { variables, assigns: false };
      }
      this.#take();
      variables.push(variable.text);
      this.#variables.push(variable.text);
      if (!isComma) return { variables, assigns: sign.kind === "assign" };
      if (context !== "range" || variables.length > 1) this.#fail(`too many declarations in ${context}`);
      if (this.#peekNonSpace().kind !== "variable") this.#fail("range can only initialize variables");
    }
  }

  #command(): Command {
    const { at } = this.#peekNonSpace();
    const operands: Operand[] = [];
    for (;;) {
      const operand = this.#operand();
      if (operand !== undefined) operands.push(operand);
      const token = this.#take();
      if (token.kind === "space") continue;
      if (token.kind === "close" || token.kind === "right-paren") this.#next--;
      else if (token.kind !== "pipe") this.#unexpected(token, "operand");
      break;
    }
    const [first, ...others] = operands;
    if (first === undefined) return this.#fail("empty command");
    const source = operands.map((operand) => inParens(operand)).join(" ");
    return { operands: [first, ...others], at, source };
  }

  #operand(): Operand | undefined {
    const term = this.#term();
    if (term === undefined) return undefined;
    const { at } = this.#tokens[this.#next]!;
    const names: string[] = [];
    while (this.#tokens[this.#next]?.kind === "field") names.push(this.#take().text.slice(1));
    if (names.length === 0) return term;
    if (LITERALS.has(term.kind)) this.#fail(`unexpected . after term ${goQuote(term.source)}`);
    const source = `${inParens(term)}.${names.join(".")}`;
    if (term.kind === "field" || term.kind === "variable")
      return { ...term, names: [...term.names, ...names], at, source };
    return { kind: "chain", of: term, names, at, source };
  }

  #term(): Operand | undefined {
    const token = this.#peekNonSpace();
    if (!OPERANDS.has(token.kind)) return undefined;
    this.#take();
    const { at, text: source } = token;
    switch (token.kind) {
      case "identifier":
        if (!isTemplateFunction(source)) this.#fail(`function ${goQuote(source)} not defined`);
        return { kind: "function", name: source, at, source };
      case "dot":
      case "nil":
        return { kind: token.kind, at, source };
      case "variable":
        if (!this.#variables.includes(source)) this.#fail(`undefined variable ${goQuote(source)}`);
        return { kind: "variable", name: source, names: [], at, source };
      case "field":
        return { kind: "field", names: [source.slice(1)], at, source };
      case "bool":
        return { kind: "bool", value: source === "true", at, source };
      case "left-paren":
        return this.#parenthesised(at);
      default:
        return this.#literal(token);
    }
  }

  #parenthesised(at: number): Operand {
    this.#deeper();
    const pipeline = this.#pipeline("parenthesized pipeline", "right-paren");
    this.#depth--;
    return { kind: "pipeline", pipeline, at, source: pipeline.source };
  }

  #literal({ kind, at, text: source }: Token): Operand {
    if (kind === "string" || kind === "raw") {
      const value = unquoteGo(source);
      return value === undefined ? this.#fail("invalid syntax") : { kind: "string", value, at, source };
    }
    const value = kind === "char" ? parseGoCharacter(source) : parseGoNumber(source);
    if (value !== undefined) return { kind: "number", value, at, source };
    if (kind === "char") return this.#fail(`malformed character constant: ${source}`);
    const isWhole = /^[+-]?\d[\d_]*$/.test(source);
    return this.#fail(`${isWhole ? "integer overflow" : "illegal number syntax"}: ${goQuote(source)}`);
  }

  #take(): Token {
    const token = this.#tokens[this.#next] ?? this.#tokens.at(-1)!;
    if (token.kind === "error") this.#unexpected(token, "");
    this.#next++;
    return token;
  }

  #peekNonSpace(): Token {
    while (this.#tokens[this.#next]?.kind === "space") this.#next++;
    const token = this.#tokens[this.#next] ?? this.#tokens.at(-1)!;
    if (token.kind === "error") this.#unexpected(token, "");
    return token;
  }

  #takeNonSpace(): Token {
    this.#peekNonSpace();
    return this.#take();
  }

  #deeper(): void {
    if (++this.#depth > DEPTH_MAX) this.#fail("max expression depth exceeded");
  }

  #unexpected(token: Token, context: string): never {
    const { kind, text, line } = token;
    if (kind !== "error") return this.#fail(`unexpected ${described(token)} in ${context}`, line);
    const isElsewhere = this.#actionLine !== 0 && this.#actionLine !== line;
    const started = ` started at ${this.#name}:${this.#actionLine}`;
    const where = isElsewhere ? (text.endsWith(" action") ? started : ` in action${started}`) : "";
    return this.#fail(text + where, line);
  }

  #fail(what: string, line?: number): never {
    const last = this.#tokens[Math.min(Math.max(this.#next - 1, 0), this.#tokens.length - 1)]!;
    return invalid(`template: ${this.#name}:${line ?? last.line}: ${what}`);
  }
}

function inParens({ kind, source }: Operand): string {
  return kind === "pipeline" ? `(${source})` : source;
}

function described({ kind, text }: Token): string {
  if (kind === "eof") return "EOF";
  if (kind === "keyword") return `<${text}>`;
  return text.length > 10 ? `${goQuote(text.slice(0, 10))}...` : goQuote(text);
}
