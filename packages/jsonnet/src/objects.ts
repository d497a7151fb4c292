// Objects: layers of fields, of which the rightmost that has a name gives its value, with `self` being the whole.
import { force, newFrame, type Runtime } from "./runtime.ts";
import { compareText } from "./text.ts";
import {
  JObject,
  NO_LAYER_CODE,
  Shape,
  type Field,
  type Frame,
  type Layer,
  type Site,
  type Slot,
  type Value,
} from "./value.ts";

/** Where the layers' frames have what belongs to the object. */
export const SELF_SLOT = 1;
export const LAYER_SLOT = 2;

/** Layers that are looked through in one step, as a power of two. */
const LAYERS_A_STEP_BITS = 3;

/** Names that are compared in one step, as a power of two. */
const NAMES_A_STEP_BITS = 2;

/** An object of one layer. */
export function objectOfLayer(layer: Layer): JObject {
  return new JObject([layer], layer.code.asserts.length > 0);
}

/** An object with `values` as its fields. */
export function objectOf(entries: Iterable<readonly [string, Slot]>, rt: Runtime): JObject {
  const fields = new Map<string, Field>();
  const values: Slot[] = [];
  for (const [name, slot] of entries) {
    fields.set(name, valueField(values.length, name));
    values.push(slot);
  }
  rt.charge(64 + 64 * values.length);
  return objectOfLayer(valueLayer(new Shape(fields), values));
}

export function valueField(index: number, name: string): Field {
  return { index, name, visibility: "inherit", code: undefined, site: undefined, removes: 0 };
}

export function valueLayer(shape: Shape, values: Slot[]): Layer {
  return { shape, code: NO_LAYER_CODE, frame: undefined, frames: undefined, values };
}

/** `left + right`. */
export function merge(left: JObject, right: JObject, rt: Runtime): JObject {
  const count = left.layers.length + right.layers.length;
  rt.charge(64 + 8 * count);
  rt.step(count >> LAYERS_A_STEP_BITS);
  return new JObject([...left.layers, ...right.layers], left.hasAsserts || right.hasAsserts);
}

/** The place of the topmost layer at or below `top` that has the field; -1 if there is none. */
export function findLayer(object: JObject, name: string, top: number, rt: Runtime): number {
  rt.step(top >> LAYERS_A_STEP_BITS);
  for (let i = top; i >= 0; i--) {
    const field = object.layers[i]!.shape.fields.get(name);
    if (field === undefined) continue;
    if (field.removes === 0) return i;
    i -= field.removes;
  }
  return -1;
}

/** The field's value, after the object's asserts; undefined if there is none. */
export function lookUp(object: JObject, name: string, rt: Runtime): Value | undefined {
  if (!object.asserted) checkAsserts(object, rt);
  return lookUpBelow(object, name, object.layers.length - 1, rt);
}

/** The value that layers at or below `top` give a field. */
export function lookUpBelow(object: JObject, name: string, top: number, rt: Runtime): Value | undefined {
  if (top > 0) rt.step(top >> LAYERS_A_STEP_BITS);
  for (let i = top; i >= 0; i--) {
    const field = object.layers[i]!.shape.fields.get(name);
    if (field === undefined) continue;
    if (field.removes === 0) return evaluateField(object, i, field, rt);
    i -= field.removes;
  }
  return undefined;
}

/** `object.name`. */
export function getField(object: JObject, name: string, rt: Runtime, site: Site): Value {
  const value = lookUp(object, name, rt);
  if (value === undefined) rt.fail(`Field does not exist: ${name}`, site);
  return value;
}

export function hasField(object: JObject, name: string, rt: Runtime): boolean {
  return findLayer(object, name, object.layers.length - 1, rt) !== -1;
}

/** Whether the object has the field and shows it. */
export function hasVisibleField(object: JObject, name: string, rt: Runtime): boolean {
  rt.step(object.layers.length >> LAYERS_A_STEP_BITS);
  let isThere = false;
  for (let i = object.layers.length - 1; i >= 0; i--) {
    const field = object.layers[i]!.shape.fields.get(name);
    if (field === undefined) continue;
    if (field.removes > 0) i -= field.removes;
    else if (field.visibility !== "inherit") return field.visibility === "visible";
    else isThere = true;
  }
  return isThere;
}

