// What the console shows of sinks whose files and slices fail.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { SinkDefinition, SinkSnapshot, SourceDefinition } from "@millrace/ingest";
import { feedSources } from "./console-sources.ts";

const KEY = { projectId: 1, branchId: 1, sourceId: "s" };
const OPENED = "2026-11-21T12:00:00.000Z";
const RETRY = { retryAttempt: 4, retryReason: "no space", retryAfter: "2026-11-21T12:00:08.000Z" };

test("console: a slice and a file that failed -> attempt, reason and next try of their own", () => {
  const source = { ...KEY, name: "S", type: "http" } as unknown as SourceDefinition;
  const sink = {
    ...KEY,
    sinkId: "k",
    name: "K",
    version: { number: 1 },
    table: { tableId: "main.t" },
  } as unknown as SinkDefinition;
  const slice = { partition: 0, fileId: "7", begin: 5, openedAt: OPENED, records: 2 };
  const snapshot: SinkSnapshot = {
    ...KEY,
    sinkId: "k",
    accepted: 4,
    loaded: 0,
    lag: { bytes: 9, ms: 1 },
    files: [
      {
        fileId: "7",
        state: "importing",
        openedAt: OPENED,
        statistics: { total: null, levels: {} },
        ...RETRY,
        retryAttempt: 2,
      },
    ],
    slices: [
      { ...slice, state: "uploading", end: 9, ...RETRY },
      { ...slice, begin: 9, state: "writing" },
    ],
  };
  const [file] = feedSources([{ source, sinks: [sink] }], [snapshot], [])[0]!.sinks[0]!.files;
  const retry = { attempt: 4, reason: "no space", after: "2026-11-21T12:00:08.000Z" };
  assert.deepEqual(file!.retry, { ...retry, attempt: 2 });
  assert.deepEqual(
    file!.slices.map((each) => each.retry),
    [retry, null],
  );
});
