import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { crc32c, crc32cInScript } from "./crc32c.ts";

test("crc32c: the check values of RFC 3720 -> both ways", () => {
  const ascending = Uint8Array.from({ length: 32 }, (_, i) => i);
  for (const [bytes, sum] of [
    [Buffer.from("123456789"), 0xe3069283],
    [new Uint8Array(32), 0x8a9136aa],
    [new Uint8Array(32).fill(0xff), 0x62a8ab43],
    [ascending, 0x46dd794e],
    [new Uint8Array(0), 0],
  ] as const) {
    assert.equal(crc32c(bytes), sum);
    assert.equal(crc32cInScript(bytes), sum);
  }
});

test("crc32c: any bytes, split anywhere -> native and script agree, and the seed carries on", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 600 }), fc.nat(600), (bytes, cut) => {
      const whole = crc32cInScript(bytes);
      assert.equal(crc32c(bytes), whole);
      const head = bytes.subarray(0, cut);
      assert.equal(crc32c(bytes.subarray(head.length), crc32c(head)), whole);
    }),
  );
});

test("crc32c: shared memory and unaligned views -> the same sums", () => {
  const shared = new Uint8Array(new SharedArrayBuffer(1000)).fill(7);
  assert.equal(crc32c(shared.subarray(3, 903)), crc32cInScript(new Uint8Array(900).fill(7)));
});
