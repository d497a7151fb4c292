// The text of `grpc-timeout`: at most eight digits and a unit.

/** Milliseconds of each unit. */
const UNIT_MS: Readonly<Record<string, number>> = {
  n: 1e-6,
  u: 1e-3,
  m: 1,
  S: 1000,
  M: 60_000,
  H: 3_600_000,
};
/** Steps from one unit to the next coarser one. */
const COARSER: readonly (readonly [unit: string, perUnit: number])[] = [
  ["u", 1],
  ["m", 1000],
  ["S", 1000],
  ["M", 60],
  ["H", 60],
];
const VALUE_MAX = 99_999_999;

/** Milliseconds, or undefined when `value` is malformed. */
export function parseTimeout(value: string): number | undefined {
  const digits = value.length - 1;
  const unitMs = UNIT_MS[value.charAt(digits)];
  if (unitMs === undefined || digits < 1 || digits > 8) return undefined;
  let number = 0;
  for (let i = 0; i < digits; i++) {
    const digit = value.charCodeAt(i) - 0x30;
    if (digit < 0 || digit > 9) return undefined;
    number = 10 * number + digit;
  }
  return number * unitMs;
}

/** @param ms > 0; fractions of a microsecond are rounded up, so that some time is left */
export function formatTimeout(ms: number): string {
  let value = Math.ceil(ms * 1000);
  for (const [unit, perUnit] of COARSER) {
    value = Math.ceil(value / perUnit);
    if (value <= VALUE_MAX) return `${value}${unit}`;
  }
  return `${VALUE_MAX}H`;
}
