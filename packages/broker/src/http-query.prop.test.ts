import assert from "node:assert/strict";
import { test } from "node:test";
import { WireError } from "@millrace/base";
import fc from "fast-check";
import { parseQuery } from "./http-query.ts";

const KINDS = { offset: "int64", block: "bool" } as const;

const CASES: readonly (readonly [query: string, want: object | string])[] = [
  ["", {}],
  ["offset=7&block=true", { offset: 7, block: true }],
  ["Offset=-1&BLOCK=on", { offset: -1, block: true }],
  ["offset=&block=0", { block: false }],
  ["offset=1&offset=2", { offset: 2 }],
  ["offset=9223372036854775807", { offset: Number.MAX_SAFE_INTEGER }],
  ["offset=9223372036854775808", 'schema: error converting value for "offset"'],
  ["block=maybe", 'schema: error converting value for "block"'],
  ["extra=1", 'schema: invalid path "extra"'],
  ["extra=1&offset=x", 'schema: invalid path "extra" (and 1 other error)'],
];

for (const [query, want] of CASES) {
  test(`query: ${query === "" ? "nothing" : query} -> ${JSON.stringify(want)}`, () => {
    if (typeof want === "string") assert.throws(() => parseQuery(query, KINDS), { message: want });
    else assert.deepEqual(parseQuery(query, KINDS), want);
  });
}

test("query: anything -> values of the wanted kinds, or INVALID_ARGUMENT", () => {
  const part = fc.oneof(
    fc.constantFrom("offset", "block", "=", "&", "%", "+", "-", "1", "true"),
    fc.string(),
  );
  fc.assert(
    fc.property(fc.array(part, { maxLength: 12 }), (parts) => {
      try {
        const { offset, block } = parseQuery(parts.join(""), KINDS);
        assert.ok(offset === undefined || Number.isSafeInteger(offset));
        assert.ok(block === undefined || typeof block === "boolean");
      } catch (error) {
        assert.ok(error instanceof WireError && error.code === "INVALID_ARGUMENT", String(error));
      }
    }),
  );
});
