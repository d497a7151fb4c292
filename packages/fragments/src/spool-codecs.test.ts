// Log records, label sets and the checkpoint's payload: golden vectors, round trips, cut and changed bytes.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { suite, test } from "node:test";
import { hex, unhex, WireError } from "@millrace/base";
import { EMPTY_LABELS, labelSet, type LabelSet } from "@millrace/protocol";
import fc from "fast-check";
import {
  CHECKPOINT_VERSION,
  decodeCheckpoint,
  encodeCheckpoint,
  type CheckpointContent,
} from "./checkpoint-codec.ts";
import { decodeLabelSet, encodeLabelSet } from "./label-set-codec.ts";
import { decodeLogRecord, LogRecordEncoder, type LogRecord } from "./log-record-codec.ts";
import type { JournalImage, StoreMark } from "./spool-image.ts";

/** Lines "name: hex". Lines are added with new versions, never changed. */
const golden = new Map(
  readFileSync(new URL("../src/spool-codecs.golden.txt", import.meta.url), "utf8")
    .split("\n")
    .filter((line) => line.includes(": "))
    .map((line) => line.split(": ") as [string, string]),
);

const isCorrupt = (error: unknown): boolean => error instanceof WireError && error.code === "CORRUPT";
const TIME = 1_767_225_600_123;
const SHA1 = Uint8Array.from({ length: 20 }, (_, i) => i + 1);
const LABELS = labelSet(["author", "a"], ["author", "b"], ["ü", ""]);

const MARK: StoreMark = { clusterId: 2n ** 64n - 2n, revision: 0x1_0000_0003, token: 0x1122_3344_5566_7788n };

const RECORDS: Record<string, LogRecord> = {
  define: {
    kind: "define",
    id: 7,
    timeMs: TIME,
    journal: "a/jöurnal",
    createRevision: 0x1_0000_0001,
    epoch: 9,
  },
  data: { kind: "data", id: 7, timeMs: TIME, begin: 0x12_3456_789a, bytes: Buffer.from("bytes") },
  direct: {
    kind: "direct",
    id: 0xffff_ffff,
    timeMs: TIME,
    begin: 5,
    length: 0x1_0000_0000,
    crc: 0xdead_beef,
  },
  roll: { kind: "roll", id: 7, timeMs: TIME, begin: 2 ** 53 - 1 },
  cut: { kind: "cut", id: 7, timeMs: TIME, begin: 0x1_0000_0005 },
  unsure: { kind: "unsure", id: 7, timeMs: TIME, begin: 0x1_0000_0006 },
  registers: { kind: "registers", id: 7, timeMs: TIME, registers: LABELS },
  released: { kind: "released", id: 7, timeMs: TIME, begin: 5, end: 6 },
  removed: { kind: "removed", id: 7, timeMs: TIME, quarantine: false },
  quarantined: { kind: "removed", id: 7, timeMs: TIME, quarantine: true },
  sum: { kind: "sum", id: 7, timeMs: TIME, begin: 5, end: 6, sha1: SHA1 },
  adopted: { kind: "adopted", id: 7, timeMs: TIME, begin: 5, end: 0x1_0000_0006, sha1: SHA1 },
  mark: { kind: "mark", id: 0, timeMs: TIME, mark: MARK },
};

function encode(record: LogRecord): Uint8Array {
  const encoder = new LogRecordEncoder();
  const { id, timeMs } = record;
  switch (record.kind) {
    case "define":
      return encoder.define(record);
    case "data":
      return Buffer.concat([encoder.dataHead(id, timeMs, record.begin), record.bytes]);
    case "direct":
      return encoder.direct(id, timeMs, record);
    case "roll":
      return encoder.roll(id, timeMs, record.begin);
    case "unsure":
      return encoder.unsure(id, timeMs, record.begin);
    case "cut":
      return encoder.cut(id, timeMs, record.begin);
    case "registers":
      return encoder.registers(id, timeMs, record.registers);
    case "released":
      return encoder.released(id, timeMs, record);
    case "removed":
      return encoder.removed(id, timeMs, record.quarantine);
    case "sum":
    case "adopted":
      return encoder[record.kind](id, timeMs, record);
    case "mark":
      return encoder.mark(timeMs, record.mark);
  }
}

function plain(record: LogRecord): unknown {
  const bytes = Object.entries(record).map(([name, value]) => [
    name,
    value instanceof Uint8Array ? hex(value) : value,
  ]);
  return Object.fromEntries(bytes);
}

