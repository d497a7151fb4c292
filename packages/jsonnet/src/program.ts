// The package's door: compile() and what it gives.
import { compileFile } from "./compile.ts";
import type { Surroundings } from "./compiler.ts";
import { JsonnetError, type Source, type Span } from "./error.ts";
import { call } from "./functions.ts";
import { HostFunction, fromHost, type HostValue, type NativeFunction } from "./host.ts";
import { BYTES_A_STEP_BITS, IMPORTS_MAX, LIMITS_DEFAULT, type Limits, type StepBudget } from "./limits.ts";
import { COMPACT, jsonText, toJson, type Json } from "./manifest.ts";
import { parse } from "./parser.ts";
import { Runtime, type ImportedFile, type Outside } from "./runtime.ts";
import { builtin, stdObject } from "./std.ts";
import { JArray, JFunction, type Primitive, type Site, type Value } from "./value.ts";

/** What an import finds; `file` is its name for positions, and to know it again. */
export interface Imported {
  readonly file: string;
  readonly content: string | Uint8Array;
}

export interface CompileOptions<C> {
  /** The program's name, before positions and as std.thisFile. */
  readonly file?: string;
  /** Functions that the program calls by their names, or by std.native(name). */
  readonly natives?: Readonly<Record<string, NativeFunction<C>>>;
  /** What std.extVar(name) gives. */
  readonly variables?: Readonly<Record<string, (context: C) => HostValue>>;
  /** Finds what a program imports; without it, or when it gives undefined, an import is refused. */
  readonly imports?: (path: string, from: string) => Imported | undefined;
  readonly limits?: Partial<Limits>;
}

/** A compiled program. It keeps nothing of an evaluation, and may be evaluated within one of its own. */
export interface Program<C> {
  /** The program's value as plain data; objects have no prototype. @throws {JsonnetError} */
  evaluate(context: C): Json;
  /** The program's value as compact JSON with its fields in order. @throws {JsonnetError} */
  evaluateText(context: C): string;
  /**
   * The program's value if it is a scalar, else as compact JSON.
   * @param budget that its steps are taken from, besides the program's own limit
   * @throws {JsonnetError}
   */
  evaluateShallow(context: C, budget?: StepBudget): null | boolean | number | string | JsonText;
}

/** Compact JSON of an array or an object. */
export class JsonText {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** Compiles a program. @throws {JsonnetError} when it is wrong: the first mistake, with its position. */
export function compile<C>(text: string, options: CompileOptions<C> = {}): Program<C> {
  const source: Source = { file: options.file ?? "", text };
  const surroundings = new HostSurroundings(options);
  const whole: Span = { source, begin: 0, end: text.length };
  const file = guarded(whole, undefined, () => surroundings.compile(source));
  const limits = { ...LIMITS_DEFAULT, ...options.limits };
  const site: Site = { span: whole, what: "", height: 1 };
  return new CompiledProgram<C>(file, surroundings, limits, site);
}

class CompiledProgram<C> implements Program<C> {
  readonly #file: ImportedFile;
  readonly #outside: Outside;
  readonly #limits: Limits;
  readonly #site: Site;
  /** What the last evaluation left for the next one. */
  #idle: Runtime | undefined;

  constructor(file: ImportedFile, outside: Outside, limits: Limits, site: Site) {
    this.#file = file;
    this.#outside = outside;
    this.#limits = limits;
    this.#site = site;
  }

  evaluate(context: C): Json {
    return this.#run(context, toJson);
  }

  evaluateText(context: C): string {
    return this.#run(context, (value, rt) => jsonText(value, COMPACT, rt));
  }

  evaluateShallow(context: C, budget?: StepBudget): Primitive | JsonText {
    return this.#run(context, shallow, budget);
  }

