import assert from "node:assert/strict";
import { test } from "node:test";
import { concatBytes, never, systemClock, systemRandom, utf8, WireError, type Code } from "@millrace/base";
import { memoryStore, type MemoryStore } from "@millrace/stores/testkit";
import fc from "fast-check";
import { crc32c } from "./frame-crc.ts";
import type { Frame } from "./frame.ts";
import { openStaged, STAGED_BYTES_MAX, StagedRows } from "./staged-rows.ts";
import { ColumnStage, PAGE_BYTES } from "./staging-columns.ts";
import { stagedObject } from "./staging-parquet.ts";
import type { StagedObject } from "./target.ts";

type Row = readonly string[];

function frameOf(rows: readonly Row[], bodyBegin: number): Frame {
  const encoded = rows.map((row) => {
    return utf8(`${row.map((value) => `"${value.replaceAll('"', '""')}"`).join(",")}\n`);
  });
  const body = concatBytes(encoded);
  const end = bodyBegin + body.length;
  const rowLengths = Uint32Array.from(encoded, ({ length }) => length);
  const header = { producer: "00deadbeef00cafe", sequence: 1, sinkVersion: 1, acceptedAtMs: 1 };
  return {
    ...header,
    begin: bodyBegin - 50,
    end,
    bodyBegin,
    count: rows.length,
    rowLengths,
    keys: undefined,
    body,
  };
}

interface Staged {
  readonly bytes: Uint8Array;
  readonly object: StagedObject;
  readonly expected: readonly (readonly [offset: number, ...values: string[]])[];
}

/** Frames of rows, spread over `stageCount` stages, as one object. */
function staged(frames: readonly (readonly Row[])[], stageCount: number, begin: number): Staged {
  const stages = Array.from({ length: stageCount }, () => new ColumnStage());
  const expected: [number, ...string[]][] = [];
  let at = begin;
  for (const [i, rows] of frames.entries()) {
    const frame = frameOf(rows, at);
    stages[Math.floor((i * stageCount) / frames.length)]!.add(frame);
    for (const [r, row] of rows.entries()) {
      expected.push([at, ...row]);
      at += frame.rowLengths[r]!;
    }
    at += 60;
  }
  const { chunks, rows, crc32c: sum } = stagedObject(stages);
  const bytes = concatBytes(chunks);
  const columns = Array.from(
    { length: frames[0]![0]!.length },
    (_, i) => ({ type: "body", name: `${i}` }) as const,
  );
  const object = { path: "a/b", columns, sinkVersion: 1, rows, bytes: bytes.length, crc32c: sum };
  return { bytes, object, expected };
}

function readAll(rows: StagedRows): readonly (readonly [number, ...string[]])[] {
  const found: [number, ...string[]][] = [];
  while (rows.next()) found.push([rows.offset, ...Array.from(rows.begins, (_, i) => rows.value(i))]);
  return found;
}

function storeOf(): MemoryStore {
  return memoryStore({ clock: systemClock, random: systemRandom });
}

async function* iterate(bytes: Uint8Array, partBytes: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += partBytes) yield bytes.subarray(at, at + partBytes);
}

const value = fc.oneof(
  fc.string({ unit: "grapheme", maxLength: 12 }),
  fc.string({ unit: fc.constantFrom('"', ",", "\n", "a", "\u0000", "PAR1") }),
);
const batches = fc.integer({ min: 1, max: 5 }).chain((width) => {
  const row = fc.array(value, { minLength: width, maxLength: width });
  return fc.array(fc.array(row, { minLength: 1, maxLength: 6 }), { minLength: 1, maxLength: 6 });
});

