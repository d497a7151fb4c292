// Rows as the frames say them, against rows of tables: a fake of the tables, real frames.
import assert from "node:assert/strict";
import { test } from "node:test";
import { concatBytes, utf8, WireError } from "@millrace/base";
import { encodeFrameHead } from "@millrace/ingest";
import type { InspectedTables, RowBucket } from "@millrace/warehouse";
import { CheckNotes } from "./doctor-report.ts";
import { BUCKET_BYTES, PartitionRows } from "./doctor-rows.ts";
import { compareRows, loadedJournals } from "./doctor-tables.ts";

const JOURNAL = "stream/1/1/s/k/p000";
const PRODUCERS = ["00000000000000aa", "00000000000000bb"];

interface Written {
  readonly bytes: Uint8Array;
  readonly begin: number;
  readonly end: number;
  /** Of each row's first byte. */
  readonly offsets: readonly number[];
}

/** Frames one after the other, from `offset` on. */
class Writer {
  #at: number;
  #bytes: Uint8Array[] = [];

  constructor(offset = 0) {
    this.#at = offset;
  }

  frame(producer: number, sequence: number, rows: readonly string[]): Written {
    const encoded = rows.map((row) => utf8(`"${row}"\n`));
    const body = concatBytes(encoded);
    const header = { producer: PRODUCERS[producer]!, sequence, sinkVersion: 1, acceptedAtMs: 1 };
    const lengths = encoded.map(({ length }) => length);
    const head = encodeFrameHead(header, lengths, rows.length, body);
    const bytes = concatBytes([head, body]);
    const begin = this.#at;
    let at = begin + head.length;
    const offsets = lengths.map((length) => (at += length) - length);
    this.#at += bytes.length;
    this.#bytes.push(bytes);
    return { bytes, begin, end: this.#at, offsets };
  }

  get bytes(): Uint8Array {
    return concatBytes(this.#bytes);
  }
}

/** A table of one journal that has rows at these offsets. */
function tableOf(offsets: readonly number[], loadedEnd: number): InspectedTables {
  return {
    loadedEnds: async () => [{ table: "main.t", journal: JOURNAL, end: loadedEnd }],
    rowsByJournal: async () => new Map([[JOURNAL, offsets.length]]),
    buckets: async (_table, { begin, end }, bucketBytes) => {
      const buckets = new Map<number, number[]>();
      for (const offset of offsets.filter((one) => one >= begin && one < end)) {
        const bucket = Math.floor(offset / bucketBytes);
        buckets.set(bucket, [...(buckets.get(bucket) ?? []), offset]);
      }
      return [...buckets].map(([bucket, all]): RowBucket => ({
        bucket,
        rows: all.length,
        distinctOffsets: new Set(all).size,
        offsetSum: all.reduce((sum, offset) => sum + (offset % bucketBytes), 0),
      }));
    },
    close: () => undefined,
  };
}

function read(bytes: Uint8Array, loadedEnd: number, begin = 0): PartitionRows {
  const rows = new PartitionRows(JOURNAL, loadedEnd);
  rows.start(begin);
  for (let at = 0; at < bytes.length; at += 37) rows.push(bytes.subarray(at, at + 37));
  rows.end();
  return rows;
}

async function compare(rows: PartitionRows, offsets: readonly number[], loadedEnd: number, head: number) {
  const notes = new CheckNotes("rows", []);
  const tables = tableOf(offsets, loadedEnd);
  const loaded = (await loadedJournals(tables, notes)).get(JOURNAL)!;
  await compareRows(JOURNAL, loaded, { rows, head }, tables, notes);
  return notes.finish("");
}

const messages = (check: { problems: readonly { message: string }[] }) =>
  check.problems.map(({ message }) => message);

test("rows: all loaded, and one frame that waits -> as many as the frames hold", async () => {
  const writer = new Writer();
  const loaded = [writer.frame(0, 1, ["a", "b"]), writer.frame(1, 1, ["c"])];
  const end = loaded[1]!.end;
  const last = writer.frame(0, 2, ["d"]);
  const rows = read(writer.bytes, end);
  const check = await compare(
    rows,
    loaded.flatMap(({ offsets }) => offsets),
    end,
    last.end,
  );
  assert.deepEqual([check.verdict, check.counts["compared"], check.counts["waiting"]], ["ok", 3, 1]);
});

test("rows: a frame that stands twice (D20) -> counts once", async () => {
  const writer = new Writer();
  const first = writer.frame(0, 1, ["a", "b"]);
  writer.frame(0, 1, ["a", "b"]);
  const third = writer.frame(0, 2, ["c"]);
  const rows = read(writer.bytes, third.end);
  const sound = await compare(rows, [...first.offsets, ...third.offsets], third.end, third.end);
  assert.equal(sound.verdict, "ok");
});

for (const [what, change, expected] of [
  ["one is missing", (all: number[]) => all.slice(1), /offsets \[0, 65536\) hold 3 rows, main\.t 2$/],
  ["one stands twice", (all: number[]) => [...all, all[0]!], /hold 3 rows, main\.t 4$/],
  ["one missing, one twice", (all: number[]) => [...all.slice(1), all[1]!], /hold 3 rows, main\.t 3 others$/],
  ["one at another offset", (all: number[]) => [...all.slice(1), all[0]! + 1], /main\.t 3 others$/],
] as const) {
  test(`rows: ${what} -> found, with the place`, async () => {
    const writer = new Writer();
    const frame = writer.frame(0, 1, ["a", "b", "c"]);
    const check = await compare(
      read(writer.bytes, frame.end),
      change([...frame.offsets]),
      frame.end,
      frame.end,
    );
    assert.equal(check.verdict, "bad");
    assert.match(messages(check)[0]!, expected);
  });
}

test("rows: mismatches in neighbouring buckets -> one span, others -> apart", () => {
  const writer = new Writer();
  for (let n = 1; n <= 5; n++) writer.frame(0, n, ["x".repeat(BUCKET_BYTES)]);
  const rows = read(writer.bytes, Number.MAX_SAFE_INTEGER);
  const found = new Map(rows.buckets);
  for (const bucket of [0, 1, 3]) found.delete(bucket);
  assert.deepEqual(rows.compare(found), [
    { begin: 0, end: 2 * BUCKET_BYTES, expected: 2, found: 0 },
    { begin: 3 * BUCKET_BYTES, end: 4 * BUCKET_BYTES, expected: 1, found: 0 },
  ]);
});

test("rows: loaded beyond the head, rows beyond the loaded end -> found", async () => {
  const writer = new Writer();
  const frame = writer.frame(0, 1, ["a"]);
  const lost = await compare(read(writer.bytes, frame.end + 9), frame.offsets, frame.end + 9, frame.end);
  assert.deepEqual(messages(lost), [
    `${JOURNAL}: loaded up to offset ${frame.end + 9}, but the journal ends at ${frame.end}`,
  ]);
  const next = writer.frame(0, 2, ["b"]);
  const early = await compare(
    read(writer.bytes, frame.end),
    [...frame.offsets, ...next.offsets],
    frame.end,
    next.end,
  );
  assert.match(messages(early)[0]!, /1 rows of main\.t lie behind the loaded end/);
});

test("rows: trimmed, the first frame repeats one that is gone -> only if the table has no rows of it", async () => {
  const writer = new Writer(1000);
  const repeated = writer.frame(0, 7, ["a"]);
  const fresh = writer.frame(0, 8, ["b"]);
  for (const offsets of [fresh.offsets, [...repeated.offsets, ...fresh.offsets]]) {
    const check = await compare(read(writer.bytes, fresh.end, 1000), offsets, fresh.end, fresh.end);
    assert.equal(check.verdict, "ok", messages(check).join());
  }
});

test("rows: a broken frame -> said where; compared again from the next fragment on", () => {
  const writer = new Writer();
  writer.frame(0, 1, ["a".repeat(BUCKET_BYTES)]);
  const broken = writer.frame(0, 2, ["b"]);
  const after = writer.frame(0, 3, ["c".repeat(2 * BUCKET_BYTES), "d"]);
  const bytes = writer.bytes;
  bytes[broken.begin + 1]! ^= 1;
  const rows = new PartitionRows(JOURNAL, after.end);
  rows.start(0);
  rows.push(bytes.subarray(0, after.begin));
  rows.resume();
  rows.push(bytes.subarray(after.begin));
  rows.end();
  assert.equal(rows.problems.length, 1);
  assert.match(rows.problems[0]!, new RegExp(`frame at offset ${broken.begin}: magic`));
  assert.deepEqual(rows.unknown, [{ begin: 0, end: after.begin }]);
  assert.equal(rows.rows, 2);
  assert.deepEqual(
    rows.compare(new Map()).map(({ expected }) => expected),
    [1],
  );
});

test("rows: bytes that are gone -> not compared; a journal that ends inside a frame -> said", () => {
  const writer = new Writer();
  const first = writer.frame(0, 1, ["a"]);
  const lost = writer.frame(0, 2, ["b"]);
  const last = writer.frame(0, 3, ["c"]);
  const rows = new PartitionRows(JOURNAL, last.end);
  rows.start(0);
  rows.push(first.bytes);
  rows.lose(lost.end);
  rows.resume();
  rows.push(last.bytes.subarray(0, -1));
  rows.end();
  assert.deepEqual(rows.unknown, [{ begin: lost.begin, end: lost.end }]);
  assert.deepEqual(rows.problems, [`${JOURNAL}, offset ${last.begin}: the journal ends inside a frame`]);
  assert.deepEqual(rows.compare(new Map()), []);
});

test("tables: one that is gone, rows without a loaded end -> found", async () => {
  const notes = new CheckNotes("rows", []);
  const tables: InspectedTables = {
    ...tableOf([], 5),
    loadedEnds: async () => [
      { table: "main.gone", journal: JOURNAL, end: 3 },
      { table: "main.t", journal: JOURNAL, end: 5 },
    ],
    rowsByJournal: async (table) => {
      if (table === "main.gone") throw new WireError("NOT_FOUND", "no such table");
      return new Map([["other", 2]]);
    },
  };
  const journals = await loadedJournals(tables, notes);
  assert.deepEqual(journals.get(JOURNAL), { tables: ["main.gone", "main.t"], end: 5 });
  assert.deepEqual(messages(notes.finish("")), [
    "main.gone: rows were loaded into it, but there is no such table",
    "main.t has 2 rows of other, but no loaded end of it",
  ]);
});
