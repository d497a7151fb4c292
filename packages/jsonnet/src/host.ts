// What the host lends a program: functions, external variables, and values on their way in.
import type { Compiled } from "./compiler.ts";
import { JsonnetError } from "./error.ts";
import { toJson, type Json } from "./manifest.ts";
import { objectOf } from "./objects.ts";
import { force, type Runtime } from "./runtime.ts";
import { JArray, JFunction, Thunk, type Code, type Site, type Slot, type Value } from "./value.ts";

/** JSON as the host has it: arrays and plain objects are looked into only where the program does. */
export type HostValue = null | boolean | number | string | readonly unknown[] | object;

/** A function of the host. What it throws is the program's error, with the position of the call. */
export interface NativeFunction<C> {
  /** Names of its parameters; those that end with `?` need not be given. */
  readonly parameters: readonly string[];
  /** Arguments are evaluated; those that were not given are undefined. */
  call(args: readonly (Json | undefined)[], context: C): HostValue;
  /**
   * A call whose arguments are all known when the program is compiled. What it throws then is an error of the
   * program, with the position of the call; undefined leaves it to call().
   */
  specialize?(args: readonly (Json | undefined)[]): ((context: C) => HostValue) | undefined;
}

const ARGUMENT_CHARS_A_STEP_BITS = 4;

export class HostFunction extends JFunction {
  readonly name: string;
  readonly parameters: readonly string[];
  readonly required: number;
  readonly native: NativeFunction<unknown>;

  constructor(name: string, native: NativeFunction<unknown>) {
    super();
    this.name = name;
    this.parameters = native.parameters.map((parameter) => parameter.replace(/\?$/, ""));
    const firstOptional = native.parameters.findIndex((parameter) => parameter.endsWith("?"));
    this.required = firstOptional === -1 ? native.parameters.length : firstOptional;
    this.native = native;
  }

  invoke(slots: (Slot | undefined)[], rt: Runtime): Value {
    const values = slots.map((slot) => (slot === undefined ? undefined : force(slot, rt)));
    return callHost(this, values, rt);
  }
}

/** Calls the host; the innermost site is the call. */
export function callHost(callee: HostFunction, values: readonly (Value | undefined)[], rt: Runtime): Value {
  const args = values.map((value) => (value === undefined ? undefined : toJson(value, rt)));
  // What a host does with a text takes as long as the text is.
  for (const arg of args) if (typeof arg === "string") rt.step(arg.length >> ARGUMENT_CHARS_A_STEP_BITS);
  let result: HostValue;
  try {
    result = callee.native.call(args, rt.context);
  } catch (error) {
    return rt.fail(reasonOf(error), undefined, error);
  }
  if (typeof result === "string") rt.charge(result.length);
  return fromHost(result, rt, rt.sites[rt.depth - 1]!);
}

/** Code for a call whose arguments are known, if the host has something better than call() for it. */
export function specialized(
  callee: HostFunction,
  operands: readonly Compiled[],
  site: Site,
): Code | undefined {
  const { native } = callee;
  if (native.specialize === undefined) return undefined;
  const args: Json[] = [];
  for (const { constant } of operands) {
    if (constant === undefined) return undefined;
    args.push(constant);
  }
  let run: ((context: unknown) => HostValue) | undefined;
  try {
    run = native.specialize(args);
  } catch (error) {
    throw new JsonnetError("static", reasonOf(error), site.span, [], error);
  }
  if (run === undefined) return undefined;
  const special = run;
  return (_, rt) => {
    rt.step(1);
    let result: HostValue;
    try {
      result = special(rt.context);
    } catch (error) {
      return rt.fail(reasonOf(error), site, error);
    }
    return typeof result === "string" ? result : fromHost(result, rt, site);
  };
}

/** A value of the host as one of the program's. Arrays and objects within it are converted when they are used. */
export function fromHost(value: unknown, rt: Runtime, site: Site): Value {
  switch (typeof value) {
    case "string":
    case "boolean":
      return value;
    case "number":
      if (!Number.isFinite(value)) rt.fail(`the host gave ${value}, which is no number of JSON`, site);
      return value;
    case "object":
      break;
    default:
      return rt.fail(`the host gave ${typeof value}, which is no value of JSON`, site);
  }
  if (value === null) return null;
  if (Array.isArray(value)) {
    rt.chargeItems(value.length);
    return new JArray(value.map((element: unknown) => within(element, rt, site)));
  }
  const entries = Object.entries(value);
  return objectOf(
    entries.map(([name, element]: [string, unknown]) => [name, within(element, rt, site)] as const),
    rt,
  );
}

const NOWHERE: [] = [];

function within(value: unknown, rt: Runtime, site: Site): Slot {
  if (typeof value === "object" && value !== null) {
    return new Thunk((_, later) => fromHost(value, later, site), NOWHERE, site);
  }
  return fromHost(value, rt, site);
}

function reasonOf(error: unknown): string {
  if (error instanceof JsonnetError) return error.reason;
  return error instanceof Error ? error.message : String(error);
}
