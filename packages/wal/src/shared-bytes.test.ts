import assert from "node:assert/strict";
import { test } from "node:test";
import { copyInto, sharedBytes } from "./shared-bytes.ts";

const plain = (length: number): Uint8Array => new Uint8Array(length);

for (const [from, source] of [plain, sharedBytes].entries()) {
  for (const [to, target] of [plain, sharedBytes].entries()) {
    test(`bytes get where they should and nowhere else, ${from}${to}`, () => {
      for (const length of [0, 1, 3, 127, 128, 129, 5000]) {
        for (const shift of [0, 1, 5, 8]) {
          const bytes = source(length + 16).map((_, i) => (i * 7 + length) % 251);
          const piece = bytes.subarray(shift, shift + length);
          const at = 3 * shift + 1;
          const made = target(at + length + 9).fill(0xee);
          copyInto(made.subarray(1), at - 1, piece);
          const expected = Buffer.alloc(made.length, 0xee);
          expected.set(piece, at);
          assert.deepEqual(Buffer.from(made), expected, `${length} bytes from ${shift}`);
        }
      }
    });
  }
}

test("what does not fit is refused, and nothing is written", () => {
  for (const length of [10, 500]) {
    const target = sharedBytes(length);
    assert.throws(() => copyInto(target, 1, plain(length).fill(1)), RangeError);
    assert.ok(target.every((byte) => byte === 0));
  }
});
