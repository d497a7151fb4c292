import assert from "node:assert/strict";
import { test } from "node:test";
import { StorageStatistics } from "./statistics.ts";
import type { StorageFile } from "./storage-entities.ts";
import { storedFile } from "./storage-fixtures.ts";
import { StorageView } from "./storage-view.ts";

const KEY = { projectId: 1, branchId: 1, sourceId: "source", sinkId: "sink" };
const NOW = "2026-01-01T00:00:00.000Z";
const RETRY = {
  attempt: 2,
  reason: "the target is away",
  firstFailedAt: NOW,
  lastFailedAt: NOW,
  retryAfter: NOW,
};

test("statistics-files-sort-result: imported first, then those without a failure, then by their opening", () => {
  const view = new StorageView();
  const states = [
    [5, "importing", true],
    [4, "writing", false],
    [3, "imported", false],
    [10, "closing", false],
    [2, "importing", true],
    [11, "imported", true],
    [1, "imported", false],
    [9, "importing", false],
  ] as const;
  const added = states.map(([opened, state, fails]) => {
    const openedAt = new Date(Date.parse(NOW) + opened).toISOString();
    const fileId = String(Date.parse(openedAt));
    const { key, modRevision, value } = storedFile(state, {
      fileId,
      openedAt,
      ...(fails ? { retry: RETRY } : {}),
    });
    const file: StorageFile = value;
    const entry = {
      key,
      modRevision,
      createRevision: 1,
      version: 1,
      lease: 0n,
      value: { kind: "file", file } as const,
    };
    return { key, before: undefined, after: entry };
  });
  view.apply(added);
  const statistics = new StorageStatistics(view, {
    progress: () => undefined,
    writeHead: () => undefined,
  } as never);
  const opened = (options: { readonly failedFiles?: boolean }): unknown[] =>
    statistics.files(KEY, options).map(({ openedAt }) => Date.parse(openedAt) - Date.parse(NOW));
  assert.deepEqual(opened({}), [1, 3, 11, 4, 9, 10, 2, 5]);
  assert.deepEqual(opened({ failedFiles: true }), [2, 5]);
});
