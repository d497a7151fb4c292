// std: arrays, and strings where they are taken as arrays of characters.
import type { BuiltinTable, LazyBuiltinTable } from "./std.ts";
import { asFunction, callBack } from "./functions.ts";
import { compare, equals, item } from "./operators.ts";
import { force, type Runtime } from "./runtime.ts";
import { wantArray, wantBoolean, wantFunction, wantInteger, wantString } from "./std-check.ts";
import { here } from "./std-types.ts";
import { placesOf } from "./text-search.ts";
import { charactersOf, numberText } from "./text.ts";
import { JArray, Thunk, times, typeOf, type JFunction, type Slot, type Value } from "./value.ts";

export const ARRAYS: BuiltinTable = {
  makeArray: [
    "sz func",
    (rt, size, callee) => {
      const make = wantFunction(callee, rt);
      const count = Math.max(0, wantInteger(size, rt));
      rt.chargeItems(5 * count);
      return new JArray(times(count, (i) => later(make, rt, i)));
    },
  ],
  member: ["arr x", (rt, from, x) => isMember(from, x, rt)],
  contains: ["arr elem", (rt, array, x) => places(wantArray(array, rt), x, rt, 1).length > 0],
  count: ["arr x", (rt, array, x) => places(wantArray(array, rt), x, rt).length],
  find: ["value arr", (rt, x, array) => new JArray(places(wantArray(array, rt), x, rt))],
  map: ["func arr", (rt, callee, array) => map(rt, callee, array, (make, x) => later(make, rt, x))],
  mapWithIndex: [
    "func arr",
    (rt, callee, array) => map(rt, callee, array, (make, x, i) => later(make, rt, i, x)),
  ],
  filter: ["func arr", (rt, callee, array) => filter(rt, callee, wantArray(array, rt))],
  filterMap: [
    "filter_func map_func arr",
    (rt, keep, callee, array) =>
      map(rt, callee, filter(rt, keep, wantArray(array, rt)), (make, x) => later(make, rt, x)),
  ],
  flatMap: ["func arr", (rt, callee, from) => flatMap(rt, callee, from)],
  foldl: [
    "func arr init",
    (rt, callee, from, init) => {
      const join = wantFunction(callee, rt);
      return itemsOf("foldl", from, rt).reduce<Value>((sum, x) => callBack(join, rt, sum, x), init);
    },
  ],
  foldr: [
    "func arr init",
    (rt, callee, from, init) => {
      const join = wantFunction(callee, rt);
      return itemsOf("foldr", from, rt).reduceRight<Value>((sum, x) => callBack(join, rt, x, sum), init);
    },
  ],
  range: [
    "from to",
    (rt, from, to) => {
      const begin = wantInteger(from, rt);
      const count = Math.max(0, wantInteger(to, rt) - begin + 1);
      rt.chargeItems(count);
      return new JArray(times(count, (i) => begin + i));
    },
  ],
  repeat: ["what count", (rt, what, count) => repeat(rt, what, Math.max(0, wantInteger(count, rt)))],
  join: ["sep arr", (rt, separator, array) => join(rt, separator, wantArray(array, rt))],
  deepJoin: ["arr", (rt, value) => deepJoin(value, rt)],
  lines: ["arr", (rt, array) => join(rt, "\n", new JArray([...wantArray(array, rt).items, ""]))],
  flattenArrays: [
    "arr",
    (rt, array) => {
      const out: Slot[] = [];
      const arrays = wantArray(array, rt);
      for (let i = 0; i < arrays.items.length; i++) append(out, wantArray(item(arrays, i, rt), rt), rt);
      return new JArray(out);
    },
  ],
  flattenDeepArray: [
    "value",
    (rt, value) => {
      const out: Slot[] = [];
      flattenInto(out, value, rt);
      return new JArray(out);
    },
  ],
  reverse: [
    "arrs",
    (rt, array) => {
      rt.chargeItems(wantArray(array, rt).items.length);
      return new JArray([...wantArray(array, rt).items].reverse());
    },
  ],
  sort: [
    "arr keyF?",
    (rt, array, key) => new JArray(sorted(wantArray(array, rt), key, rt).map(({ slot }) => slot)),
  ],
  uniq: ["arr keyF?", (rt, from, key) => uniq(keyed(new JArray(itemsOf("uniq", from, rt)), key, rt), rt)],
  all: ["arr", (rt, array) => !someIs(false, "all", array, rt)],
  any: ["arr", (rt, array) => someIs(true, "any", array, rt)],
  remove: [
    "arr elem",
    (rt, array, x) => {
      const from = wantArray(array, rt);
      const [place] = places(from, x, rt, 1);
      return place === undefined ? from : without(from, place, rt);
    },
  ],
  removeAt: [
    "arr idx",
    (rt, array, index) => {
      const from = wantArray(array, rt);
      const place = wantInteger(index, rt);
      const { length } = from.items;
      if (place < 0 || place >= length)
        rt.fail(`Index ${numberText(place)} out of bounds, not within [0, ${length})`);
      return without(from, place, rt);
    },
  ],
};

