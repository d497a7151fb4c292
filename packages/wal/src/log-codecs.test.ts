// Segment headers, groups and checkpoint files: golden vectors, round trips, and what a changed or cut byte does.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { suite, test } from "node:test";
import { hex, unhex } from "@millrace/base";
import fc from "fast-check";
import { decodeCheckpoint, encodeCheckpoint } from "./checkpoint-file.ts";
import { decodeGroup, GROUP_HEADER_BYTES, sealGroup, visitRecords } from "./group-codec.ts";
import { OpenGroup } from "./log-group.ts";
import {
  decodeSegmentHeader,
  encodeSegmentHeader,
  SEGMENT_HEADER_BYTES,
  type SegmentHeader,
} from "./segment-codec.ts";

/** Lines "name: hex". Lines are added with new versions, never changed. */
const golden = new Map(
  readFileSync(new URL("../src/log-codecs.golden.txt", import.meta.url), "utf8")
    .split("\n")
    .filter((line) => line.includes(": "))
    .map((line) => line.split(": ") as [string, string]),
);

const SALT = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
const ORIGIN = { bytes: 0x1_0010_0000, begin: 0x4_0000_0005, previous: 0x1_0000_0001 };
/** Header of the segment that the golden groups stand in. */
const FIRST: SegmentHeader = { number: 0x1_0000_0002, seed: 0xc39cd9e0, origin: undefined };
const SEGMENT = encodeSegmentHeader(0x1_0000_0002, ORIGIN, SALT);

function groupOf(records: readonly string[], at: { sequence: number; synced: number }): Uint8Array {
  const open = new OpenGroup(new Uint8Array(64 * 1024), 64 * 1024, FIRST.number);
  for (const record of records) open.add([Buffer.from(record)], undefined);
  const bytes = open.buffer.slice(0, open.used);
  sealGroup(bytes, FIRST, at);
  return bytes;
}

function recordsOf(bytes: Uint8Array, at = 0): string[] | undefined {
  const outcome = decodeGroup(bytes, at, FIRST);
  if (outcome.kind !== "group") return undefined;
  const records: string[] = [];
  assert.ok(visitRecords(bytes, outcome.group, (record) => records.push(Buffer.from(record).toString())));
  return records;
}

suite("segment header", () => {
  test("version 2 -> golden", () => {
    assert.equal(hex(SEGMENT.bytes.subarray(0, 60)), golden.get("segment-2"));
    const bytes = new Uint8Array(SEGMENT_HEADER_BYTES);
    bytes.set(unhex(golden.get("segment-2")!)!);
    assert.deepEqual(decodeSegmentHeader(bytes), { kind: "header", header: SEGMENT.header });
  });

  test("version 1 -> read, without an origin", () => {
    const bytes = new Uint8Array(SEGMENT_HEADER_BYTES);
    bytes.set(unhex(golden.get("segment-1")!)!);
    assert.deepEqual(decodeSegmentHeader(bytes), { kind: "header", header: FIRST });
  });

  test("one copy broken -> the other is read; both -> invalid", () => {
    const bytes = SEGMENT.bytes.slice();
    bytes[9]! ^= 1;
    assert.deepEqual(decodeSegmentHeader(bytes), { kind: "header", header: SEGMENT.header });
    bytes[2048 + 9]! ^= 1;
    assert.deepEqual(decodeSegmentHeader(bytes), { kind: "invalid" });
  });

  test("a newer version -> said so; a short file -> invalid", () => {
    const newer = unhex(golden.get("segment-of-version-3")!)!;
    assert.deepEqual(decodeSegmentHeader(newer), { kind: "newer", version: 3 });
    for (let bytes = 0; bytes < 60; bytes++) {
      assert.deepEqual(decodeSegmentHeader(SEGMENT.bytes.subarray(0, bytes)), { kind: "invalid" });
    }
    const early = unhex(golden.get("segment-of-version-2")!)!;
    assert.deepEqual(decodeSegmentHeader(early), { kind: "invalid" });
  });

  test("any bit flipped in both copies -> invalid", () => {
    for (let bit = 0; bit < 60 * 8; bit++) {
      const bytes = SEGMENT.bytes.slice();
      for (const at of [0, 2048]) bytes[at + (bit >> 3)]! ^= 1 << (bit & 7);
      assert.deepEqual(decodeSegmentHeader(bytes), { kind: "invalid" }, `bit ${bit}`);
    }
  });
});

