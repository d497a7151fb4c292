import assert from "node:assert/strict";
import { test } from "node:test";
import { busySnapshot, emptySnapshot, failingSnapshot } from "./fake-feed.ts";
import type { FeedFile, FeedSink, FeedSlice } from "./feed.ts";
import {
  lagOf,
  partitionGroups,
  retriesOf,
  sliceCounts,
  slicesByState,
  sumsOf,
  tablesOf,
} from "./feed-view.ts";

const NOW_MS = Date.parse("2026-11-21T12:00:00Z");

function slice(members: Partial<FeedSlice> = {}): FeedSlice {
  return {
    sliceId: "s",
    partition: 0,
    state: "writing",
    begin: 0,
    end: null,
    records: 1,
    retry: null,
    ...members,
  };
}

function file(members: Partial<FeedFile> = {}): FeedFile {
  const openedAt = new Date(NOW_MS - 5000).toISOString();
  return { fileId: "f", state: "writing", openedAt, records: 1, retry: null, slices: [], ...members };
}

const NO_LAG = { bytes: 0, ms: 0 };

function sink(members: Partial<FeedSink> = {}): FeedSink {
  return {
    sinkId: "k",
    name: "K",
    tableId: "main.k",
    version: 1,
    acceptedRecords: 10,
    loadedRows: 7,
    lag: { bytes: 300, ms: 5000 },
    partitions: [],
    problems: [],
    files: [file()],
    ...members,
  };
}

for (const [name, given, expected] of [
  ["behind", sink(), { records: 3, bytes: 300, ageMs: 5000 }],
  ["caught up", sink({ loadedRows: 10, lag: NO_LAG }), { records: 0, bytes: 0, ageMs: null }],
  ["behind, no file shown", sink({ files: [] }), { records: 3, bytes: 300, ageMs: 5000 }],
  [
    "bytes without a record",
    sink({ loadedRows: 10, lag: { bytes: 9, ms: 0 } }),
    { records: 0, bytes: 9, ageMs: null },
  ],
  [
    "statistics come apart for a moment",
    sink({ loadedRows: 11, lag: NO_LAG }),
    { records: 0, bytes: 0, ageMs: null },
  ],
] as const) {
  test(`lag: ${name}`, () => assert.deepEqual(lagOf(given), expected));
}

test("sums: over all sinks; the lag's age is the largest", () => {
  const base = emptySnapshot(NOW_MS);
  const source = { sourceId: "s", name: "S", type: "http", disabled: false };
  const sums = sumsOf({
    ...base,
    sources: [
      { ...source, sinks: [sink(), sink({ sinkId: "b", acceptedRecords: 5, loadedRows: 5, lag: NO_LAG })] },
      { ...source, sourceId: "t", sinks: [] },
    ],
  });
  assert.deepEqual(sums, {
    acceptedRecords: 15,
    loadedRows: 12,
    lag: { records: 3, bytes: 300, ageMs: 5000 },
    sinks: 2,
  });
});

test("sums: nothing at all -> zeros", () => {
  assert.deepEqual(sumsOf(emptySnapshot(NOW_MS)), {
    acceptedRecords: 0,
    loadedRows: 0,
    lag: { records: 0, bytes: 0, ageMs: null },
    sinks: 0,
  });
});

test("slices by state: in partition order, then by offset", () => {
  const slices = [
    slice({ sliceId: "c", partition: 1, begin: 5 }),
    slice({ sliceId: "b", partition: 1, begin: 0 }),
    slice({ sliceId: "a", partition: 0, begin: 9 }),
    slice({ sliceId: "d", state: "imported" }),
  ];
  const groups = slicesByState(slices);
  assert.deepEqual(
    groups.writing.map((one) => one.sliceId),
    ["a", "b", "c"],
  );
  assert.equal(groups.imported.length, 1);
  assert.deepEqual(sliceCounts([file({ slices }), file({ slices: [slice({ state: "uploaded" })] })]), [
    ["writing", 3],
    ["closing", 0],
    ["uploading", 0],
    ["uploaded", 1],
    ["imported", 1],
  ]);
});

test("retries: the file's own first, then its slices'", () => {
  const retry = { attempt: 2, reason: "no space", after: "2026-11-21T12:00:09Z" };
  const given = file({ retry, slices: [slice(), slice({ partition: 3, retry })] });
  assert.deepEqual(
    retriesOf(given).map((one) => one.subject),
    ["file", "partition 3"],
  );
  const shown = failingSnapshot(10, NOW_MS, []).sources[0]?.sinks[0]?.files ?? [];
  assert.equal(shown.flatMap((one) => retriesOf(one)).length, 1);
});

test("partitions and tables to pick from", () => {
  const snapshot = busySnapshot(10, NOW_MS);
  assert.deepEqual(partitionGroups(snapshot)[0], {
    label: "flights / flights",
    partitions: [
      { journal: "stream/1/flights/part-000", label: "flights/part-000" },
      { journal: "stream/1/flights/part-001", label: "flights/part-001" },
    ],
  });
  assert.deepEqual(tablesOf(snapshot), ["main.flights", "shop.orders"]);
  assert.deepEqual([partitionGroups(null), tablesOf(null)], [[], []]);
});
