// One evaluation under way: its bounds, where it is, and what it has looked up. There is no catching of errors in the
// language, so whatever is thrown ends the evaluation, and the sites that were entered and not left are the trace.
import { assert } from "@millrace/base";
import { JsonnetError, positionOf, type JsonnetErrorKind, type TraceStep } from "./error.ts";
import { LOAD_MAX, type Limits } from "./limits.ts";
import {
  LIBRARY_LEVEL_HEIGHT,
  Thunk,
  type Frame,
  type JFunction,
  type Site,
  type Slot,
  type Value,
} from "./value.ts";

/** Steps of a trace that are kept; of a longer one the innermost and the outermost. */
const TRACE_STEPS_MAX = 20;

/** What a level of the stack takes besides the expressions in it, in expressions. */
const LEVEL_HEIGHT = 4;

const NO_FRAME: Frame = [];

/** A file of a program; its value is made once an evaluation. */
export interface ImportedFile {
  evaluate(rt: Runtime): Value;
}

/** What the host gives by name. */
export interface Outside {
  variable(name: string, rt: Runtime): Value | undefined;
  native(name: string): JFunction | undefined;
}

export class Runtime {
  readonly limits: Limits;
  /** Of the evaluation at hand. */
  stepsMax: number;
  /** The host's, handed to natives. */
  context: unknown = undefined;
  steps = 0;
  bytes = 0;
  depth = 0;
  /** Heights of all that was entered. */
  load = 0;
  readonly #loads: number[] = [];
  readonly sites: Site[] = [];
  /** The call that a function ended with, see compile-call.ts. */
  tailFunction: JFunction | undefined;
  tailSlots: (Slot | undefined)[] = [];
  /** The last string that was found to have one code unit a character, and the last one that was cut. */
  narrow = "";
  wide = "";
  wideCharacters: readonly string[] = [];
  readonly #imports = new Map<ImportedFile, Value>();
  readonly #variables = new Map<string, Value>();
  readonly #outside: Outside;

  constructor(limits: Limits, outside: Outside) {
    this.limits = limits;
    this.stepsMax = limits.steps;
    this.#outside = outside;
  }

  /** Makes it ready for another evaluation, after one that did not fail. */
  reset(): void {
    assert(this.depth === 0, "an evaluation leaves what it enters", { depth: this.depth });
    this.context = undefined;
    this.steps = 0;
    this.bytes = 0;
    this.tailFunction = undefined;
    this.narrow = "";
    this.wide = "";
    this.wideCharacters = [];
    if (this.#imports.size > 0) this.#imports.clear();
    if (this.#variables.size > 0) this.#variables.clear();
  }

  /**
   * Begins something that may contain the like of itself. leave() ends it, unless it fails.
   * @param height expressions within each other that run in it: what counts for the thread's stack
   */
  enter(site: Site, height = LIBRARY_LEVEL_HEIGHT): void {
    const { depth, load } = this;
    if (depth >= this.limits.stack) this.failStack(site);
    if (load + height > LOAD_MAX) this.#failLoad(site);
    if (++this.steps > this.stepsMax) this.#failSteps();
    this.#loads[depth] = load;
    this.load = load + height + LEVEL_HEIGHT;
    this.sites[depth] = site;
    this.depth = depth + 1;
  }

  leave(): void {
    this.load = this.#loads[--this.depth]!;
  }

  /** What was entered last goes on with something else, of this height. */
  heighten(height: number): void {
    const load = this.#loads[this.depth - 1]! + height + LEVEL_HEIGHT;
    if (load > LOAD_MAX) this.#failLoad(this.sites[this.depth - 1]!);
    if (load > this.load) this.load = load;
  }

  /** Counts `count` steps that need no stack. */
  step(count: number): void {
    this.steps += count;
    if (this.steps > this.stepsMax) this.#failSteps();
  }

  /** Counts `bytes` before they are made. */
  charge(bytes: number): void {
    this.bytes += bytes;
    if (this.bytes > this.limits.bytes) {
      this.failLimit(`more than ${this.limits.bytes} bytes of strings, arrays and objects (${this.bytes})`);
    }
  }

  /** An array of `length` elements is about to be made. */
  chargeItems(length: number): void {
    this.charge(16 + 8 * length);
  }

  /** The evaluation fails at `site`, by default where the innermost call is. */
  fail(reason: string, site?: Site, cause?: unknown): never {
    this.#throw("runtime", reason, site, cause);
  }

  failLimit(reason: string, site?: Site): never {
    this.#throw("limit", reason, site);
  }

  failStack(site: Site): never {
    this.failLimit(`max stack frames exceeded. (${this.limits.stack})`, site);
  }

  #failLoad(site: Site): never {
    this.failLimit(`max stack frames exceeded. (${LOAD_MAX} expressions within each other)`, site);
  }

  failType(value: Value, expected: string, typeName: (value: Value) => string, site?: Site): never {
    this.fail(`Unexpected type ${typeName(value)}, expected ${expected}`, site);
  }

  importValue(file: ImportedFile): Value {
    const known = this.#imports.get(file);
    if (known !== undefined) return known;
    const value = file.evaluate(this);
    this.#imports.set(file, value);
    return value;
  }

  externalVariable(name: string): Value {
    const known = this.#variables.get(name);
    if (known !== undefined) return known;
    const value = this.#outside.variable(name, this);
    if (value === undefined) this.fail(`Undefined external variable: ${name}`);
    this.#variables.set(name, value);
    return value;
  }

  /** A function of the host, or null. */
  nativeFunction(name: string): Value {
    return this.#outside.native(name) ?? null;
  }

  #failSteps(): never {
    this.failLimit(`more than ${this.stepsMax} steps`);
  }

