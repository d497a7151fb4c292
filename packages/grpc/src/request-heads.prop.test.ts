// Whatever requests a connection has seen, the next one says what it would have said as the first.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parseRequestHead } from "./h2-fields.ts";
import { HeaderList } from "./hpack-decoder.ts";
import { RequestHeads } from "./request-heads.ts";

const PLAIN = [
  ...[":method", "POST", ":scheme", "http", ":path", "/p.S/Get", ":authority", "here"],
  ...["content-type", "application/grpc", "te", "trailers", "grpc-timeout", "1S", "x-user", "a"],
];
const value = fc.constantFrom("", "POST", "trailers", "5", "7m", "/p.S/Put", " a", "a\n", "x");
const name = fc.constantFrom(
  ":method",
  ":path",
  "content-length",
  "host",
  "grpc-timeout",
  "Upper",
  "upgrade",
  "te",
);
/** A usual request with some names and values changed, and fields left out at its end. */
const request = fc
  .record({
    values: fc.array(fc.tuple(fc.nat(7), value), { maxLength: 2 }),
    names: fc.array(fc.tuple(fc.nat(7), name), { maxLength: 1 }),
    length: fc.oneof({ weight: 8, arbitrary: fc.constant(8) }, fc.integer({ min: 4, max: 7 })),
  })
  .map(({ values, names, length }) => {
    const fields = [...PLAIN];
    for (const [at, other] of values) fields[2 * at + 1] = other;
    for (const [at, other] of names) fields[2 * at] = other;
    return fields.slice(0, 2 * length);
  });

test("request heads: any requests before -> says the same of a request as alone", () => {
  fc.assert(
    fc.property(fc.array(request, { maxLength: 20 }), (requests) => {
      const heads = new RequestHeads();
      for (const fields of requests) {
        const list = new HeaderList(fields, false);
        const [said, alone] = [heads.read(list), parseRequestHead(list)];
        if (typeof said === "string") assert.equal(said, alone);
        else {
          const plain = { ...said, like: undefined };
          assert.deepEqual(plain, alone);
        }
      }
    }),
    { numRuns: 2000 },
  );
});

test("request heads: only the timeout differs -> what was made of the one before is at hand", () => {
  const heads = new RequestHeads();
  const first = heads.read(new HeaderList(PLAIN, false));
  assert.ok(typeof first !== "string");
  first.derived = "made";
  const next = PLAIN.map((text) => (text === "1S" ? "999m" : text));
  const second = heads.read(new HeaderList(next, false));
  assert.ok(typeof second !== "string");
  assert.deepEqual(second.like, { derived: "made", but: "grpc-timeout" });
});
