// std: sets, which are arrays in order without duplicates. Keys of both sides are made once.
import type { BuiltinTable } from "./std.ts";
import { keyed, sorted, uniq, type Keyed } from "./std-arrays.ts";
import { callBack } from "./functions.ts";
import { compare } from "./operators.ts";
import type { Runtime } from "./runtime.ts";
import { wantArray, wantFunction } from "./std-check.ts";
import { here } from "./std-types.ts";
import { charactersOf } from "./text.ts";
import { JArray, type Slot, type Value } from "./value.ts";

export const SETS: BuiltinTable = {
  set: ["arr keyF?", (rt, array, key) => uniq(sorted(wantArray(array, rt), key, rt), rt)],
  setUnion: ["a b keyF?", (rt, a, b, key) => combine(rt, a, b, key, { left: true, both: true, right: true })],
  setInter: [
    "a b keyF?",
    (rt, a, b, key) => combine(rt, a, b, key, { left: false, both: true, right: false }),
  ],
  setDiff: [
    "a b keyF?",
    (rt, a, b, key) => combine(rt, a, b, key, { left: true, both: false, right: false }),
  ],
  setMember: [
    "x arr keyF?",
    (rt, x, array, keyF) => {
      const key = keyF === null ? x : callBack(wantFunction(keyF, rt), rt, x);
      const list = keyed(elements(array, rt), keyF, rt);
      return list.some((entry) => compare(entry.key, key, rt, here(rt)) === 0);
    },
  ],
};

/** Which elements are kept: those of one side only, and those of both, of which the left one is taken. */
interface Kept {
  readonly left: boolean;
  readonly both: boolean;
  readonly right: boolean;
}

function combine(rt: Runtime, a: Value, b: Value, keyF: Value, kept: Kept): JArray {
  const left: Keyed[] = keyed(elements(a, rt), keyF, rt);
  const right: Keyed[] = keyed(elements(b, rt), keyF, rt);
  const out: Slot[] = [];
  let i = 0;
  let j = 0;
  while (i < left.length && j < right.length) {
    rt.step(1);
    const order = compare(left[i]!.key, right[j]!.key, rt, here(rt));
    if (order < 0 ? kept.left : order === 0 && kept.both) out.push(left[i]!.slot);
    if (order > 0 && kept.right) out.push(right[j]!.slot);
    if (order <= 0) i++;
    if (order >= 0) j++;
  }
  if (kept.left) for (; i < left.length; i++) out.push(left[i]!.slot);
  if (kept.right) for (; j < right.length; j++) out.push(right[j]!.slot);
  return new JArray(out);
}

/** A string stands for the array of its characters. */
function elements(value: Value, rt: Runtime): JArray {
  return typeof value === "string" ? new JArray([...charactersOf(value, rt)]) : wantArray(value, rt);
}