/** The object without a field. Layers within it still see the field as `super`'s. */
export function without(object: JObject, name: string, rt: Runtime): JObject {
  rt.charge(128 + 16 * object.layers.length);
  const gone: Field = {
    index: 0,
    name,
    visibility: "inherit",
    code: undefined,
    site: undefined,
    removes: object.layers.length,
  };
  const layers = [...object.layers, valueLayer(new Shape(new Map([[name, gone]])), [])];
  rt.step(layers.length >> LAYERS_A_STEP_BITS);
  return new JObject(layers, object.hasAsserts);
}

/** Names of the fields that are shown, in order. */
export function visibleNames(object: JObject, rt: Runtime): readonly string[] {
  const [only] = object.layers;
  if (object.layers.length === 1 && only !== undefined) {
    return (only.shape.visibleNames ??= sortedNames(object, false, rt));
  }
  return sortedNames(object, false, rt);
}

/** Names of all fields, in order. */
export function allNames(object: JObject, rt: Runtime): readonly string[] {
  return sortedNames(object, true, rt);
}

function sortedNames(object: JObject, hiddenToo: boolean, rt: Runtime): readonly string[] {
  const shown = new Map<string, boolean>();
  let removesAny = false;
  for (const { shape } of object.layers) {
    rt.step(shape.fields.size);
    for (const { name, visibility, removes } of shape.fields.values()) {
      if (removes > 0) removesAny = true;
      if (visibility !== "inherit") shown.set(name, visibility === "visible");
      else if (!shown.has(name)) shown.set(name, true);
    }
  }
  rt.chargeItems(shown.size);
  const names: string[] = [];
  for (const [name, isShown] of shown) {
    const isWanted = removesAny
      ? hiddenToo
        ? hasField(object, name, rt)
        : hasVisibleField(object, name, rt)
      : isShown || hiddenToo;
    if (isWanted) names.push(name);
  }
  if (names.length < 2) return names;
  rt.step((names.length * (31 - Math.clz32(names.length))) >> NAMES_A_STEP_BITS);
  return names.sort(compareText);
}

/** Runs the object's asserts, once. */
export function checkAsserts(object: JObject, rt: Runtime): void {
  if (object.asserted) return;
  object.asserted = true;
  for (let i = object.layers.length - 1; i >= 0; i--) {
    const { asserts } = object.layers[i]!.code;
    if (asserts.length === 0) continue;
    const frame = frameOf(object, i, rt);
    for (const { code, site } of asserts) {
      rt.enter(site, site.height);
      code(frame, rt);
      rt.leave();
    }
  }
}

/** The value of `field` of the layer at `place`. */
function evaluateField(object: JObject, place: number, field: Field, rt: Runtime): Value {
  const layer = object.layers[place]!;
  if (layer.values !== undefined) {
    const slot = layer.values[field.index]!;
    const value = force(slot, rt);
    if (value !== slot) layer.values[field.index] = value;
    return value;
  }
  const state = (object.states[place] ??= { frame: undefined, values: [] });
  const known = state.values[field.index];
  if (known !== undefined) return known;
  rt.enter(field.site!, field.site!.height);
  const frame =
    layer.frames === undefined
      ? (state.frame ??= makeFrame(object, place, layer, layer.frame!, rt))
      : makeFrame(object, place, layer, layer.frames[field.index]!, rt);
  const value = field.code!(frame, rt);
  rt.leave();
  state.values[field.index] = value;
  return value;
}

function frameOf(object: JObject, place: number, rt: Runtime): Frame {
  const layer = object.layers[place]!;
  const state = (object.states[place] ??= { frame: undefined, values: [] });
  return (state.frame ??= makeFrame(object, place, layer, layer.frame!, rt));
}

function makeFrame(object: JObject, place: number, layer: Layer, outer: Frame, rt: Runtime): Frame {
  const { frameSize, locals } = layer.code;
  const frame = newFrame(outer, frameSize);
  frame[SELF_SLOT] = object;
  frame[LAYER_SLOT] = place;
  for (let i = 0; i < locals.length; i++) {
    const { slot, code } = locals[i]!;
    frame[slot] = code(frame, rt);
  }
  return frame;
}

/** What layers below this one give a field. */
export function fieldBelow(frame: Frame, name: string, rt: Runtime): Value | undefined {
  return lookUpBelow(frame[SELF_SLOT] as JObject, name, (frame[LAYER_SLOT] as number) - 1, rt);
}
