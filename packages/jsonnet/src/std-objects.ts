// std: objects.
import type { BuiltinTable, LazyBuiltinTable } from "./std.ts";
import { callBack } from "./functions.ts";
import {
  allNames,
  getField,
  hasField,
  hasVisibleField,
  lookUp,
  objectOf,
  visibleNames,
  without,
} from "./objects.ts";
import { item } from "./operators.ts";
import { force, type Runtime } from "./runtime.ts";
import { wantBoolean, wantFunction, wantObject, wantString } from "./std-check.ts";
import { here } from "./std-types.ts";
import { JArray, JObject, Thunk, type Slot, type Value } from "./value.ts";

export const OBJECTS: BuiltinTable = {
  objectHas: ["o f", (rt, o, f) => hasVisibleField(wantObject(o, rt), wantString(f, rt), rt)],
  objectHasAll: ["o f", (rt, o, f) => hasField(wantObject(o, rt), wantString(f, rt), rt)],
  objectHasEx: ["obj fname hidden", (rt, o, f, hidden) => has(rt, o, f, wantBoolean(hidden, rt))],
  objectFields: ["o", (rt, o) => names(rt, o, false)],
  objectFieldsAll: ["o", (rt, o) => names(rt, o, true)],
  objectFieldsEx: ["obj hidden", (rt, o, hidden) => names(rt, o, wantBoolean(hidden, rt))],
  objectValues: ["o", (rt, o) => values(rt, o, false)],
  objectValuesAll: ["o", (rt, o) => values(rt, o, true)],
  objectKeysValues: ["o", (rt, o) => pairs(rt, o, false)],
  objectKeysValuesAll: ["o", (rt, o) => pairs(rt, o, true)],
  objectRemoveKey: ["obj key", (rt, o, key) => without(wantObject(o, rt), wantString(key, rt), rt)],
  mapWithKey: [
    "func obj",
    (rt, callee, o) => {
      const make = wantFunction(callee, rt);
      const object = wantObject(o, rt);
      const site = here(rt);
      const made = visibleNames(object, rt).map((name): readonly [string, Slot] => {
        const value = fieldLater(object, name, rt);
        return [name, new Thunk((_, later) => callBack(make, later, name, value), [], site)];
      });
      return objectOf(made, rt);
    },
  ],
  mergePatch: ["target patch", (rt, target, patch) => mergePatch(target, patch, rt)],
  prune: ["a", (rt, value) => prune(value, rt)],
};

export const LAZY_OBJECTS: LazyBuiltinTable = {
  get: [
    "o f default? inc_hidden?",
    (rt, [o, f, fallback, hidden]) => {
      const object = wantObject(force(o!, rt), rt);
      const name = wantString(force(f!, rt), rt);
      const hiddenToo = hidden === undefined || wantBoolean(force(hidden, rt), rt);
      if (hiddenToo ? hasField(object, name, rt) : hasVisibleField(object, name, rt)) {
        return getField(object, name, rt, here(rt));
      }
      return fallback === undefined ? null : force(fallback, rt);
    },
  ],
};

function has(rt: Runtime, o: Value, f: Value, hiddenToo: boolean): boolean {
  const object = wantObject(o, rt);
  return hiddenToo ? hasField(object, wantString(f, rt), rt) : hasVisibleField(object, wantString(f, rt), rt);
}

function namesOf(rt: Runtime, object: JObject, hiddenToo: boolean): readonly string[] {
  return hiddenToo ? allNames(object, rt) : visibleNames(object, rt);
}

function names(rt: Runtime, o: Value, hiddenToo: boolean): JArray {
  return new JArray([...namesOf(rt, wantObject(o, rt), hiddenToo)]);
}

function values(rt: Runtime, o: Value, hiddenToo: boolean): JArray {
  const object = wantObject(o, rt);
  return new JArray(namesOf(rt, object, hiddenToo).map((name) => fieldLater(object, name, rt)));
}

function pairs(rt: Runtime, o: Value, hiddenToo: boolean): JArray {
  const object = wantObject(o, rt);
  return new JArray(
    namesOf(rt, object, hiddenToo).map((name) =>
      objectOf(
        [
          ["key", name],
          ["value", fieldLater(object, name, rt)],
        ],
        rt,
      ),
    ),
  );
}

function fieldLater(object: JObject, name: string, rt: Runtime): Slot {
  const site = here(rt);
  rt.charge(32);
  rt.step(1);
  return new Thunk((_, later) => getField(object, name, later, site), [], site);
}

/** RFC 7396. */
function mergePatch(target: Value, patch: Value, rt: Runtime): Value {
  if (!(patch instanceof JObject)) return patch;
  const base = target instanceof JObject ? target : undefined;
  const merged = new Map<string, Slot>();
  if (base !== undefined)
    for (const name of visibleNames(base, rt)) merged.set(name, fieldLater(base, name, rt));
  rt.enter(here(rt));
  for (const name of visibleNames(patch, rt)) {
    const value = lookUp(patch, name, rt) ?? null;
    if (value === null) {
      merged.delete(name);
      continue;
    }
    const old =
      base !== undefined && merged.has(name) && value instanceof JObject ? lookUp(base, name, rt) : undefined;
    merged.set(name, mergePatch(old ?? null, value, rt));
  }
  rt.leave();
  return objectOf(merged, rt);
}

/** Without nulls, empty arrays and empty objects, at any depth. */
function prune(value: Value, rt: Runtime): Value {
  if (value instanceof JArray) {
    rt.enter(here(rt));
    const kept: Slot[] = [];
    for (let i = 0; i < value.items.length; i++) {
      const element = prune(item(value, i, rt), rt);
      if (!isNothing(element, rt)) kept.push(element);
    }
    rt.leave();
    rt.chargeItems(kept.length);
    return new JArray(kept);
  }
  if (!(value instanceof JObject)) return value;
  rt.enter(here(rt));
  const kept: (readonly [string, Slot])[] = [];
  for (const name of visibleNames(value, rt)) {
    const field = prune(lookUp(value, name, rt) ?? null, rt);
    if (!isNothing(field, rt)) kept.push([name, field]);
  }
  rt.leave();
  return objectOf(kept, rt);
}

function isNothing(value: Value, rt: Runtime): boolean {
  if (value === null) return true;
  if (value instanceof JArray) return value.items.length === 0;
  return value instanceof JObject && visibleNames(value, rt).length === 0;
}
