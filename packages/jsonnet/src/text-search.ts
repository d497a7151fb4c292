// Where a text has another one. What JavaScript's own searches take may grow with the product of both lengths, so they
// are for short patterns only; longer ones are found by Knuth, Morris and Pratt in one pass, from either end.
import type { Runtime } from "./runtime.ts";

/** Longer patterns are not looked for by indexOf. */
const SHORT_CHARS = 16;
/** Comparisons of characters in one step, as powers of two: of indexOf, and of the pass. */
const NATIVE_A_STEP_BITS = 8;
const PASS_A_STEP_BITS = 5;

export interface SearchOptions {
  /** Places of the pattern may share characters. */
  readonly overlapping?: boolean;
  readonly most?: number;
  /** The last places are found first. */
  readonly fromEnd?: boolean;
}

/** Places of `pattern`, which is not empty, in the order in which they are found. */
export function placesOf(text: string, pattern: string, rt: Runtime, options: SearchOptions = {}): number[] {
  if (pattern.length > text.length) return [];
  if (pattern.length > SHORT_CHARS) return onePass(text, pattern, rt, options);
  rt.step((text.length * pattern.length) >> NATIVE_A_STEP_BITS);
  const { overlapping = false, most = Number.POSITIVE_INFINITY, fromEnd = false } = options;
  const gap = overlapping ? 1 : pattern.length;
  const found: number[] = [];
  const next = (from: number): number => {
    if (!fromEnd) return text.indexOf(pattern, from);
    return from < 0 ? -1 : text.lastIndexOf(pattern, from);
  };
  for (let at = next(fromEnd ? text.length : 0); at !== -1; at = next(fromEnd ? at - gap : at + gap)) {
    if (found.length >= most) break;
    note(found, at, rt);
  }
  return found;
}

function onePass(text: string, pattern: string, rt: Runtime, options: SearchOptions): number[] {
  const { overlapping = false, most = Number.POSITIVE_INFINITY, fromEnd = false } = options;
  const length = pattern.length;
  rt.charge(4 * length);
  rt.step((text.length + length) >> PASS_A_STEP_BITS);
  const borders = bordersOf(pattern, fromEnd);
  const found: number[] = [];
  let same = 0;
  for (let i = 0; i < text.length && found.length < most; i++) {
    const unit = text.charCodeAt(fromEnd ? text.length - 1 - i : i);
    while (same > 0 && unit !== unitAt(pattern, same, fromEnd)) same = borders[same - 1]!;
    if (unit === unitAt(pattern, same, fromEnd)) same++;
    if (same < length) continue;
    note(found, fromEnd ? text.length - 1 - i : i + 1 - length, rt);
    same = overlapping ? borders[length - 1]! : 0;
  }
  return found;
}

/** Of each beginning of the pattern, the length of the longest shorter beginning that it ends with. */
function bordersOf(pattern: string, fromEnd: boolean): Int32Array {
  const borders = new Int32Array(pattern.length);
  let same = 0;
  for (let i = 1; i < pattern.length; i++) {
    const unit = unitAt(pattern, i, fromEnd);
    while (same > 0 && unit !== unitAt(pattern, same, fromEnd)) same = borders[same - 1]!;
    if (unit === unitAt(pattern, same, fromEnd)) same++;
    borders[i] = same;
  }
  return borders;
}

function unitAt(pattern: string, i: number, fromEnd: boolean): number {
  return pattern.charCodeAt(fromEnd ? pattern.length - 1 - i : i);
}

function note(found: number[], place: number, rt: Runtime): void {
  rt.step(1);
  rt.charge(8);
  found.push(place);
}