  #throw(kind: JsonnetErrorKind, reason: string, site?: Site, cause?: unknown): never {
    const sites = this.sites.slice(0, this.depth).reverse();
    if (site !== undefined) sites.unshift(site);
    const [first] = sites;
    assert(first !== undefined, "an evaluation fails somewhere", { reason });
    throw new JsonnetError(kind, reason, first.span, traceOf(sites), cause);
  }
}

/** The value in `slot`, which is evaluated when it was not. */
export function force(slot: Slot, rt: Runtime): Value {
  return slot instanceof Thunk ? forceThunk(slot, rt) : slot;
}

export function forceThunk(thunk: Thunk, rt: Runtime): Value {
  const { code } = thunk;
  if (code === undefined) return thunk.value;
  rt.enter(thunk.site, thunk.site.height);
  const value = code(thunk.frame, rt);
  rt.leave();
  thunk.value = value;
  thunk.code = undefined;
  thunk.frame = NO_FRAME;
  return value;
}

/** A frame of `size` places within `outer`. */
export function newFrame(outer: Frame | undefined, size: number): Frame {
  switch (size) {
    case 1:
      return [outer];
    case 2:
      return [outer, undefined];
    case 3:
      return [outer, undefined, undefined];
    case 4:
      return [outer, undefined, undefined, undefined];
    default: {
      const frame: Frame = [outer, undefined, undefined, undefined, undefined];
      for (let i = 5; i < size; i++) frame.push(undefined);
      return frame;
    }
  }
}

function traceOf(all: readonly Site[]): TraceStep[] {
  // A call and the thunk that it is in are one step.
  const sites = all.filter((site, i) => i === 0 || !isSame(site, all[i - 1]!));
  const kept =
    sites.length <= TRACE_STEPS_MAX
      ? sites
      : [...sites.slice(0, TRACE_STEPS_MAX / 2), ...sites.slice(-TRACE_STEPS_MAX / 2)];
  return kept.map(({ span, what }) => ({ file: span.source.file, ...positionOf(span), what }));
}

function isSame(a: Site, b: Site): boolean {
  return (
    a.what === b.what &&
    a.span.begin === b.span.begin &&
    a.span.end === b.span.end &&
    a.span.source === b.span.source
  );
}
