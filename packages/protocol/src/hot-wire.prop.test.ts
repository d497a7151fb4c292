import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  decodeAppendRequest,
  encodeAppendRequest,
  encodeAppendResponse,
  newAppendRequest,
} from "./append-message.ts";
import { EMPTY_SHA1, newFragment } from "./fragment.ts";
import { AppendAnswers, plainAppendRequest, readChunkHead } from "./hot-wire.ts";
import { labelSet } from "./label-set.ts";
import { encodeReadResponse, newReadResponse } from "./read-message.ts";

const offset = fc.oneof(fc.nat(200), fc.maxSafeNat());
const sum = fc.oneof(
  fc.constant(EMPTY_SHA1),
  fc.constant("0".repeat(40)),
  fc.stringMatching(/^[0-9a-f]{40}$/),
  fc.stringMatching(/^0{16}[0-9a-f]{24}$/),
);
const header = {
  processId: { zone: "local", suffix: "broker-1" },
  route: { members: [{ zone: "local", suffix: "broker-1" }], primary: 0, endpoints: ["http://h:1"] },
  etcd: { clusterId: 2n ** 63n, memberId: 7n, revision: 12345, raftTerm: 1n },
};
const answer = fc.record(
  {
    status: fc.constantFrom("OK" as const, "REGISTER_MISMATCH" as const),
    header: fc.constant(header),
    commit: fc
      .record({ journal: fc.string({ maxLength: 300 }), begin: offset, end: offset, sum })
      .chain((fields) =>
        fc
          .constantFrom("INVALID" as const, "NONE" as const, "SNAPPY" as const)
          .map((compressionCodec) => newFragment({ ...fields, compressionCodec })),
      ),
    registers: fc.constantFrom(labelSet(), labelSet(["aa", "1"], ["bb", "x".repeat(500)])),
    totalChunks: offset,
    delayedChunks: offset,
    storeHealthError: fc.constantFrom("", "fragment store x"),
  },
  { requiredKeys: ["status", "header", "totalChunks", "delayedChunks", "storeHealthError"] },
);

test("append answers: any answer, and another before it -> byte for byte what the table writes", () => {
  const answers = new AppendAnswers();
  fc.assert(
    fc.property(answer, (response) => {
      const expected = Buffer.from(encodeAppendResponse(response)).toString("hex");
      assert.equal(Buffer.from(answers.encode(response)).toString("hex"), expected);
    }),
    { numRuns: 1000 },
  );
});

test("read chunk: head and content -> byte for byte what the table writes", () => {
  fc.assert(
    fc.property(offset, fc.uint8Array({ minLength: 1, maxLength: 300 }), (at, content) => {
      const expected = encodeReadResponse(newReadResponse({ status: "OK", offset: at, content }));
      const got = Buffer.concat([readChunkHead(at, content.length), content]);
      assert.equal(got.toString("hex"), Buffer.from(expected).toString("hex"));
    }),
  );
});

test("plain append request: chunk, preamble, intent, anything else -> what decoding says", () => {
  const bytes = fc.uint8Array({ minLength: 1, maxLength: 300 });
  fc.assert(
    fc.property(bytes, fc.stringMatching(/^[a-z/]{1,200}$/), fc.nat(3), (content, journal, offsetGiven) => {
      const chunk = encodeAppendRequest(newAppendRequest({ content, offset: offsetGiven }));
      const plain = plainAppendRequest(chunk);
      assert.equal(plain.kind, offsetGiven === 0 ? "chunk" : "other");
      if (plain.kind === "chunk") assert.deepEqual(chunk.subarray(plain.begin), content);
      const preamble = encodeAppendRequest(newAppendRequest({ journal, offset: offsetGiven }));
      const named = plainAppendRequest(preamble);
      assert.equal(named.kind, offsetGiven === 0 ? "preamble" : "other");
      if (named.kind === "preamble")
        assert.equal(Buffer.from(preamble.subarray(named.begin)).toString(), journal);
    }),
  );
  assert.equal(plainAppendRequest(new Uint8Array(0)).kind, "intent");
});

test("plain append request: any bytes that pass for plain -> decode to the same", () => {
  const any = fc
    .tuple(fc.constantFrom(0x12, 0x22), fc.uint8Array({ maxLength: 12 }))
    .map(([tag, rest]) => Uint8Array.of(tag, ...rest));
  fc.assert(
    fc.property(any, (bytes) => {
      const plain = plainAppendRequest(bytes);
      if (plain.kind !== "chunk") return;
      assert.deepEqual(
        decodeAppendRequest(bytes),
        newAppendRequest({ content: bytes.subarray(plain.begin) }),
      );
    }),
    { numRuns: 2000 },
  );
});
