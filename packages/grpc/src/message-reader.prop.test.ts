// Messages through a reader, cut anywhere: they come whole and in order, and what a sink keeps stays as it was.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { concatBytes, equalBytes } from "@millrace/base";
import { HeldBytes } from "./held-bytes.ts";
import { MessageReader, PartialMessages } from "./message-reader.ts";

const length = fc.oneof(
  fc.integer({ min: 0, max: 300 }),
  fc.integer({ min: 16_000, max: 17_000 }),
  fc.integer({ min: 60_000, max: 140_000 }),
);

test("messages: cut anywhere, kept or not -> whole, in order, and kept ones do not change", () => {
  let kept = 0;
  const lengths = fc.array(length, { minLength: 1, maxLength: 8 });
  const cuts = fc.array(fc.integer({ min: 1, max: 66_000 }), { minLength: 1, maxLength: 8 });
  fc.assert(
    fc.property(lengths, cuts, fc.array(fc.boolean(), { minLength: 1 }), (sizes, pieces, keeps) => {
      const messages = sizes.map((size, i) => new Uint8Array(size).map((_, at) => at * 31 + i));
      const wire = concatBytes(messages.flatMap((message) => [prefixOf(message.length), message]));
      const shared = new PartialMessages(new HeldBytes(undefined, () => undefined));
      const got: Uint8Array[] = [];
      const onWhole = (message: Uint8Array): void => {
        const isKept = keeps[got.length % keeps.length]! && reader.keep();
        if (isKept) kept++;
        assert.equal(isKept && reader.keep(), false, "it is kept once");
        got.push(isKept ? message : message.slice());
      };
      const reader = new MessageReader({ onWhole }, { shared, bytesMax: 1 << 20, side: "server" });
      assert.equal(reader.keep(), false);
      for (let at = 0, i = 0; at < wire.length; i++) {
        const piece = wire.slice(at, at + pieces[i % pieces.length]!);
        assert.equal(reader.push(piece, 0, piece.length), 0);
        piece.fill(0xff);
        at += piece.length;
      }
      assert.equal(got.length, messages.length);
      for (const [i, message] of messages.entries()) assert.ok(equalBytes(got[i]!, message), `message ${i}`);
      assert.equal(shared.bytes, 0);
    }),
    { numRuns: 200 },
  );
  assert.ok(kept > 100, `${kept} messages were kept`);
});

function prefixOf(bytes: number): Uint8Array {
  return new Uint8Array([0, bytes >>> 24, bytes >>> 16, bytes >>> 8, bytes]);
}