function encodeUnmarked(journals: readonly JournalImage[]): Uint8Array {
  return encodeCheckpoint({ mark: undefined, journals });
}

function decodeNow(bytes: Uint8Array): CheckpointContent {
  return decodeCheckpoint(CHECKPOINT_VERSION, bytes);
}

const labelSets: fc.Arbitrary<LabelSet> = fc
  .array(fc.tuple(fc.string({ unit: "grapheme" }), fc.string()), { maxLength: 6 })
  .map((pairs) => labelSet(...pairs));

suite("log records", () => {
  for (const [name, record] of Object.entries(RECORDS)) {
    test(`${name}, version 1 -> golden, both ways`, () => {
      assert.equal(hex(encode(record)), golden.get(name));
      assert.deepEqual(plain(decodeLogRecord(unhex(golden.get(name)!)!)), plain(record));
    });
  }

  test("any numbers, texts and bytes -> round trip", () => {
    const offset = fc.nat({ max: Number.MAX_SAFE_INTEGER });
    const stamp = { id: fc.nat({ max: 0xffff_ffff }), timeMs: offset };
    const bytes = fc.uint8Array({ maxLength: 50 });
    const journal = fc.string({ unit: "grapheme", minLength: 1, maxLength: 600 });
    const sha1 = fc.uint8Array({ minLength: 20, maxLength: 20 });
    const any = fc.oneof(
      fc.record({ kind: fc.constant("define"), ...stamp, journal, createRevision: offset, epoch: offset }),
      fc.record({ kind: fc.constant("data"), ...stamp, begin: offset, bytes }),
      fc.record({
        kind: fc.constant("direct"),
        ...stamp,
        begin: offset,
        length: offset,
        crc: fc.nat(0xffff_ffff),
      }),
      fc.record({ kind: fc.constant("registers"), ...stamp, registers: labelSets }),
      fc.record({ kind: fc.constant("sum"), ...stamp, begin: offset, end: offset, sha1 }),
    ) as fc.Arbitrary<LogRecord>;
    fc.assert(
      fc.property(any, (record) => assert.deepEqual(plain(decodeLogRecord(encode(record))), plain(record))),
    );
  });

  test("cut anywhere -> refused, except that data may be shorter", () => {
    for (const [name, record] of Object.entries(RECORDS)) {
      const whole = encode(record);
      for (let length = 0; length < whole.length; length++) {
        const cut = (): LogRecord => decodeLogRecord(whole.subarray(0, length));
        const fixedBytes = { data: 24, define: 33 }[name] ?? whole.length;
        if (length < fixedBytes) assert.throws(cut, isCorrupt, `${name} cut at ${length}`);
      }
    }
  });

  test("unknown kind, version or flag, a number beyond 2^53, bytes behind the end -> refused, the field named", () => {
    const changed = (name: string, change: (bytes: Uint8Array) => void): (() => LogRecord) => {
      const bytes = Buffer.concat([encode(RECORDS[name]!), Buffer.alloc(1)]);
      const exact = bytes.subarray(0, -1);
      change(exact);
      return () => decodeLogRecord(exact);
    };
    assert.throws(
      changed("roll", (bytes) => (bytes[0] = 99)),
      /kind 99/,
    );
    assert.throws(
      changed("roll", (bytes) => (bytes[1] = 2)),
      /version 2/,
    );
    assert.throws(
      changed("roll", (bytes) => (bytes[2] = 1)),
      /flags 1/,
    );
    assert.throws(
      changed("removed", (bytes) => (bytes[2] = 2)),
      /flags 2/,
    );
    assert.throws(
      changed("roll", (bytes) => (bytes[23] = 1)),
      /begin \d+ out of range/,
    );
    assert.throws(
      changed("define", (bytes) => (bytes[33] = 0xff)),
      /UTF-8/,
    );
    for (const name of ["direct", "roll", "cut", "released", "removed", "sum", "registers"]) {
      assert.throws(
        () => decodeLogRecord(Buffer.concat([encode(RECORDS[name]!), Buffer.alloc(1)])),
        isCorrupt,
        name,
      );
    }
  });

  test("any bytes -> a record or CORRUPT, nothing else", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), fc.nat(12), (bytes, kind) => {
        bytes.set([kind, 1, 0, 0].slice(0, bytes.length));
        try {
          decodeLogRecord(bytes);
        } catch (error) {
          assert.ok(isCorrupt(error), String(error));
        }
      }),
    );
  });
});