suite("group", () => {
  test("version 1 -> golden", () => {
    const bytes = groupOf(["first", "", "the third"], { sequence: 0x3_0000_0004, synced: 0x3_0000_0003 });
    assert.equal(hex(bytes), golden.get("group-1"));
    assert.deepEqual(recordsOf(bytes), ["first", "", "the third"]);
    assert.equal(hex(groupOf([], { sequence: 2, synced: 1 })), golden.get("group-1-empty"));
  });

  test("any records -> round trip at any offset", () => {
    const records = fc.array(
      fc.string({ maxLength: 300 }).map((text) => Buffer.from(text).toString()),
      { maxLength: 20 },
    );
    fc.assert(
      fc.property(records, fc.nat(100), fc.integer({ min: 1 }), (texts, offset, sequence) => {
        const group = groupOf(texts, { sequence, synced: sequence - 1 });
        const bytes = new Uint8Array(offset + group.length + 7);
        bytes.set(group, offset);
        assert.deepEqual(recordsOf(bytes, offset), texts);
      }),
    );
  });

  test("cut anywhere, or any bit flipped -> invalid", () => {
    const group = groupOf(["one", "two and a half"], { sequence: 7, synced: 6 });
    for (let bytes = 0; bytes < group.length; bytes++) {
      assert.equal(recordsOf(group.subarray(0, bytes)), undefined);
      for (let bit = 0; bit < 8; bit++) {
        const rotten = group.slice();
        rotten[bytes]! ^= 1 << bit;
        assert.equal(recordsOf(rotten), undefined, `byte ${bytes}, bit ${bit}`);
      }
    }
  });

  test("the same bytes under another number or another salt -> invalid (D2)", () => {
    const group = groupOf(["old"], { sequence: 7, synced: 6 });
    const otherNumber = encodeSegmentHeader(FIRST.number + 1, ORIGIN, SALT).header;
    const otherSalt = encodeSegmentHeader(FIRST.number, ORIGIN, new Uint8Array(8)).header;
    assert.deepEqual(decodeGroup(group, 0, otherNumber), { kind: "invalid" });
    assert.deepEqual(decodeGroup(group, 0, otherSalt), { kind: "invalid" });
  });

  test("records that do not fill the group -> reported, nothing read beyond it", () => {
    const group = groupOf(["12345678"], { sequence: 1, synced: 0 });
    for (const length of [7, 9, 0xffffffff]) {
      const bytes = group.slice();
      new DataView(bytes.buffer).setUint32(GROUP_HEADER_BYTES, length, true);
      sealGroup(bytes, FIRST, { sequence: 1, synced: 0 });
      const outcome = decodeGroup(bytes, 0, FIRST);
      assert.ok(outcome.kind === "group");
      assert.equal(
        visitRecords(bytes, outcome.group, () => undefined),
        false,
      );
    }
  });
});

suite("checkpoint file", () => {
  const checkpoint = {
    generation: 5,
    position: 0x2_0000_0001,
    payloadVersion: 3,
    payload: Buffer.from("state"),
  };

  test("version 1 -> golden", () => {
    const bytes = encodeCheckpoint(checkpoint);
    assert.equal(hex(bytes), golden.get("checkpoint-1"));
    const outcome = decodeCheckpoint(bytes);
    assert.ok(outcome.kind === "checkpoint");
    assert.deepEqual({ ...outcome.checkpoint, payload: Buffer.from(outcome.checkpoint.payload) }, checkpoint);
  });

  test("cut anywhere, longer, or any bit flipped -> invalid", () => {
    const bytes = encodeCheckpoint(checkpoint);
    for (let length = 0; length < bytes.length; length++) {
      assert.equal(decodeCheckpoint(bytes.subarray(0, length)).kind, "invalid");
      for (let bit = 0; bit < 8; bit++) {
        const rotten = bytes.slice();
        rotten[length]! ^= 1 << bit;
        assert.equal(decodeCheckpoint(rotten).kind, "invalid");
      }
    }
    assert.equal(decodeCheckpoint(Buffer.concat([bytes, Buffer.alloc(1)])).kind, "invalid");
  });
});
