import assert from "node:assert/strict";
import { test } from "node:test";

import fc from "fast-check";

import { removal } from "./cleanup.ts";
import {
  beginImportChanges,
  endImportChanges,
  rotateFileChanges,
  rotateSlicesChanges,
} from "./coordinator-changes.ts";
import { FILTER_PRODUCERS_MAX } from "./frame-filter.ts";
import type { Progress } from "./reader-progress.ts";
import { txnOf, type StorageChange } from "./storage-change.ts";
import type { Slice, SliceUploaded, SliceWriting } from "./storage-entities.ts";
import { storedFile, storedSlice } from "./storage-fixtures.ts";
import {
  FILE_SLICES_BOUND,
  FILE_SLICES_MAX,
  LANE_PARTITIONS,
  SLICE_VERSIONS_MAX,
  TXN_BYTES_MAX,
  TXN_OPS_MAX,
} from "./storage-limits.ts";
import { endUpload } from "./storage-transitions.ts";
import type { Stored } from "./storage-view.ts";
import type { TargetRef } from "./target-ref.ts";

const NOW = Date.UTC(2026, 0, 2);
const NAME = "n".repeat(48);
const HEX = "f".repeat(16);
const MAX = 2 ** 53 - 1;
const SINK = { projectId: 2 ** 53 - 1, branchId: 2 ** 53 - 1, sourceId: NAME, sinkId: NAME };
const TARGET: TargetRef = { kind: "duckdb", connection: NAME, tableId: `${NAME}.${NAME}` };
const FILTER = Array.from({ length: FILTER_PRODUCERS_MAX }, (_, i) => {
  return [i.toString(16).padStart(16, "f"), 2 ** 53 - 1] as const;
});
const OBJECTS = Array.from({ length: SLICE_VERSIONS_MAX }, (_, i) => ({
  path: `${MAX}/${MAX}/${NAME}/${NAME}/p023/${HEX}-${HEX}-v${MAX - i}-${HEX}.parquet`,
  sinkVersion: 2 ** 53 - 1 - i,
  rows: 2 ** 31,
  bytes: 2 ** 53 - 1,
  crc32c: 2 ** 32 - 1,
}));
const RETRY = {
  attempt: 1000,
  reason: "r".repeat(1000),
  firstFailedAt: "2026-01-01T00:00:00.000Z",
  lastFailedAt: "2026-01-01T00:00:00.000Z",
  retryAfter: "2026-01-01T00:00:00.000Z",
};

/** The largest that each may be. */
const largest = { ...SINK, target: TARGET, retry: RETRY, objects: OBJECTS, filter: FILTER };
const PROGRESS = { writeHead: 2 ** 53 - 1, records: 1e9, bytes: 1e12, firstMs: NOW, lastMs: NOW, full: true };

function within(changes: readonly StorageChange[]): void {
  const { compare, success } = txnOf(changes); // asserts D26, too
  assert.ok(compare.length <= TXN_OPS_MAX && success.length <= TXN_OPS_MAX);
  const bytes = success.reduce(
    (sum, op) => sum + op.key.length + (op.kind === "put" ? op.value.length : 0),
    0,
  );
  assert.ok(bytes <= TXN_BYTES_MAX, `${bytes} bytes`);
}

const shapes = fc.record({
  open: fc.integer({ min: 1, max: LANE_PARTITIONS }),
  closed: fc.integer({ min: 0, max: FILE_SLICES_MAX }),
  read: fc.array(fc.boolean(), { minLength: LANE_PARTITIONS, maxLength: LANE_PARTITIONS }),
});

test("every transaction of the coordinator, for any file of any lane -> within D26", () => {
  const file = storedFile("writing", { ...SINK, target: TARGET, retry: RETRY });
  fc.assert(
    fc.property(shapes, ({ open, closed, read }) => {
      const slices: Stored<Slice>[] = Array.from({ length: open }, (_, n) => {
        return storedSlice("writing", { ...largest, n, begin: 1000 });
      });
      for (let i = 0; i < closed; i++)
        slices.push(storedSlice("uploaded", { ...largest, n: i % open, begin: i }));
      const seal = (slice: SliceWriting): Progress | undefined => {
        return read[slice.n] === true
          ? { ...PROGRESS, begin: slice.begin, offset: slice.begin + 1 }
          : undefined;
      };
      within(rotateFileChanges(file, slices, { fileIds: ["5"], target: TARGET }, seal, NOW));
      within(rotateSlicesChanges(file, slices, seal, NOW));
    }),
    { numRuns: 50 },
  );
});

test("import and removal of the largest files that there can be -> within D26", () => {
  for (const count of [1, FILE_SLICES_MAX, FILE_SLICES_BOUND]) {
    const slices: Stored<SliceUploaded>[] = Array.from({ length: count }, (_, i) => {
      return storedSlice("uploaded", { ...largest, n: i % LANE_PARTITIONS, begin: i, end: i });
    });
    within(beginImportChanges(storedFile("closing", { ...SINK, target: TARGET }), slices, NOW));
    within(endImportChanges(storedFile("importing", { ...SINK, target: TARGET }), slices, NOW));
    const files = [1, 2, 3].map((id) =>
      storedFile("imported", { ...SINK, target: TARGET, fileId: String(id) }),
    );
    const imported = slices.map(({ value }) =>
      storedSlice("imported", { ...largest, n: value.n, begin: value.begin }),
    );
    const view = { entity: undefined, slices: new Map(imported.map((slice) => [slice.key, slice])) };
    const sink = {
      key: SINK,
      sum: undefined,
      files: new Map(files.map(({ value }) => [value.fileId, view])),
    };
    const { changes, count: removed } = removal(sink, files);
    within(changes);
    assert.ok(removed >= 1);
  }
});

test("the end of an upload with the largest filter -> within D26", () => {
  const slice = storedSlice("uploading", largest);
  const statistics = { recordsCount: 0, uncompressedSize: 0, compressedSize: 0 };
  const after = endUpload(slice.value, { statistics, objects: OBJECTS, filter: FILTER }, NOW);
  within([{ kind: "slice", before: slice, after }]);
});
