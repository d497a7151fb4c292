// Offsets are branded numbers: 2^53 bytes is 8 PiB a journal, a documented limit that is asserted where bytes enter.
import { assert } from "./assert.ts";

declare const brand: unique symbol;
/** A nominal type over `T`. Arithmetic drops the brand. */
export type Brand<T, B extends string> = T & { readonly [brand]: B };

/** Byte position in a journal: an integer in [0, 2^53). */
export type Offset = Brand<number, "Offset">;

/** Brands `n`. @throws {InvariantError} unless it is an integer in [0, 2^53) */
export function offset(n: number): Offset {
  assert(Number.isSafeInteger(n), "offset is a safe integer", { n });
  assert(n >= 0, "offset >= 0", { n });
  return n as Offset;
}

/** Revision of the coordination store: an integer >= 0, in practice far below 2^53. */
export type Revision = number;
