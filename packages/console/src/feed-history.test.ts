import assert from "node:assert/strict";
import { test } from "node:test";
import { busySnapshot } from "./fake-feed.ts";
import { COLUMN, FeedHistory, HISTORY_SECONDS } from "./feed-history.ts";

const snapshot = (seconds: number) => busySnapshot(seconds, seconds * 1000);

function times(history: FeedHistory): (number | null)[] {
  return history.columns([COLUMN.time])[0] ?? [];
}

test("feed history: the first snapshot of a connection -> a gap, its rates are against nothing", () => {
  const history = new FeedHistory();
  history.push(snapshot(1), true);
  history.push(snapshot(2), false);
  const rates = snapshot(2).rates;
  assert.deepEqual(history.columns([0, 1, 2, 3, 4]), [
    [1, 2],
    [null, rates.recordsPerSecond],
    [null, rates.rowsPerSecond],
    [null, rates.appendP50Ms],
    [null, rates.appendP99Ms],
  ]);
});

test("feed history: time without snapshots -> a gap, not a line across", () => {
  const history = new FeedHistory();
  history.push(snapshot(1), false);
  history.push(snapshot(4), false);
  assert.deepEqual(times(history), [1, 4], "3 s are a slow server");
  history.push(snapshot(9), false);
  assert.deepEqual(times(history), [1, 4, 5, 9]);
  assert.equal(history.columns([COLUMN.recordsPerSecond])[0]?.[2], null);
});

test("feed history: rates over next to no time say nothing -> left out", () => {
  const history = new FeedHistory();
  const said = [5, 5, 5.3, 5.39, 6].map((second) => history.push(snapshot(second), false));
  assert.deepEqual(said, [true, false, false, false, true]);
  assert.deepEqual(times(history), [5, 6]);
});

test("feed history: the server's clock went back -> a new history, x never falls", () => {
  const history = new FeedHistory();
  for (const second of [100, 101, 50, 51]) history.push(snapshot(second), false);
  assert.deepEqual(times(history), [50, 51]);
});

test("feed history: hours -> bounded, and never less than what the chart shows", () => {
  const history = new FeedHistory();
  for (let second = 0; second < 10_000; second += 1) history.push(snapshot(second), false);
  assert.ok(history.count >= HISTORY_SECONDS && history.count <= HISTORY_SECONDS * 2, String(history.count));
  assert.equal(times(history).at(-1), 9999);
});
