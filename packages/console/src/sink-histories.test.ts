import assert from "node:assert/strict";
import { test } from "node:test";
import { emptySnapshot } from "./fake-feed.ts";
import type { FeedSink, FeedSnapshot } from "./feed.ts";
import { SinkHistories } from "./sink-histories.ts";

function snapshot(atMs: number, accepted: number, loaded: number, sinkId = "main"): FeedSnapshot {
  const sink: FeedSink = {
    sinkId,
    name: sinkId,
    tableId: "main.t",
    version: 1,
    acceptedRecords: accepted,
    loadedRows: loaded,
    lag: { bytes: 0, ms: 0 },
    partitions: [],
    problems: [],
    files: [],
  };
  return {
    ...emptySnapshot(atMs),
    sources: [{ sourceId: "s", name: "S", type: "http", disabled: false, sinks: [sink] }],
  };
}

const all = (histories: SinkHistories): (number | null)[][] => histories.of("s", "main").columns([0, 1, 2]);

test("sink histories: rates are those between two snapshots; the first has none", () => {
  const histories = new SinkHistories();
  histories.push(snapshot(1000, 10, 0));
  histories.push(snapshot(3000, 30, 10));
  assert.deepEqual(all(histories), [
    [1, 3],
    [null, 10],
    [null, 5],
  ]);
  assert.deepEqual(histories.newest("s", "main"), [10, 5]);
  assert.deepEqual(histories.newest("s", "other"), [null, null]);
});

test("sink histories: a gap, a clock that went back, statistics begun anew -> no rate", () => {
  const histories = new SinkHistories();
  histories.push(snapshot(1000, 10, 0));
  histories.push(snapshot(9000, 20, 0));
  assert.deepEqual(histories.newest("s", "main"), [null, null]);
  histories.push(snapshot(10_000, 0, 0));
  assert.deepEqual(histories.newest("s", "main"), [null, null]);
  histories.push(snapshot(5000, 5, 0));
  assert.deepEqual(all(histories), [[5], [null], [null]]);
});

test("sink histories: a sink that is gone is forgotten; many are bounded", () => {
  const histories = new SinkHistories();
  histories.push(snapshot(1000, 1, 1));
  histories.push(snapshot(2000, 1, 1, "other"));
  assert.deepEqual(all(histories), [[], [], []]);
  const [source] = snapshot(3000, 1, 1).sources;
  const sinks = Array.from({ length: 500 }, (_, i) => ({ ...source!.sinks[0]!, sinkId: `s${i}` }));
  histories.push({ ...emptySnapshot(3000), sources: [{ ...source!, sinks }] });
  assert.deepEqual(histories.of("s", "s499").columns([0]), [[]]);
});
