import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { concatBytes } from "@millrace/base";
import { newFragment } from "./fragment.ts";
import { labelSet } from "./label-set.ts";
import {
  decodeReplicateRequest,
  encodeReplicateRequest,
  encodeReplicateResponse,
  newReplicateRequest,
  newReplicateResponse,
} from "./replicate-message.ts";
import {
  decodeReplication,
  decodeReplicationResponse,
  encodeReplicationResponse,
  replicationHead,
} from "./replicate-wire.ts";

const integer = fc.oneof(fc.constant(0), fc.nat(200), fc.maxSafeNat());
const proposal = newFragment({ journal: "a/b", begin: 1, end: 9, compressionCodec: "NONE" });
const request = fc
  .record(
    {
      content: fc.uint8Array({ maxLength: 300 }),
      contentDelta: integer,
      acknowledge: fc.boolean(),
      epoch: integer,
      stream: integer,
      confirmed: integer,
      commit: integer,
      appends: integer,
      checksum: fc.oneof(fc.constant(0), fc.nat(2 ** 32 - 1)),
      rollback: fc.boolean(),
      deprecatedJournal: fc.constantFrom("", "a/b"),
      proposal: fc.constant(proposal),
      registers: fc.constantFrom(labelSet(), labelSet(["aa", "1"])),
    },
    { requiredKeys: [] },
  )
  .map((fields) => newReplicateRequest(fields));
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

test("replicate requests: any of them -> read as the table reads it, written so that the table reads the same", () => {
  fc.assert(
    fc.property(request, (given) => {
      const bytes = encodeReplicateRequest(given);
      assert.deepEqual(decodeReplication(bytes), decodeReplicateRequest(bytes));
      const head = replicationHead(given);
      if (head === undefined) return;
      const written = concatBytes([head, given.content ?? new Uint8Array(0)]);
      assert.deepEqual(decodeReplicateRequest(written), given);
      assert.deepEqual(decodeReplication(written), given);
    }),
    { numRuns: 3000 },
  );
});

test("replicate requests: bytes of any kind -> read, or refused, as the table does", () => {
  const wide = [
    [0xc8, 0x3e],
    [0xd0, 0x3e],
    [0xd8, 0x3e],
    [0xe0, 0x3e],
    [0xed, 0x3e],
    [0x80, 0x3f],
  ];
  const tags = [[0x22], [0x28], [0x30], ...wide];
  const bytes = fc
    .array(fc.tuple(fc.constantFrom(...tags), fc.uint8Array({ maxLength: 6 })), { maxLength: 5 })
    .map((fields) => Uint8Array.from(fields.flatMap(([tag, rest]) => [...tag, ...rest])));
  const outcome = (read: () => unknown): unknown => {
    try {
      return read();
    } catch (error) {
      return (error as Error).message;
    }
  };
  fc.assert(
    fc.property(bytes, (given) => {
      assert.deepEqual(
        outcome(() => decodeReplication(given)),
        outcome(() => decodeReplicateRequest(given)),
      );
    }),
    { numRuns: 5000 },
  );
});

test("replicate responses: OK alone, with a header, a mismatch -> as the table writes and reads", () => {
  const responses = [
    newReplicateResponse({ status: "OK" }),
    newReplicateResponse({ status: "OK", registers: labelSet() }),
    newReplicateResponse({
      status: "PROPOSAL_MISMATCH",
      fragment: proposal,
      registers: labelSet(["aa", "1"]),
    }),
  ];
  for (const response of responses) {
    const bytes = encodeReplicationResponse(response);
    assert.equal(hex(bytes), hex(encodeReplicateResponse(response)));
    assert.deepEqual(decodeReplicationResponse(bytes), response);
  }
});
