import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";

import { DuckDBInstance, type DuckDBConnection } from "@duckdb/node-api";
import { concatBytes, utf8, WireError } from "@millrace/base";
import fc from "fast-check";

import { BytePool } from "./byte-pool.ts";
import type { Frame } from "./frame.ts";
import { ColumnStage, PAGE_BYTES } from "./staging-columns.ts";
import { stagedObject } from "./staging-parquet.ts";
import { crc32c } from "./frame-crc.ts";

/** Memory that was used before. */
class UsedMemory extends BytePool {
  override take(bytes: number): Uint8Array {
    return super.take(bytes).fill(0xa5);
  }
}

type Row = readonly (string | Uint8Array)[];

function csv(row: Row): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const [i, value] of row.entries()) {
    const bytes = typeof value === "string" ? utf8(value) : value;
    const doubled = [...bytes].flatMap((byte) => (byte === 34 ? [34, 34] : [byte]));
    parts.push(utf8(i === 0 ? '"' : ',"'), Uint8Array.from(doubled), utf8('"'));
  }
  return concatBytes([...parts, utf8("\n")]);
}

function frameOf(rows: readonly Row[], bodyBegin: number): Frame {
  const encoded = rows.map(csv);
  const body = concatBytes(encoded);
  return {
    producer: "00deadbeef00cafe",
    sequence: 1,
    sinkVersion: 1,
    acceptedAtMs: 1,
    begin: bodyBegin - 50,
    end: bodyBegin + body.length,
    bodyBegin,
    count: rows.length,
    rowLengths: Uint32Array.from(encoded.map((row) => row.length)),
    keys: undefined,
    body,
  };
}

function staged(frames: readonly Frame[], stages = 1): ReturnType<typeof stagedObject> {
  const all = Array.from({ length: stages }, () => new ColumnStage(new UsedMemory(0)));
  for (const [i, frame] of frames.entries()) all[Math.floor((i * stages) / frames.length)]!.add(frame);
  return stagedObject(all);
}

describe("staged object", () => {
  const directory = mkdtempSync(join(tmpdir(), "millrace-staging-"));
  let connection: DuckDBConnection;
  let files = 0;
  before(async () => {
    connection = await (await DuckDBInstance.create(":memory:", { threads: "1" })).connect();
  });
  after(() => {
    connection.closeSync();
    rmSync(directory, { recursive: true });
  });

  async function read(object: ReturnType<typeof stagedObject>): Promise<unknown[][]> {
    const path = join(directory, `${files++}.parquet`);
    const bytes = concatBytes(object.chunks);
    assert.equal(bytes.length, object.bytes);
    assert.equal(crc32c(bytes, 0), object.crc32c);
    writeFileSync(path, bytes);
    return (
      await connection.runAndReadAll(`select * from read_parquet('${path}') order by _offset`)
    ).getRows();
  }

  test("quotes, newlines, commas and nothing -> DuckDB reads the same values and each row's offset", async () => {
    const first = frameOf(
      [
        ['say "hi"', ""],
        ["a,b\nc", '"'],
      ],
      100,
    );
    const second = frameOf([["ž€😀", "x".repeat(5000)]], 2 ** 40 + 7);
    assert.deepEqual(await read(staged([first, second])), [
      [100n, 'say "hi"', ""],
      [100n + BigInt(first.rowLengths[0]!), "a,b\nc", '"'],
      [2n ** 40n + 7n, "ž€😀", "x".repeat(5000)],
    ]);
  });

  test("any rows in any frames and stages -> the same rows", async () => {
    const value = fc.oneof(
      fc.string({ unit: "binary", maxLength: 12 }),
      fc.string({ unit: fc.constantFrom('"', ",", "\n", "a") }),
    );
    const cases = fc.integer({ min: 1, max: 4 }).chain((width) => {
      const row = fc.array(value, { minLength: width, maxLength: width });
      return fc.tuple(
        fc.array(fc.array(row, { minLength: 1, maxLength: 6 }), { minLength: 1, maxLength: 6 }),
        fc.integer({ min: 1, max: 3 }),
      );
    });
    await fc.assert(
      fc.asyncProperty(cases, async ([batches, stages]) => {
        let offset = 60;
        const expected: unknown[][] = [];
        const frames = batches.map((rows) => {
          const frame = frameOf(rows, offset);
          for (const [i, row] of rows.entries()) {
            expected.push([BigInt(offset), ...row]);
            offset += frame.rowLengths[i]!;
          }
          offset += 60;
          return frame;
        });
        assert.deepEqual(await read(staged(frames, Math.min(stages, frames.length))), expected);
      }),
      { numRuns: 40 },
    );
  });

  test("more than a page of a column -> several pages, the same rows", async () => {
    const rows = Array.from({ length: 30 }, (_, i) => [
      String(i),
      String.fromCharCode(97 + (i % 26)).repeat(100_000),
    ]);
    const frames = rows.map((row, i) => frameOf([row], 1000 + i * 200_000));
    const got = await read(staged(frames, 2));
    assert.deepEqual(
      got.map((row) => row.slice(1)),
      rows,
    );
  });

  test("bytes that are not UTF-8 -> U+FFFD in that value, everything else as it was", async () => {
    const frame = frameOf(
      [
        ["ok", Uint8Array.of(0x61, 0xff, 0xfe, 0x62)],
        ["ž", "after"],
      ],
      50,
    );
    const got = await read(staged([frame]));
    assert.deepEqual(
      got.map((row) => row.slice(1)),
      [
        ["ok", "a\ufffd\ufffdb"],
        ["ž", "after"],
      ],
    );
  });
});

test("a row that is not the sink's CSV -> CORRUPT, and nothing of its frame is kept", () => {
  const good = frameOf([["a", "b"]], 100);
  const bad = ['"a"\n', '"a","b","c"\n', '"a","b\n', 'a","b"\n', '"a";"b"\n', '"a","b"x'];
  for (const row of bad) {
    const stage = new ColumnStage(new UsedMemory(PAGE_BYTES * 16));
    stage.add(good);
    // Large values: pages are closed before the bad row is met.
    const before = Array.from({ length: 5 }, (_, i) =>
      csv([i % 2 === 0 ? "c" : "c".repeat(PAGE_BYTES / 2), "d"]),
    );
    const body = concatBytes([...before, utf8(row)]);
    const rowLengths = Uint32Array.from([...before, row], ({ length }) => length);
    const frame: Frame = { ...good, count: rowLengths.length, body, rowLengths };
    assert.throws(
      () => stage.add(frame),
      (error) => error instanceof WireError && error.code === "CORRUPT",
      row,
    );
    const alone = new ColumnStage();
    alone.add(good);
    assert.deepEqual(
      concatBytes(stagedObject([stage]).chunks),
      concatBytes(stagedObject([alone]).chunks),
      row,
    );
  }
});
