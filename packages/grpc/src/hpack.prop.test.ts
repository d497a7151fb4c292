// Whatever the lists, what one side encodes the other reads, and no bytes make the decoder do anything but refuse.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ConnectionFault } from "./h2-error.ts";
import { HpackDecoder } from "./hpack-decoder.ts";
import { HpackEncoder, KeptList } from "./hpack-encoder.ts";
import { decodeHuffman, encodeHuffman, huffmanLength } from "./hpack-huffman.ts";

const latin1 = fc.string({
  unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)),
  maxLength: 60,
});
const name = fc.oneof(
  fc.constantFrom(
    ":path",
    ":authority",
    "te",
    "content-type",
    "authorization",
    "grpc-status",
    "cookie",
    "x-a",
  ),
  fc.stringMatching(/^[a-z-]{1,12}$/),
);
const value = fc.oneof(fc.constantFrom("", "0", "trailers", "application/grpc"), latin1);
const list = fc.array(fc.tuple(name, value), { maxLength: 12 }).map((fields) => fields.flat());
const step = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant("list" as const), list, again: fc.nat(3) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("limit" as const), size: fc.nat(5000) }) },
);

test("encoder and decoder: any lists and table sizes -> the same lists", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const encoder = new HpackEncoder();
      const decoder = new HpackDecoder(4096, 1 << 20);
      for (const one of steps) {
        if (one.kind === "limit") {
          encoder.limitTable(one.size);
          continue;
        }
        const kept = new KeptList(one.list);
        for (let i = 0; i <= one.again; i++) {
          assert.deepEqual(decoder.decode(encoder.encodeKept(kept, ["n", `${i}`]).slice()).fields, [
            ...one.list,
            "n",
            `${i}`,
          ]);
          assert.deepEqual(decoder.decode(encoder.encode(one.list).slice()).fields, one.list);
        }
      }
    }),
    { numRuns: 300 },
  );
});

test("Huffman: any string -> itself again", () => {
  fc.assert(
    fc.property(latin1, (text) => {
      const coded = new Uint8Array(huffmanLength(text));
      assert.equal(encodeHuffman(text, coded, 0), coded.length);
      assert.equal(decodeHuffman(coded, 0, coded.length), text);
    }),
  );
});

test("decoder: any bytes, and any damage to a good block -> a list within its limit, or COMPRESSION_ERROR", () => {
  const good = list.map((fields) => new HpackEncoder().encode(fields).slice());
  const damaged = fc
    .tuple(good, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 }))
    .map(([block, edits]) => {
      const bytes = block.slice();
      if (bytes.length > 0) for (const [at, byte] of edits) bytes[at % bytes.length] = byte;
      return bytes;
    });
  fc.assert(
    fc.property(
      fc.array(fc.oneof(fc.uint8Array({ maxLength: 200 }), damaged), { maxLength: 6 }),
      (blocks) => {
        const decoder = new HpackDecoder(4096, 2000);
        try {
          for (const block of blocks) {
            const { fields } = decoder.decode(block);
            let size = 0;
            for (let i = 0; i < fields.length; i += 2) size += fields[i]!.length + fields[i + 1]!.length + 32;
            assert.ok(size <= 2000);
          }
        } catch (error) {
          assert.ok(error instanceof ConnectionFault, String(error));
          assert.equal(error.code, "COMPRESSION_ERROR");
        }
      },
    ),
    { numRuns: 2000 },
  );
});