test("staged rows: whatever was staged -> the same rows with their offsets", async () => {
  const begins = fc.oneof(fc.constant(60), fc.integer({ min: 2 ** 31, max: 2 ** 52 }));
  await fc.assert(
    fc.asyncProperty(batches, begins, fc.integer({ min: 1, max: 3 }), async (frames, begin, stages) => {
      const { bytes, object, expected } = staged(frames, Math.min(stages, frames.length), begin);
      const store = storeOf();
      await store.put(object.path, iterate(bytes, 1 + (begin % 100)), {}, never);
      const rows = await openStaged(store, object, never);
      assert.equal(rows.count, expected.length);
      assert.deepEqual(readAll(rows), expected);
      assert.equal(rows.next(), false);
    }),
    { numRuns: 200 },
  );
});

test("staged rows: a column of several pages beside one of few -> the same rows", () => {
  const rows = Array.from({ length: 40 }, (_, i) => [`${i}`, "x".repeat(i % 3 === 0 ? PAGE_BYTES / 8 : 3)]);
  const { bytes, object, expected } = staged(
    rows.map((row) => [row]),
    3,
    1000,
  );
  assert.deepEqual(readAll(new StagedRows(bytes, { ...object, columns: 2 })), expected);
});

test("staged rows: any damage that its CRC lets pass -> CORRUPT or other values, never another error", () => {
  const damage = fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { minLength: 1, maxLength: 4 });
  const cut = fc.tuple(fc.nat(), fc.nat());
  fc.assert(
    fc.property(
      batches,
      damage,
      fc.option(cut),
      fc.integer({ min: 0, max: 7 }),
      (frames, bytes, cut, columns) => {
        const { bytes: whole, object } = staged(frames, 1, 60);
        const broken = Uint8Array.from(whole);
        for (const [at, byte] of bytes) broken[at % broken.length] = byte;
        const begin = cut === null ? 0 : cut[0] % broken.length;
        const end = cut === null ? broken.length : begin + (cut[1] % (broken.length - begin + 1));
        try {
          readAll(new StagedRows(broken.subarray(begin, end), { ...object, columns }));
        } catch (error) {
          assert.ok(error instanceof WireError && error.code === "CORRUPT", String(error));
        }
      },
    ),
    { numRuns: 2000 },
  );
});

test("staged rows: another number of columns or rows than staged -> CORRUPT", () => {
  const { bytes, object } = staged([[["a", "b"]], [["c", "d"]]], 1, 60);
  const wrong: readonly (readonly [columns: number, rows: number])[] = [
    [1, 2],
    [3, 2],
    [2, 1],
    [2, 3],
    [0, 2],
  ];
  for (const [columns, rows] of wrong) {
    assert.throws(
      () => readAll(new StagedRows(bytes, { path: object.path, rows, columns })),
      (error) => error instanceof WireError && error.code === "CORRUPT",
      `${columns} columns, ${rows} rows`,
    );
  }
});

test("staged rows: other bytes, none, or too many -> the code that says what helps", async () => {
  const { bytes, object } = staged([[["a", "b"]]], 1, 60);
  const store = storeOf();
  const put = (path: string, content: Uint8Array): Promise<void> =>
    store.put(path, iterate(content, 7), {}, never);
  await put("whole", bytes);
  await put("short", bytes.subarray(0, -1));
  await put("long", concatBytes([bytes, bytes]));
  const turned = Uint8Array.from(bytes);
  turned[20]! ^= 1;
  await put("turned", turned);
  const cases: readonly [Partial<StagedObject>, Code][] = [
    [{ path: "short" }, "CORRUPT"],
    [{ path: "long" }, "CORRUPT"],
    [{ path: "turned" }, "CORRUPT"],
    [{ path: "whole", crc32c: crc32c(turned, 0) }, "CORRUPT"],
    [{ path: "gone" }, "NOT_FOUND"],
    [{ path: "whole", bytes: STAGED_BYTES_MAX + 1 }, "UNPROCESSABLE"],
  ];
  for (const [change, code] of cases) {
    await assert.rejects(
      openStaged(store, { ...object, ...change }, never),
      { code },
      JSON.stringify(change),
    );
  }
  assert.equal((await openStaged(store, { ...object, path: "whole" }, never)).count, 1);
});
