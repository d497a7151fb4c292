// Snapshots for tests of the page: a platform at work, every number a function of the second.
import type { FeedFile, FeedRetry, FeedSink, FeedSlice, FeedSnapshot } from "./feed.ts";
import { SLICE_STATES } from "./feed-view.ts";

const FILE_STATES = ["writing", "closing", "importing", "imported", "imported", "imported"] as const;

/** Snapshot of second `n` of a platform that takes in about 4,200 records a second. @param atMs its time */
export function busySnapshot(n: number, atMs: number): FeedSnapshot {
  const accepted = n * 4200 + Math.round(900 * Math.sin(n / 9));
  const loaded = Math.max(0, accepted - 1800 - Math.round(700 * Math.sin(n / 4)));
  return {
    atMs,
    totals: { acceptedRecords: accepted, loadedRows: loaded, appendedBytes: accepted * 214, appends: n * 96 },
    rates: {
      recordsPerSecond: 4200 + 620 * Math.sin(n / 9) + 240 * Math.sin(n * 2.3),
      rowsPerSecond: Math.max(0, 4150 + 800 * Math.sin((n - 2) / 6) + 500 * Math.sin(n * 3.1)),
      bytesPerSecond: 898_800,
      appendP50Ms: 0.9 + 0.25 * Math.sin(n / 14) + 0.1 * Math.sin(n * 1.7),
      appendP99Ms: 3.1 + 1.2 * Math.sin(n / 21) + 0.9 * Math.abs(Math.sin(n * 2.1)) + (n % 97 === 0 ? 9 : 0),
    },
    sources: [
      {
        sourceId: "flights",
        name: "Flights",
        type: "http",
        disabled: false,
        sinks: [
          busySink({ sinkId: "flights", tableId: "main.flights", accepted, loaded, n, atMs, partitions: 2 }),
        ],
      },
      {
        sourceId: "shop-events",
        name: "Shop events",
        type: "http",
        disabled: false,
        sinks: [
          busySink({
            sinkId: "orders",
            tableId: "shop.orders",
            accepted: 8120,
            loaded: 8120,
            n: 0,
            atMs,
            partitions: 1,
          }),
        ],
      },
      { sourceId: "audit", name: "Audit", type: "http", disabled: true, sinks: [] },
    ],
    unhealthy: [],
    degraded: [],
  };
}

/** A platform without any source. */
export function emptySnapshot(atMs: number): FeedSnapshot {
  return {
    atMs,
    totals: { acceptedRecords: 0, loadedRows: 0, appendedBytes: 0, appends: 0 },
    rates: { recordsPerSecond: 0, rowsPerSecond: 0, bytesPerSecond: 0, appendP50Ms: null, appendP99Ms: null },
    sources: [],
    unhealthy: [],
    degraded: [],
  };
}

/** The same with its first sink's newest importing file failing. */
export function failingSnapshot(n: number, atMs: number, unhealthy: readonly string[]): FeedSnapshot {
  const snapshot = busySnapshot(n, atMs);
  const retry: FeedRetry = {
    attempt: 3,
    reason: "the staging store refuses the object: no space left on device",
    after: new Date(atMs + 12_000).toISOString(),
  };
  const [first, ...others] = snapshot.sources;
  const problem =
    "import into main.flights failed: file stream/storage/file/1/1/flights/flights/00000000000000000017: " +
    `Conversion Error: ${"x".repeat(200)}`;
  const sinks = (first?.sinks ?? []).map((sink) => ({
    ...sink,
    problems: [problem],
    files: sink.files.map((file, i) => (i === 2 ? withRetry(file, retry) : file)),
  }));
  return {
    ...snapshot,
    sources: [{ ...first!, sinks }, ...others],
    unhealthy,
    degraded: [
      "fragment store s3://a-bucket-with-a-long-name/and/a/long/prefix/without/an/end/ unhealthy: 403",
    ],
  };
}

function withRetry(file: FeedFile, retry: FeedRetry): FeedFile {
  const slices = file.slices.map((slice, i) =>
    i === 0 ? { ...slice, state: "uploading" as const, retry } : slice,
  );
  return { ...file, state: "closing", slices };
}

function busySink(options: {
  sinkId: string;
  tableId: string;
  accepted: number;
  loaded: number;
  n: number;
  atMs: number;
  partitions: number;
}): FeedSink {
  const { sinkId, tableId, accepted, loaded, n, atMs, partitions } = options;
  const name = sinkId[0]!.toUpperCase() + sinkId.slice(1);
  return {
    sinkId,
    name,
    tableId,
    version: sinkId === "flights" ? 3 : 1,
    acceptedRecords: accepted,
    loadedRows: loaded,
    lag: { bytes: (accepted - loaded) * 214, ms: accepted > loaded ? 2400 : 0 },
    partitions: Array.from({ length: partitions }, (_, i) => `stream/1/${sinkId}/part-00${i}`),
    problems: [],
    files: FILE_STATES.map((state, i) => busyFile({ state, i, n, atMs, partitions })),
  };
}

function busyFile(options: {
  state: FeedFile["state"];
  i: number;
  n: number;
  atMs: number;
  partitions: number;
}): FeedFile {
  const { state, i, n, atMs, partitions } = options;
  const slices = Array.from({ length: partitions * (i === 0 ? 1 : 2) }, (_, s): FeedSlice => {
    const begin = (n * 40 + s) * 1000;
    const isOpen = state === "writing" && s < partitions;
    return {
      sliceId: `${n - i}-${s}`,
      partition: s % partitions,
      state: sliceState(state, s),
      begin,
      end: isOpen ? null : begin + 96_420,
      records: 451 + s,
      retry: null,
    };
  });
  return {
    fileId: `file-${n - i}`,
    state,
    openedAt: new Date(atMs - i * 1000 - 400).toISOString(),
    records: slices.reduce((sum, slice) => sum + slice.records, 0),
    retry: null,
    slices,
  };
}

function sliceState(file: FeedFile["state"], s: number): FeedSlice["state"] {
  switch (file) {
    case "writing":
      return "writing";
    case "closing":
      return SLICE_STATES[1 + (s % 3)]!;
    case "importing":
      return "uploaded";
    case "imported":
      return "imported";
  }
}
