import { describe, test } from "node:test";
import assert from "node:assert/strict";
import fc from "fast-check";

import { LIMITS_DEFAULT } from "./limits.ts";
import { Runtime } from "./runtime.ts";
import { placesOf, type SearchOptions } from "./text-search.ts";

/** Of two letters, so that patterns nearly match all the time. */
const letters = (maxLength: number): fc.Arbitrary<string> =>
  fc.array(fc.constantFrom("a", "b"), { minLength: 1, maxLength }).map((units) => units.join(""));

const searches = fc.record({
  pattern: fc.oneof(
    letters(4),
    fc.tuple(letters(3), fc.integer({ min: 1, max: 12 })).map(([unit, count]) => unit.repeat(count)),
  ),
  pieces: fc.array(letters(12), { maxLength: 12 }),
  copies: fc.array(fc.boolean(), { maxLength: 12 }),
  overlapping: fc.boolean(),
  fromEnd: fc.boolean(),
  most: fc.oneof(fc.constant(Number.POSITIVE_INFINITY), fc.integer({ min: 0, max: 3 })),
});

/** Place by place. */
function expected(text: string, pattern: string, options: Required<SearchOptions>): number[] {
  const { overlapping, most, fromEnd } = options;
  const gap = overlapping ? 1 : pattern.length;
  const found: number[] = [];
  const last = text.length - pattern.length;
  for (let i = 0; i <= last && found.length < most;) {
    const at = fromEnd ? last - i : i;
    if (!text.startsWith(pattern, at)) i++;
    else {
      found.push(at);
      i += gap;
    }
  }
  return found;
}

describe("a search", () => {
  test("finds the places that a look at each place finds, from either end", () => {
    fc.assert(
      fc.property(searches, ({ pattern, pieces, copies, ...options }) => {
        const text = pieces.map((piece, i) => (copies[i] === true ? pattern : piece)).join("");
        const nothing = { variable: () => undefined, native: () => undefined };
        const rt = new Runtime(LIMITS_DEFAULT, nothing);
        assert.deepEqual(placesOf(text, pattern, rt, options), expected(text, pattern, options));
      }),
      { numRuns: 2000 },
    );
  });
});
