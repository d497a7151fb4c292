// std: numbers. A result that is no finite number is an error.
import type { BuiltinTable } from "./std.ts";
import { modulo } from "./compile-operators.ts";
import type { BuiltinRun } from "./functions.ts";
import { finite, remainder } from "./operators.ts";
import type { Runtime } from "./runtime.ts";
import { wantNumber } from "./std-check.ts";
import { here } from "./std-types.ts";
import { item } from "./operators.ts";
import { wantArray } from "./std-check.ts";

type Unary = readonly [parameters: string, run: BuiltinRun];

function unary(apply: (x: number) => number, parameter = "x"): Unary {
  return [parameter, (rt, x) => finite(apply(wantNumber(x, rt)), rt)];
}

function binary(parameters: string, apply: (x: number, y: number) => number): Unary {
  return [parameters, (rt, x, y) => finite(apply(wantNumber(x, rt), wantNumber(y, rt)), rt)];
}

export const NUMBERS: BuiltinTable = {
  abs: unary(Math.abs, "n"),
  sign: unary((n) => (n > 0 ? 1 : n < 0 ? -1 : 0), "n"),
  max: binary("a b", (a, b) => (a > b ? a : b)),
  min: binary("a b", (a, b) => (a < b ? a : b)),
  clamp: [
    "x minVal maxVal",
    (rt, x, low, high) => {
      const [value, least, most] = [wantNumber(x, rt), wantNumber(low, rt), wantNumber(high, rt)];
      return value < least ? least : value > most ? most : value;
    },
  ],
  floor: unary(Math.floor),
  ceil: unary(Math.ceil),
  round: unary((x) => Math.sign(x) * Math.floor(Math.abs(x) + 0.5)),
  sqrt: unary(Math.sqrt),
  sin: unary(Math.sin),
  cos: unary(Math.cos),
  tan: unary(Math.tan),
  asin: unary(Math.asin),
  acos: unary(Math.acos),
  atan: unary(Math.atan),
  exp: unary(Math.exp),
  log: unary(Math.log),
  log2: unary(Math.log2),
  log10: unary(Math.log10),
  exponent: unary((x) => split(x).exponent),
  mantissa: unary((x) => split(x).mantissa),
  pow: binary("x n", (x, n) => x ** n),
  atan2: binary("y x", Math.atan2),
  hypot: binary("a b", Math.hypot),
  deg2rad: unary((x) => (x * Math.PI) / 180),
  rad2deg: unary((x) => (x * 180) / Math.PI),
  mod: ["a b", (rt, a, b) => modulo(a, b, rt, here(rt))],
  modulo: ["a b", (rt, a, b) => remainder(wantNumber(a, rt), wantNumber(b, rt), rt)],
  isEven: ["x", (rt, x) => Math.trunc(wantNumber(x, rt)) % 2 === 0],
  isOdd: ["x", (rt, x) => Math.trunc(wantNumber(x, rt)) % 2 !== 0],
  isInteger: ["x", (rt, x) => Number.isInteger(wantNumber(x, rt))],
  isDecimal: ["x", (rt, x) => !Number.isInteger(wantNumber(x, rt))],
  sum: ["arr", (rt, array) => total(array, rt)],
  avg: [
    "arr",
    (rt, array) => {
      const { length } = wantArray(array, rt).items;
      if (length === 0) rt.fail("Cannot calculate average of an empty array.");
      return total(array, rt) / length;
    },
  ],
};

function total(value: Parameters<typeof wantArray>[0], rt: Runtime): number {
  const array = wantArray(value, rt);
  let sum = 0;
  for (let i = 0; i < array.items.length; i++) {
    rt.step(1);
    sum += wantNumber(item(array, i, rt), rt);
  }
  return finite(sum, rt);
}

/** x = mantissa * 2^exponent, with 0.5 <= |mantissa| < 1. */
function split(x: number): { mantissa: number; exponent: number } {
  if (x === 0) return { mantissa: 0, exponent: 0 };
  let exponent = Math.floor(Math.log2(Math.abs(x))) + 1;
  // In two steps: one power would leave the range for the smallest numbers.
  const half = Math.trunc(exponent / 2);
  let mantissa = x / 2 ** half / 2 ** (exponent - half);
  for (; Math.abs(mantissa) >= 1; exponent++) mantissa /= 2;
  for (; Math.abs(mantissa) < 0.5; exponent--) mantissa *= 2;
  return { mantissa, exponent };
}
