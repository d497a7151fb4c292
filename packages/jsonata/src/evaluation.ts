// JSONata on one record at a time, within bounds that the library can be asked to keep. What it cannot (a regular
// expression, one call of a library function) is bounded by the process that this runs in.
//
// V1 A program's value is a function of its text and the record: the time is that of the record, there is no chance.
// V2 An evaluation leaves nothing for the next one: the body is parsed anew for each, and programs have no prototype to
//    write to.
import jsonata, { type Environment, type Expression, type Node } from "jsonata";
import type { RecordInput } from "./evaluator.ts";
import { EVALUATION_LIMITS, PROGRAMS_KEPT_MAX, REASON_CHARS_MAX, RESULT_CHARS_MAX } from "./limits.ts";
import { encodeFailure, encodeValue, LARGE, NOTHING, UNREADABLE, type SentTask } from "./messages.ts";

/** Called before each expression that is evaluated. */
const ENTRY = Symbol.for("jsonata.__evaluate_entry");
/** Stands for a body that cannot be looked into. */
const CLOSED_BODY: object = Object.freeze(Object.create(null) as object);
/** Expressions that look into what they are applied to. */
const LOOKING: ReadonlySet<string> = new Set(["name", "wildcard", "descendant", "parent"]);

/** The name of `$$`, as that of `$` is empty. */
const WHOLE = "$";

class LooksIntoClosedBody extends Error {}
class StepsExceeded extends Error {}

interface Compiled {
  readonly expression: Expression;
  readonly problem?: undefined;
}

interface Wrong {
  /** What is wrong with the program. */
  readonly problem: string;
}

/** Evaluates one task after the other: the next one begins when run() has resolved. */
export class Evaluation {
  /** By text, the one that was used longest ago first. */
  readonly #programs = new Map<string, Compiled | Wrong>();
  #record: RecordInput = { atMs: 0, ip: "", body: undefined };
  #steps = 0;
  #left = 0;

  /** Never rejects. @returns what became of it, as in messages.ts */
  async run({ program, record, steps }: SentTask): Promise<string> {
    const compiled = this.#compiled(program);
    if (compiled.problem !== undefined) return encodeFailure(compiled.problem, false);
    if (record === undefined) return NOTHING;
    this.#record = record;
    this.#steps = steps;
    this.#left = steps;
    try {
      const body: unknown = record.body === undefined ? CLOSED_BODY : JSON.parse(record.body);
      const value: unknown = await compiled.expression.evaluate(body);
      return resultOf(value);
    } catch (error) {
      if (error instanceof LooksIntoClosedBody) return UNREADABLE;
      if (error instanceof StepsExceeded) return encodeFailure(error.message, true);
      return encodeFailure(problemOf(error, program), false);
    }
  }

  #compiled(program: string): Compiled | Wrong {
    let compiled = this.#programs.get(program);
    if (compiled === undefined) compiled = this.#compile(program);
    else this.#programs.delete(program);
    this.#programs.set(program, compiled);
    if (this.#programs.size > PROGRAMS_KEPT_MAX) {
      const [oldest] = this.#programs.keys();
      this.#programs.delete(oldest!);
    }
    return compiled;
  }

  #compile(program: string): Compiled | Wrong {
    try {
      const { stack, sequence } = EVALUATION_LIMITS;
      const expression = jsonata(program, { stack, sequence });
      this.#lend(expression);
      return { expression };
    } catch (error) {
      return { problem: problemOf(error, program) };
    }
  }

  /** What a program knows of its record besides the body, and the bound of its steps. */
  #lend(expression: Expression): void {
    expression.assign(ENTRY, (node, input, environment) => this.#enter(node, input, environment));
    expression.registerFunction("ip", () => this.#record.ip, "<:s>");
    expression.registerFunction("header", (name) => this.#header(name), "<s?:x>");
    expression.registerFunction("headerStr", () => this.#record.headerText, "<:s>");
    expression.registerFunction("bodyStr", () => this.#bodyText(), "<:s>");
    expression.registerFunction("millis", () => this.#record.atMs, "<:n>");
    const millis = (): number => this.#record.atMs;
    expression.registerFunction(
      "now",
      function (picture, zone) {
        const { implementation } = this.environment.lookup("fromMillis");
        return implementation.call(this, millis(), picture, zone);
      },
      "<s?s?:s>",
    );
    expression.registerFunction("random", notAvailable("random"));
    expression.registerFunction("shuffle", notAvailable("shuffle"));
  }

  #enter({ type, value }: Node, input: unknown, environment: Environment): void {
    if (this.#left === this.#steps) environment.timestamp = new Date(this.#record.atMs); // V1
    if (--this.#left < 0) throw new StepsExceeded(`more than ${this.#steps} steps`);
    if (this.#record.body !== undefined) return;
    const isAsked = type === "variable" ? value === "" || value === WHOLE : LOOKING.has(type);
    if (isAsked && (input === CLOSED_BODY || value === WHOLE)) throw new LooksIntoClosedBody();
  }

  #header(name: string | undefined): unknown {
    const { headers = {} } = this.#record;
    if (name === undefined) return headers;
    const canonical = canonicalName(name);
    return Object.hasOwn(headers, canonical) ? headers[canonical] : undefined;
  }

  #bodyText(): string {
    const { bodyText } = this.#record;
    if (bodyText === undefined) throw new Error("the body is not UTF-8");
    return bodyText;
  }
}

/** V1 */
function notAvailable(name: string): () => never {
  return () => {
    throw new Error(`$${name} is not available: records that are equal have rows that are equal`);
  };
}

function canonicalName(name: string): string {
  return name.toLowerCase().replace(/(^|-)[a-z]/g, (start) => start.toUpperCase());
}

function resultOf(value: unknown): string {
  if (value === undefined) return NOTHING;
  const json = typeof value === "string" ? JSON.stringify(value) : JSON.stringify(value, checkedMember);
  return json.length > RESULT_CHARS_MAX ? LARGE : encodeValue(json);
}

/** Functions are no values of JSON; they refer to themselves. */
function checkedMember(_name: string, value: unknown): unknown {
  if (typeof value === "number" && !Number.isFinite(value)) throw new Error(`${value} is no number of JSON`);
  if (typeof value === "function" || isLibraryFunction(value)) throw new Error("a function is no value");
  return value;
}

function isLibraryFunction(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  return Object.hasOwn(value, "_jsonata_lambda") || Object.hasOwn(value, "_jsonata_function");
}

/** `1:7 Syntax error: ")"`: where the library has found it, and what. */
function problemOf(error: unknown, program: string): string {
  const { message, position } = error as { readonly message?: unknown; readonly position?: unknown };
  const text = (typeof message === "string" ? message : String(error)).slice(0, REASON_CHARS_MAX);
  if (typeof position !== "number") return text;
  const before = program.slice(0, Math.max(0, position - 1)).split("\n");
  return `${before.length}:${before.at(-1)!.length + 1} ${text}`;
}
