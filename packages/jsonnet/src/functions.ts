// Functions and how they are called: closures of the program, and functions written here or by the host.
import { force, newFrame, type Runtime } from "./runtime.ts";
import {
  JFunction,
  JObject,
  Thunk,
  typeOf,
  type Code,
  type Frame,
  type Site,
  type Slot,
  type Value,
} from "./value.ts";

/** What all closures made by one function expression share. */
export interface FunctionCode {
  readonly name: string;
  readonly parameters: readonly string[];
  readonly fallbacks: readonly (Code | undefined)[];
  readonly required: number;
  readonly site: Site;
  /** Set once its body is compiled. */
  body: Code;
  frameSize: number;
}

export class Closure extends JFunction {
  readonly code: FunctionCode;
  readonly frame: Frame;
  override readonly height: number;

  constructor(code: FunctionCode, frame: Frame) {
    super();
    this.code = code;
    this.height = code.site.height;
    this.frame = frame;
  }

  get name(): string {
    return this.code.name;
  }

  get parameters(): readonly string[] {
    return this.code.parameters;
  }

  get required(): number {
    return this.code.required;
  }

  invoke(slots: (Slot | undefined)[], rt: Runtime): Value {
    const { code } = this;
    const frame = newFrame(this.frame, code.frameSize);
    for (let i = 0; i < code.parameters.length; i++) {
      frame[i + 1] = slots[i] ?? new Thunk(code.fallbacks[i]!, frame, code.site);
    }
    return code.body(frame, rt);
  }
}

/** A function of the library: arguments that were left out are null. */
export type BuiltinRun = (rt: Runtime, a: Value, b: Value, c: Value, d: Value) => Value;

/** All arguments are evaluated before it runs. */
export class Builtin extends JFunction {
  readonly name: string;
  readonly parameters: readonly string[];
  readonly required: number;
  readonly run: BuiltinRun;

  constructor(name: string, parameters: readonly string[], required: number, run: BuiltinRun) {
    super();
    this.name = name;
    this.parameters = parameters;
    this.required = required;
    this.run = run;
  }

  invoke(slots: (Slot | undefined)[], rt: Runtime): Value {
    return this.run(rt, given(slots[0], rt), given(slots[1], rt), given(slots[2], rt), given(slots[3], rt));
  }
}

function given(slot: Slot | undefined, rt: Runtime): Value {
  return slot === undefined ? null : force(slot, rt);
}

/** It evaluates what it needs of its arguments. */
export class LazyBuiltin extends JFunction {
  readonly name: string;
  readonly parameters: readonly string[];
  readonly required: number;
  readonly #run: (rt: Runtime, slots: (Slot | undefined)[]) => Value;

  constructor(
    name: string,
    parameters: readonly string[],
    required: number,
    run: (rt: Runtime, slots: (Slot | undefined)[]) => Value,
  ) {
    super();
    this.name = name;
    this.parameters = parameters;
    this.required = required;
    this.#run = run;
  }

  invoke(slots: (Slot | undefined)[], rt: Runtime): Value {
    return this.#run(rt, slots);
  }
}

/** What a function gives instead of a value when it ends with a call that is to need no stack. */
export const TAIL: Value = new JObject([], false);

/** Calls `target` with arguments by position and by name. */
export function call(
  target: Value,
  slots: Slot[],
  names: readonly string[],
  named: readonly Slot[],
  rt: Runtime,
  site: Site,
): Value {
  const callee = asFunction(target, rt, site);
  const places = names.length === 0 ? slots : placeNamed(callee, slots, names, named, rt, site);
  checkArguments(callee, places, rt, site);
  rt.enter(site, callee.height);
  let value = callee.invoke(places, rt);
  while (value === TAIL) value = continueTail(rt);
  rt.leave();
  return value;
}

/** Runs the call that a function ended with. */
export function continueTail(rt: Runtime): Value {
  const callee = rt.tailFunction!;
  const slots = rt.tailSlots;
  rt.tailSlots = [];
  rt.step(1);
  rt.heighten(callee.height);
  return callee.invoke(slots, rt);
}

/** Calls a function that a library function was given. */
export function callBack(callee: JFunction, rt: Runtime, ...slots: Slot[]): Value {
  const site = rt.sites[rt.depth - 1]!;
  checkArguments(callee, slots, rt, site);
  rt.enter(callee instanceof Closure ? callee.code.site : site, callee.height);
  let value = callee.invoke(slots, rt);
  while (value === TAIL) value = continueTail(rt);
  rt.leave();
  return value;
}

export function asFunction(value: Value, rt: Runtime, site?: Site): JFunction {
  if (value instanceof JFunction) return value;
  return rt.failType(value, "function", typeOf, site);
}

/** Arguments by name in the places of their parameters. */
export function placeNamed(
  callee: JFunction,
  slots: readonly Slot[],
  names: readonly string[],
  named: readonly Slot[],
  rt: Runtime,
  site: Site,
): Slot[] {
  const places: (Slot | undefined)[] = [...slots];
  for (const [i, name] of names.entries()) {
    const place = callee.parameters.indexOf(name);
    if (place === -1) rt.fail(`function has no parameter ${name}`, site);
    if (places[place] !== undefined) rt.fail(`Argument ${name} already provided`, site);
    while (places.length < place) places.push(undefined);
    places[place] = named[i]!;
  }
  return places as Slot[];
}

export function checkArguments(
  callee: JFunction,
  places: readonly (Slot | undefined)[],
  rt: Runtime,
  site: Site,
): void {
  const { parameters } = callee;
  if (places.length > parameters.length) {
    rt.fail(`function expected ${parameters.length} positional argument(s), but got ${places.length}`, site);
  }
  if (callee.required === 0) return;
  for (let i = 0; i < parameters.length; i++) {
    if (places[i] === undefined && isRequired(callee, i))
      rt.fail(`Missing argument: ${parameters[i]!}`, site);
  }
}

function isRequired(callee: JFunction, place: number): boolean {
  if (callee instanceof Closure) return callee.code.fallbacks[place] === undefined;
  return place < callee.required;
}
