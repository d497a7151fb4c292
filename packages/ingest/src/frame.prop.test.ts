import assert from "node:assert/strict";
import { test } from "node:test";

import { concatBytes } from "@millrace/base";
import fc from "fast-check";

import { BytePool } from "./byte-pool.ts";
import { FrameDecoder } from "./frame-decoder.ts";
import { encodeFrameHead, FRAME_LIMITS, type Frame } from "./frame.ts";

const rows = fc.array(fc.uint8Array({ minLength: 1, maxLength: 40 }), { minLength: 1, maxLength: 12 });
const frame = fc.record({
  producer: fc.stringMatching(/^[0-9a-f]{16}$/),
  sequence: fc.integer({ min: 1, max: 2 ** 53 - 1 }),
  sinkVersion: fc.integer({ min: 1, max: 1000 }),
  acceptedAtMs: fc.integer({ min: 1, max: 2 ** 42 }),
  rows,
});
const cuts = fc.array(fc.nat({ max: 60 }), { maxLength: 200 });

test("decode: any frames, any split -> the same frames at the same offsets", () => {
  fc.assert(
    fc.property(fc.array(frame, { minLength: 1, maxLength: 5 }), cuts, fc.nat(), (frames, splits, begin) => {
      const encoded = frames.map((f) => {
        const body = concatBytes(f.rows);
        const lengths = f.rows.map((row) => row.length);
        return concatBytes([encodeFrameHead(f, lengths, lengths.length, body), body]);
      });
      const all = concatBytes(encoded);
      const decoder = new FrameDecoder(begin, FRAME_LIMITS, new BytePool(1_000_000));
      const decoded: Frame[] = [];
      let at = 0;
      for (const size of [...splits, all.length]) {
        // What was given out is valid until it is recycled.
        decoded.push(
          ...decoder.push(all.slice(at, at + size)).map((got) => ({ ...got, body: got.body.slice() })),
        );
        decoder.recycle();
        at = Math.min(all.length, at + size);
        assert.equal(decoder.offset + decoder.pendingBytes, begin + at);
      }
      assert.equal(decoder.pendingBytes, 0);
      assert.equal(decoded.length, frames.length);
      let offset = begin;
      for (const [i, got] of decoded.entries()) {
        const expected = frames[i]!;
        assert.equal(got.begin, offset);
        offset += encoded[i]!.length;
        assert.equal(got.end, offset);
        assert.equal(got.bodyBegin, offset - got.body.length);
        assert.equal(got.count, expected.rows.length);
        assert.deepEqual(
          [...got.rowLengths],
          expected.rows.map((row) => row.length),
        );
        assert.deepEqual(Buffer.from(got.body), Buffer.from(concatBytes(expected.rows)));
        for (const field of ["producer", "sequence", "sinkVersion", "acceptedAtMs"] as const) {
          assert.equal(got[field], expected[field]);
        }
      }
    }),
    { numRuns: 150 },
  );
});

test("decode: random bytes -> CORRUPT or nothing, no other failure", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 5 }), (chunks) => {
      const decoder = new FrameDecoder(0);
      try {
        for (const chunk of chunks) assert.equal(decoder.push(chunk).length, 0);
      } catch (error) {
        assert.equal((error as { code?: string }).code, "CORRUPT");
      }
    }),
  );
});
