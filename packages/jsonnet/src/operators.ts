// What the operators do with values of any type. Compiled code takes the common cases of two numbers itself.
import { toText } from "./manifest.ts";
import { checkAsserts, lookUp, merge, visibleNames, getField } from "./objects.ts";
import { force, type Runtime } from "./runtime.ts";
import { charactersOf, compareText, isNarrow, lengthOf, numberText } from "./text.ts";
import { JArray, JFunction, JObject, times, typeOf, type Site, type Slot, type Value } from "./value.ts";

export function add(left: Value, right: Value, rt: Runtime, site: Site): Value {
  if (typeof left === "number" && typeof right === "number") return finite(left + right, rt, site);
  if (typeof left === "string" || typeof right === "string") {
    return concat(toText(left, rt, site), toText(right, rt, site), rt);
  }
  if (left instanceof JArray) {
    if (!(right instanceof JArray)) rt.failType(right, "array", typeOf, site);
    rt.chargeItems(left.items.length + right.items.length);
    return new JArray([...left.items, ...right.items]);
  }
  if (left instanceof JObject) {
    if (!(right instanceof JObject)) rt.failType(right, "object", typeOf, site);
    return merge(left, right, rt);
  }
  if (typeof left === "number") rt.failType(right, "number", typeOf, site);
  return rt.fail(`Unexpected type ${typeOf(left)}`, site);
}

export function concat(left: string, right: string, rt: Runtime): string {
  rt.charge(left.length + right.length);
  return left + right;
}

export function finite(value: number, rt: Runtime, site?: Site): number {
  if (Number.isFinite(value)) return value;
  return rt.fail(Number.isNaN(value) ? "Not a number" : "Overflow", site);
}

export function numberOf(value: Value, rt: Runtime, site?: Site): number {
  return typeof value === "number" ? value : rt.failType(value, "number", typeOf, site);
}

export function booleanOf(value: Value, rt: Runtime, site?: Site): boolean {
  return typeof value === "boolean" ? value : rt.failType(value, "boolean", typeOf, site);
}

export function divide(left: number, right: number, rt: Runtime, site?: Site): number {
  if (right === 0) rt.fail("Division by zero.", site);
  return finite(left / right, rt, site);
}

export function remainder(left: number, right: number, rt: Runtime, site?: Site): number {
  if (right === 0) rt.fail("Division by zero.", site);
  return finite(left % right, rt, site);
}

export type BitOperator = "&" | "|" | "^" | "<<" | ">>";

/** Works on 64-bit integers; the arguments are cut to whole numbers. */
export function bitwise(operator: BitOperator, a: Value, b: Value, rt: Runtime, site: Site): number {
  const x = bits(numberOf(a, rt, site), rt, site);
  const y = bits(numberOf(b, rt, site), rt, site);
  switch (operator) {
    case "&":
      return Number(x & y);
    case "|":
      return Number(x | y);
    case "^":
      return Number(x ^ y);
    case "<<": {
      if (y < 0n) rt.fail("Shift by negative exponent.", site);
      return Number(BigInt.asIntN(64, x << (y & 63n)));
    }
    case ">>":
      if (y < 0n) rt.fail("Shift by negative exponent.", site);
      return Number(x >> (y & 63n));
  }
}

export function complement(value: Value, rt: Runtime, site: Site): number {
  return Number(~bits(numberOf(value, rt, site), rt, site));
}

function bits(value: number, rt: Runtime, site: Site): bigint {
  if (Math.abs(value) > Number.MAX_SAFE_INTEGER) {
    const bound = Number.MAX_SAFE_INTEGER;
    rt.fail(`Bitwise operator argument ${String(value)} outside of range [-${bound}, ${bound}]`, site);
  }
  return BigInt(Math.trunc(value));
}

/** Less than 0, 0 or more, as `left` is below, equal to or above `right`. */
export function compare(left: Value, right: Value, rt: Runtime, site: Site): number {
  if (typeof left === "number" && typeof right === "number") return left - right;
  if (typeof left === "string" && typeof right === "string") {
    rt.step(Math.min(left.length, right.length) >> 6);
    return compareText(left, right);
  }
  if (left instanceof JArray && right instanceof JArray) return compareArrays(left, right, rt, site);
  if (typeOf(left) !== typeOf(right)) rt.failType(right, typeOf(left), typeOf, site);
  return rt.fail(`Unexpected type ${typeOf(left)}`, site);
}

function compareArrays(left: JArray, right: JArray, rt: Runtime, site: Site): number {
  rt.enter(site);
  const length = Math.min(left.items.length, right.items.length);
  for (let i = 0; i < length; i++) {
    rt.step(1);
    const order = compare(item(left, i, rt), item(right, i, rt), rt, site);
    if (order !== 0) return (rt.leave(), order);
  }
  rt.leave();
  return left.items.length - right.items.length;
}

