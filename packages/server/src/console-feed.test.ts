import assert from "node:assert/strict";
import { test } from "node:test";
import { MetricsRegistry, silentLogger } from "@millrace/base";
import { Agenda, SimulatedClock } from "@millrace/base/testkit";
import type { FeedSnapshot } from "@millrace/console";
import { ConsoleFeed } from "./console-feed.ts";
import { LatencyWindow } from "./latency-window.ts";

function fixture() {
  const clock = new SimulatedClock(new Agenda());
  const seconds = new MetricsRegistry().histogram("s", "S", [0.001, 0.01, 0.1]);
  const state = { accepted: 0, fails: false, samples: 0 };
  const feed = new ConsoleFeed({
    sample: () => {
      state.samples++;
      if (state.fails) return Promise.reject(new Error("no"));
      const totals = { acceptedRecords: state.accepted, loadedRows: 0, appendedBytes: 0, appends: 0 };
      return Promise.resolve({ totals, sources: [], unhealthy: [], degraded: [] });
    },
    latency: new LatencyWindow(seconds),
    clock,
    logger: silentLogger,
  });
  return { feed, clock, state, seconds };
}

test("console feed: a snapshot a second, with rates since the one before", async () => {
  const { feed, clock, state, seconds } = fixture();
  const seen: FeedSnapshot[] = [];
  feed.subscribe((snapshot) => seen.push(snapshot));
  await clock.agenda.advance(10);
  state.accepted = 500;
  for (let i = 0; i < 100; i++) seconds.observe(0.005);
  await clock.agenda.advance(1000);
  assert.deepEqual(
    seen.map(({ rates }) => rates.recordsPerSecond),
    [0, 500],
  );
  assert.ok(seen[1]!.rates.appendP50Ms! > 1 && seen[1]!.rates.appendP99Ms! <= 10);
  assert.equal(seen[0]!.rates.appendP50Ms, null);
});

test("console feed: a sample that fails -> the next second brings a snapshot again", async () => {
  const { feed, clock, state } = fixture();
  let count = 0;
  feed.subscribe(() => count++);
  await clock.agenda.advance(10);
  state.fails = true;
  await clock.agenda.advance(2000);
  state.fails = false;
  await clock.agenda.advance(1000);
  assert.equal(count, 2);
});

test("console feed: a second viewer gets the last snapshot at once and moves nobody's rates", async () => {
  const { feed, clock, state } = fixture();
  const first: FeedSnapshot[] = [];
  const second: FeedSnapshot[] = [];
  feed.subscribe((snapshot) => first.push(snapshot));
  await clock.agenda.advance(500);
  feed.subscribe((snapshot) => second.push(snapshot));
  assert.equal(second.length, 1);
  state.accepted = 100;
  await clock.agenda.advance(600);
  assert.equal(first.length, 2);
  assert.equal(first[1]!.rates.recordsPerSecond, 100);
});

test("console feed: nobody watches -> nothing is sampled; a new viewer starts it again", async () => {
  const { feed, clock, state } = fixture();
  const leave = feed.subscribe(() => undefined);
  await clock.agenda.advance(1500);
  leave();
  await clock.agenda.advance(1500);
  const before = state.samples;
  await clock.agenda.advance(10_000);
  assert.equal(state.samples, before);
  let count = 0;
  feed.subscribe(() => count++);
  await clock.agenda.advance(10);
  assert.equal(count, 1);
});