suite("label sets", () => {
  test("any set -> round trip; cut anywhere or longer -> refused", () => {
    fc.assert(
      fc.property(labelSets, (set) => {
        const bytes = encodeLabelSet(set);
        assert.deepEqual(decodeLabelSet(bytes), set);
        for (let length = 0; length < bytes.length; length++) {
          assert.throws(() => decodeLabelSet(bytes.subarray(0, length)), isCorrupt);
        }
        assert.throws(() => decodeLabelSet(Buffer.concat([bytes, Buffer.alloc(1)])), isCorrupt);
      }),
    );
    assert.throws(() => decodeLabelSet(Uint8Array.of(0xff, 0xff, 0xff, 0xff)), /labels, at most/);
  });
});

suite("checkpoint payload", () => {
  const images: JournalImage[] = [
    {
      journal: "a/jöurnal",
      createRevision: 5,
      epoch: 6,
      begin: 0x1_0000_0000,
      end: 0x1_0000_0010,
      sum: hex(SHA1),
      sumEnd: 0x1_0000_0008,
      firstAppendMs: TIME,
      marks: [{ from: 0x1_0000_0010, registers: LABELS, isKnown: true }],
      fragments: [
        { begin: 1, end: 9, sum: "", firstAppendMs: TIME },
        { begin: 9, end: 20, sum: hex(SHA1), firstAppendMs: TIME + 1 },
      ],
    },
    {
      journal: "b",
      createRevision: 1,
      epoch: 0,
      begin: 0,
      end: 0,
      sum: "",
      sumEnd: 0,
      firstAppendMs: 0,
      marks: [{ from: 0, registers: EMPTY_LABELS, isKnown: true }],
      fragments: [],
    },
  ];

  test("version 1 -> still read: it has no mark", () => {
    const read = decodeCheckpoint(1, unhex(golden.get("checkpoint")!)!);
    assert.deepEqual(read, { mark: undefined, journals: images });
  });

  test("version 2 -> still read: it has the registers at the end", () => {
    for (const [name, mark] of [
      ["checkpoint-2", MARK],
      ["checkpoint-2-unmarked", undefined],
    ] as const) {
      assert.deepEqual(decodeCheckpoint(2, unhex(golden.get(name)!)!), { mark, journals: images });
    }
  });

  const marked: JournalImage[] = [
    {
      ...images[0]!,
      marks: [
        { from: 0x1_0000_0002, registers: EMPTY_LABELS, isKnown: true },
        { from: 0x1_0000_0008, registers: LABELS, isKnown: true },
        { from: 0x1_0000_000a, registers: LABELS, isKnown: false },
      ],
    },
    images[1]!,
  ];

  test("version 3, with and without mark -> golden, both ways", () => {
    for (const [name, mark] of [
      ["checkpoint-3", MARK],
      ["checkpoint-3-unmarked", undefined],
    ] as const) {
      const content = { mark, journals: marked };
      assert.equal(hex(encodeCheckpoint(content)), golden.get(name));
      assert.deepEqual(decodeNow(unhex(golden.get(name)!)!), content);
    }
  });

  test("a newer version -> refused", () => {
    assert.throws(() => decodeCheckpoint(CHECKPOINT_VERSION + 1, encodeUnmarked([])), isCorrupt);
  });

  test("none, and more than fit a first buffer -> round trip", () => {
    const many = Array.from({ length: 300 }, (_, i) => ({ ...images[i % 2]!, journal: `${i}/`.repeat(20) }));
    for (const some of [[], many]) assert.deepEqual(decodeNow(encodeUnmarked(some)).journals, some);
  });

  test("cut anywhere, or longer -> refused; any bytes -> images or CORRUPT", () => {
    const bytes = encodeUnmarked(marked);
    for (let length = 0; length < bytes.length; length++) {
      assert.throws(() => decodeNow(bytes.subarray(0, length)), isCorrupt);
    }
    assert.throws(() => decodeNow(Buffer.concat([bytes, Buffer.alloc(1)])), /1 bytes follow/);
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.nat(255), (at, value) => {
        const changed = bytes.slice();
        changed[at] = value;
        try {
          decodeNow(changed);
        } catch (error) {
          assert.ok(isCorrupt(error), String(error));
        }
      }),
    );
  });
});
