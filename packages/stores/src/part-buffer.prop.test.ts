import assert from "node:assert/strict";
import { test } from "node:test";
import { concatBytes, never, WireError } from "@millrace/base";
import fc from "fast-check";
import { partBytes, partsOf } from "./part-buffer.ts";

async function* stream(chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks) yield await Promise.resolve(chunk);
}

test("partsOf: any chunks -> parts that tile the body, all of the agreed sizes but the last", async () => {
  const bodies = fc.array(fc.uint8Array({ maxLength: 20 }), { maxLength: 20 });
  await fc.assert(
    fc.asyncProperty(bodies, fc.integer({ min: 1, max: 9 }), fc.boolean(), async (chunks, first, isKnown) => {
      const body = concatBytes(chunks);
      const sizeOf = (index: number): number => first + index;
      const got: Uint8Array[] = [];
      let begin = 0;
      let isEnded = false;
      for await (const part of partsOf(stream(chunks), isKnown ? body.length : undefined, never, sizeOf)) {
        assert.ok(!isEnded, "nothing comes after the last");
        assert.deepEqual([part.index, part.begin], [got.length, begin]);
        if (part.isLast) assert.ok(part.bytes.length <= sizeOf(part.index));
        else assert.equal(part.bytes.length, sizeOf(part.index));
        assert.ok(part.bytes.length > 0 || body.length === 0);
        got.push(part.bytes.slice());
        begin += part.bytes.length;
        isEnded = part.isLast;
      }
      assert.ok(isEnded);
      assert.deepEqual(concatBytes(got), body);
    }),
  );
});

test("partsOf: another length than said -> INVALID_ARGUMENT before the last part", async () => {
  const refused = (error: unknown): boolean =>
    error instanceof WireError && error.code === "INVALID_ARGUMENT";
  const chunks = [new Uint8Array(3), new Uint8Array(4)];
  for (const bytes of [0, 1, 6, 8, 100]) {
    await assert.rejects(async () => {
      for await (const part of partsOf(stream(chunks), bytes, never, () => 2)) assert.ok(!part.isLast);
    }, refused);
  }
});

test("partBytes: 10,000 parts hold the largest object that S3 takes, and those of a fragment are of one size", () => {
  let bytes = 0;
  for (let index = 0; index < 10_000; index++) bytes += partBytes(index);
  assert.ok(bytes >= 5 * 2 ** 40);
  assert.equal(partBytes(999), partBytes(0));
});