export const LAZY_ARRAYS: LazyBuiltinTable = {
  minArray: ["arr keyF? onEmpty?", (rt, slots) => extreme(rt, slots, (order) => order < 0)],
  maxArray: ["arr keyF? onEmpty?", (rt, slots) => extreme(rt, slots, (order) => order > 0)],
};

/** An element with what it is compared by. */
export interface Keyed {
  readonly slot: Slot;
  readonly key: Value;
}

/** The elements with their keys; without a function an element is its own key. */
export function keyed(array: JArray, keyF: Value, rt: Runtime): Keyed[] {
  rt.chargeItems(4 * array.items.length);
  const callee = keyF === null ? undefined : asFunction(keyF, rt);
  return array.items.map((slot, i) => {
    rt.step(1);
    return { slot, key: callee === undefined ? item(array, i, rt) : callBack(callee, rt, slot) };
  });
}

/** In the order of their keys; equal ones stay in theirs. */
export function sorted(array: JArray, keyF: Value, rt: Runtime): Keyed[] {
  const site = here(rt);
  return keyed(array, keyF, rt).sort((a, b) => {
    rt.step(1);
    return compare(a.key, b.key, rt, site);
  });
}

/** Without those that equal the one before. */
export function uniq(list: readonly Keyed[], rt: Runtime): JArray {
  const out: Slot[] = [];
  let last: Keyed | undefined;
  for (const entry of list) {
    if (last === undefined || !equals(last.key, entry.key, rt, here(rt))) out.push(entry.slot);
    last = entry;
  }
  return new JArray(out);
}

function later(callee: JFunction, rt: Runtime, ...slots: Slot[]): Slot {
  return new Thunk((_, then) => callBack(callee, then, ...slots), [], here(rt));
}

/** Elements, or characters. */
function itemsOf(name: string, value: Value, rt: Runtime): Slot[] {
  if (typeof value === "string") return [...charactersOf(value, rt)];
  if (value instanceof JArray) return value.items;
  return rt.fail(`${name} second parameter should be string or array, got ${typeOf(value)}`);
}

function map(
  rt: Runtime,
  callee: Value,
  from: Value,
  each: (make: JFunction, slot: Slot, index: number) => Slot,
): JArray {
  const make = wantFunction(callee, rt);
  const items = itemsOf("map", from, rt);
  rt.chargeItems(5 * items.length);
  rt.step(items.length);
  return new JArray(items.map((slot, i) => each(make, slot, i)));
}

function filter(rt: Runtime, callee: Value, array: JArray): JArray {
  const keep = wantFunction(callee, rt);
  rt.chargeItems(array.items.length);
  return new JArray(array.items.filter((slot) => wantBoolean(callBack(keep, rt, slot), rt)));
}

function flatMap(rt: Runtime, callee: Value, from: Value): Value {
  const make = wantFunction(callee, rt);
  if (typeof from === "string") {
    let text = "";
    for (const character of charactersOf(from, rt)) {
      const piece = wantString(callBack(make, rt, character), rt);
      rt.charge(piece.length);
      text += piece;
    }
    return text;
  }
  const out: Slot[] = [];
  for (const slot of wantArray(from, rt).items) append(out, wantArray(callBack(make, rt, slot), rt), rt);
  return new JArray(out);
}

