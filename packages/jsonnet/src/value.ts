// Values while a program runs. Numbers, strings, booleans and null are JavaScript's own; a place that may hold what
// was not evaluated yet is a Slot.
import type { Span } from "./error.ts";
import type { Runtime } from "./runtime.ts";
import type { Visibility } from "./ast.ts";

export type Primitive = null | boolean | number | string;
export type Value = Primitive | JArray | JObject | JFunction;
export type Slot = Value | Thunk;

/**
 * Variables of one activation of a function, an object's fields or a comprehension's body: [0] is the frame around
 * it, [1] and [2] of an object's frame are the object and the place of the layer in it. Each expression of a frame
 * gives the same value whenever it runs, so `local`s within need no frame of their own.
 */
export interface Frame extends Array<Slot | Frame | undefined> {}

/** A compiled expression. */
export type Code = (frame: Frame, rt: Runtime) => Value;

/** A compiled expression that is not to be evaluated before it is needed. */
export type LazyCode = (frame: Frame, rt: Runtime) => Slot;

/** What is being evaluated: for errors and their traces. */
export interface Site {
  readonly span: Span;
  readonly what: string;
  /** Expressions within each other there. */
  readonly height: number;
}

/** What a call of a library function is taken for, and a level of one that calls itself. */
const LIBRARY_HEIGHT = 8;
export const LIBRARY_LEVEL_HEIGHT = 3;

export class Thunk {
  /** Undefined once there is a value. */
  code: Code | undefined;
  frame: Frame;
  value: Value = null;
  readonly site: Site;

  constructor(code: Code, frame: Frame, site: Site) {
    this.code = code;
    this.frame = frame;
    this.site = site;
  }
}

export class JArray {
  readonly items: Slot[];

  constructor(items: Slot[]) {
    this.items = items;
  }
}

export abstract class JFunction {
  abstract readonly name: string;
  abstract readonly parameters: readonly string[];
  /** How many of the parameters must be given. */
  abstract readonly required: number;
  /** Expressions within each other in its body. */
  readonly height: number = LIBRARY_HEIGHT;

  /** `slots` has a place for each parameter; undefined where nothing is given. */
  abstract invoke(slots: (Slot | undefined)[], rt: Runtime): Value;
}

/** A field of a layer. */
export interface Field {
  /** Its place in the layer. */
  readonly index: number;
  readonly name: string;
  readonly visibility: Visibility;
  /** Undefined when the layer has values. */
  readonly code: Code | undefined;
  readonly site: Site | undefined;
  /** From how many layers below its own it takes the field away, for whoever looks from above; mostly 0. */
  readonly removes: number;
}

/** The fields of a layer; shared by all objects that one literal makes when it has no computed names. */
export class Shape {
  readonly fields: ReadonlyMap<string, Field>;
  /** Names of fields that are not hidden, in order, once somebody asked. */
  visibleNames: readonly string[] | undefined;

  constructor(fields: ReadonlyMap<string, Field>) {
    this.fields = fields;
  }
}

/** What all layers made by one literal share. */
export interface LayerCode {
  readonly frameSize: number;
  readonly locals: readonly { readonly slot: number; readonly code: LazyCode }[];
  readonly asserts: readonly { readonly code: Code; readonly site: Site }[];
}

/** What one object literal, or one library function, contributes to an object. */
export interface Layer {
  readonly shape: Shape;
  readonly code: LayerCode;
  /** The frame around the literal. */
  readonly frame: Frame | undefined;
  /** Of a comprehension: the frame around each field. */
  readonly frames: readonly Frame[] | undefined;
  /** Of an object that no literal made: its fields. */
  readonly values: Slot[] | undefined;
}

/** What is known of a layer within one object. */
interface LayerState {
  frame: Frame | undefined;
  /** Field values that were evaluated, by index. */
  readonly values: (Value | undefined)[];
}

export class JObject {
  /** From the leftmost operand of `+` to the rightmost. */
  readonly layers: readonly Layer[];
  readonly states: (LayerState | undefined)[];
  readonly hasAsserts: boolean;
  /** Whether its asserts were run, or need not be. */
  asserted: boolean;

  constructor(layers: readonly Layer[], hasAsserts: boolean) {
    this.layers = layers;
    this.states = layers.length === 1 ? [undefined] : times(layers.length, () => undefined);
    this.hasAsserts = hasAsserts;
    this.asserted = !hasAsserts;
  }
}

export const NO_LAYER_CODE: LayerCode = { frameSize: 3, locals: [], asserts: [] };

/** The type's name as `std.type` tells it. */
export function typeOf(value: Value): string {
  if (value === null) return "null";
  if (typeof value !== "object") return typeof value;
  if (value instanceof JArray) return "array";
  return value instanceof JObject ? "object" : "function";
}

/** An array of `count` things: Array.from takes ten times as long. */
export function times<T>(count: number, make: (index: number) => T): T[] {
  const made: T[] = [];
  for (let i = 0; i < count; i++) made.push(make(i));
  return made;
}