  #run<T>(context: C, manifest: (value: Value, rt: Runtime) => T, budget?: StepBudget): T {
    const rt = this.#idle ?? new Runtime(this.#limits, this.#outside);
    this.#idle = undefined;
    rt.context = context;
    rt.stepsMax =
      budget === undefined ? this.#limits.steps : Math.max(1, Math.min(this.#limits.steps, budget.left));
    let result: T;
    try {
      rt.enter(this.#site);
      let value = this.#file.evaluate(rt);
      if (value instanceof JFunction) value = call(value, [], [], [], rt, this.#site);
      result = manifest(value, rt);
      rt.leave();
    } catch (error) {
      budget?.take(rt.steps + (rt.bytes >> BYTES_A_STEP_BITS));
      throw asJsonnetError(error, this.#site.span, this.#limits);
    }
    budget?.take(rt.steps + (rt.bytes >> BYTES_A_STEP_BITS));
    rt.reset();
    this.#idle = rt;
    return result;
  }
}

/** Files by name, the host's functions, the library. */
class HostSurroundings<C> implements Surroundings, Outside {
  readonly #natives = new Map<string, HostFunction>();
  readonly #options: CompileOptions<C>;
  readonly #files = new Map<string, ImportedFile>();
  /** The file that is being compiled. */
  #file = "";
  #std: Value | undefined;

  constructor(options: CompileOptions<C>) {
    this.#options = options;
    for (const [name, native] of Object.entries(options.natives ?? {})) {
      // The context is handed through as it is.
      this.#natives.set(name, new HostFunction(name, native as NativeFunction<unknown>));
    }
  }

  compile(source: Source): ImportedFile {
    const outer = [this.#file, this.#std] as const;
    this.#file = source.file;
    this.#std = undefined;
    const file = compileFile(source, parse(source), this);
    [this.#file, this.#std] = outer;
    return file;
  }

  global(name: string): Value | undefined {
    if (name === "std") return (this.#std ??= stdObject(this.#file));
    return this.#natives.get(name);
  }

  builtin(name: string): Value | undefined {
    return builtin(name);
  }

  native(name: string): JFunction | undefined {
    return this.#natives.get(name);
  }

  variable(name: string, rt: Runtime): Value | undefined {
    const { variables } = this.#options;
    if (variables === undefined || !Object.hasOwn(variables, name)) return undefined;
    return fromHost(variables[name]!(rt.context as C), rt, rt.sites[rt.depth - 1]!);
  }

  import(path: string, form: "import" | "importstr" | "importbin", span: Span): ImportedFile | Value {
    const imported = this.#options.imports?.(path, span.source.file);
    if (imported === undefined) throw new JsonnetError("static", `import of "${path}" is not allowed`, span);
    const { file, content } = imported;
    if (form === "importbin") {
      const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
      return new JArray([...bytes]);
    }
    const text = typeof content === "string" ? content : new TextDecoder().decode(content);
    if (form === "importstr") return text;
    const known = this.#files.get(file);
    if (known !== undefined) return known;
    if (this.#files.size >= IMPORTS_MAX) {
      throw new JsonnetError("limit", `more than ${IMPORTS_MAX} imported files`, span);
    }
    // Files may import each other; what counts is what is evaluated.
    const compiled: { file: ImportedFile | undefined } = { file: undefined };
    const entry: ImportedFile = { evaluate: (rt) => compiled.file!.evaluate(rt) };
    this.#files.set(file, entry);
    compiled.file = this.compile({ file, text });
    return entry;
  }
}

function shallow(value: Value, rt: Runtime): Primitive | JsonText {
  if (value === null || typeof value !== "object") return value;
  return new JsonText(jsonText(value, COMPACT, rt));
}

function guarded<T>(span: Span, limits: Limits | undefined, run: () => T): T {
  try {
    return run();
  } catch (error) {
    throw asJsonnetError(error, span, limits);
  }
}

/** The thread's own stack may end before the limits do, when the host calls from deep within. */
function asJsonnetError(error: unknown, span: Span, limits: Limits | undefined): unknown {
  if (!(error instanceof RangeError) || !error.message.includes("call stack")) return error;
  const bound = limits === undefined ? "" : ` (${limits.stack})`;
  return new JsonnetError("limit", `max stack frames exceeded.${bound}`, span, [], error);
}