function append(out: Slot[], array: JArray, rt: Runtime): void {
  rt.chargeItems(array.items.length);
  rt.step(1 + (array.items.length >> 4));
  for (const slot of array.items) out.push(slot);
}

function flattenInto(out: Slot[], value: Value, rt: Runtime): void {
  if (!(value instanceof JArray)) {
    rt.charge(8);
    out.push(value);
    return;
  }
  rt.enter(here(rt));
  for (let i = 0; i < value.items.length; i++) flattenInto(out, item(value, i, rt), rt);
  rt.leave();
}

function deepJoin(value: Value, rt: Runtime): string {
  if (typeof value === "string") return value;
  const array = wantArray(value, rt);
  rt.enter(here(rt));
  let text = "";
  for (let i = 0; i < array.items.length; i++) {
    const piece = deepJoin(item(array, i, rt), rt);
    rt.charge(piece.length);
    text += piece;
  }
  rt.leave();
  return text;
}

function join(rt: Runtime, separator: Value, array: JArray): Value {
  if (typeof separator === "string") {
    const parts: string[] = [];
    for (let i = 0; i < array.items.length; i++) {
      rt.step(1);
      const part = item(array, i, rt);
      if (part === null) continue;
      rt.charge(wantString(part, rt).length + separator.length);
      parts.push(wantString(part, rt));
    }
    return parts.join(separator);
  }
  const between = wantArray(separator, rt);
  const out: Slot[] = [];
  let isFirst = true;
  for (let i = 0; i < array.items.length; i++) {
    const part = item(array, i, rt);
    if (part === null) continue;
    if (!isFirst) append(out, between, rt);
    append(out, wantArray(part, rt), rt);
    isFirst = false;
  }
  return new JArray(out);
}

function repeat(rt: Runtime, what: Value, count: number): Value {
  if (typeof what === "string") {
    rt.charge(what.length * count);
    return what.repeat(count);
  }
  const { items } =
    what instanceof JArray ? what : rt.fail(`std.repeat first argument must be an array or a string`);
  rt.chargeItems(items.length * count);
  return new JArray(times(items.length * count, (i) => items[i % items.length]!));
}

function isMember(from: Value, x: Value, rt: Runtime): boolean {
  if (typeof from === "string") {
    const wanted = wantString(x, rt);
    return wanted === "" || placesOf(from, wanted, rt, { most: 1 }).length > 0;
  }
  if (from instanceof JArray) return places(from, x, rt, 1).length > 0;
  return rt.fail("std.member first argument must be an array or a string");
}

/** Where `x` is in the array; the first `most` places. */
function places(array: JArray, x: Value, rt: Runtime, most = Number.POSITIVE_INFINITY): number[] {
  const found: number[] = [];
  for (let i = 0; i < array.items.length && found.length < most; i++) {
    rt.step(1);
    if (!equals(item(array, i, rt), x, rt, here(rt))) continue;
    rt.charge(8);
    found.push(i);
  }
  return found;
}

function without(array: JArray, place: number, rt: Runtime): JArray {
  rt.chargeItems(array.items.length);
  return new JArray(array.items.toSpliced(place, 1));
}

function someIs(wanted: boolean, name: string, value: Value, rt: Runtime): boolean {
  if (!(value instanceof JArray)) rt.fail(`${name}() parameter should be an array, got ${typeOf(value)}`);
  for (let i = 0; i < value.items.length; i++) {
    rt.step(1);
    const element = item(value, i, rt);
    if (typeof element !== "boolean") {
      rt.fail(`element ${i} of type ${typeOf(element)} is not a boolean`);
    }
    if (element === wanted) return true;
  }
  return false;
}

function extreme(
  rt: Runtime,
  slots: readonly (Slot | undefined)[],
  isBetter: (order: number) => boolean,
): Value {
  const [from, keyF, onEmpty] = slots;
  const array = wantArray(force(from!, rt), rt);
  if (array.items.length === 0) {
    if (onEmpty === undefined) rt.fail("Expected at least one element in array. Got none");
    return force(onEmpty, rt);
  }
  const list = keyed(array, keyF === undefined ? null : force(keyF, rt), rt);
  let best = list[0]!;
  for (const entry of list) if (isBetter(compare(entry.key, best.key, rt, here(rt)))) best = entry;
  return force(best.slot, rt);
}