export function equals(left: Value, right: Value, rt: Runtime, site: Site): boolean {
  if (left === null || right === null) return left === right;
  if (typeof left !== "object" || typeof right !== "object") {
    if (typeof left === "string" && left.length > 1024) rt.step(left.length >> 8);
    return left === right;
  }
  if (left instanceof JArray && right instanceof JArray) return equalArrays(left, right, rt, site);
  if (left instanceof JObject && right instanceof JObject) return equalObjects(left, right, rt, site);
  if (left instanceof JFunction && right instanceof JFunction) {
    rt.fail("Cannot test equality of functions", site);
  }
  return false;
}

function equalArrays(left: JArray, right: JArray, rt: Runtime, site: Site): boolean {
  if (left.items.length !== right.items.length) return false;
  rt.enter(site);
  let same = true;
  for (let i = 0; same && i < left.items.length; i++) {
    rt.step(1);
    same = equals(item(left, i, rt), item(right, i, rt), rt, site);
  }
  rt.leave();
  return same;
}

function equalObjects(left: JObject, right: JObject, rt: Runtime, site: Site): boolean {
  checkAsserts(left, rt);
  checkAsserts(right, rt);
  const names = visibleNames(left, rt);
  const others = visibleNames(right, rt);
  if (names.length !== others.length || names.some((name, i) => name !== others[i])) return false;
  rt.enter(site);
  let same = true;
  for (let i = 0; same && i < names.length; i++) {
    rt.step(1);
    const name = names[i]!;
    same = equals(lookUp(left, name, rt) ?? null, lookUp(right, name, rt) ?? null, rt, site);
  }
  rt.leave();
  return same;
}

/** The value of an element. */
export function item(array: JArray, index: number, rt: Runtime): Value {
  const slot: Slot = array.items[index]!;
  const value = force(slot, rt);
  if (value !== slot) array.items[index] = value;
  return value;
}

/** `target[index]` */
export function indexValue(target: Value, index: Value, rt: Runtime, site: Site): Value {
  if (target instanceof JObject) {
    if (typeof index !== "string") rt.failType(index, "string", typeOf, site);
    return getField(target, index, rt, site);
  }
  if (target instanceof JArray) {
    return item(target, within(numberOf(index, rt, site), target.items.length, rt, site), rt);
  }
  if (typeof target === "string") {
    const place = within(numberOf(index, rt, site), lengthOf(target, rt), rt, site);
    return isNarrow(target, rt) ? target[place]! : charactersOf(target, rt)[place]!;
  }
  return rt.fail(`Value non indexable: ${typeOf(target)}`, site);
}

function within(index: number, length: number, rt: Runtime, site: Site): number {
  const place = Math.trunc(index);
  if (place >= 0 && place < length) return place;
  return rt.fail(`Index ${numberText(place)} out of bounds, not within [0, ${length})`, site);
}

/** `target[begin:end:step]`; null for what is not given. */
export function slice(target: Value, bounds: readonly Value[], rt: Runtime, site?: Site): Value {
  if (typeof target !== "string" && !(target instanceof JArray)) {
    return rt.fail(`std.slice accepts a string or an array, but got: ${typeOf(target)}`, site);
  }
  const length = typeof target === "string" ? lengthOf(target, rt) : target.items.length;
  const numbers = bounds.map((bound) => (bound === null ? undefined : numberOf(bound, rt, site)));
  const [from, to, by = 1] = numbers;
  const shown = `[${numberText(from ?? 0)}:${numberText(to ?? length)}:${numberText(by)}]`;
  if (by < 0) rt.fail(`got ${shown} but negative steps are not supported`, site);
  if (by === 0) rt.fail(`got ${numberText(by)} but step must be greater than 0`, site);
  const begin = fromEnd(from ?? 0, length);
  const end = Math.min(fromEnd(to ?? length, length), length);
  const count = begin >= end ? 0 : Math.ceil((end - begin) / by);
  rt.step(count >> 4);
  if (typeof target !== "string") {
    rt.chargeItems(count);
    if (by === 1) return new JArray(target.items.slice(begin, end));
    return new JArray(times(count, (i) => target.items[Math.trunc(begin + i * by)]!));
  }
  rt.charge(count);
  if (by === 1 && isNarrow(target, rt)) return target.slice(begin, end);
  const characters = charactersOf(target, rt);
  return times(count, (i) => characters[Math.trunc(begin + i * by)]!).join("");
}

function fromEnd(place: number, length: number): number {
  const whole = Math.trunc(place);
  return whole < 0 ? Math.max(0, length + whole) : whole;
}
