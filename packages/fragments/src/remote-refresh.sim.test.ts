import assert from "node:assert/strict";
import { test } from "node:test";
import { MetricsRegistry, never, silentLogger, type Logger } from "@millrace/base";
import { Agenda, seededRandom, settle, SimulatedClock } from "@millrace/base/testkit";
import { objectStores } from "@millrace/stores";
import { memoryStore, type MemoryStore } from "@millrace/stores/testkit";
import { inlineCodecs } from "./codec.ts";
import { FragmentIndex, remoteEntry } from "./fragment-index.ts";
import { localFragmentOf, remoteFragmentOf } from "./fragment-index-testkit.ts";
import { firstRefresh, RemoteRefresh, type RefreshedJournal } from "./remote-refresh.ts";

const URL = "file:///one/";
const SUM = "0123456789abcdef0123456789abcdef01234567";
const key = (begin: number, end: number): string =>
  `a/journal/${begin.toString(16).padStart(16, "0")}-${end.toString(16).padStart(16, "0")}-${SUM}.gz`;

interface World {
  readonly agenda: Agenda;
  readonly clock: SimulatedClock;
  readonly store: MemoryStore;
  readonly index: FragmentIndex;
  readonly refresh: RemoteRefresh;
  readonly events: string[];
  journal: RefreshedJournal | undefined;
  /** Ends the loop and gives what it ended with. */
  end(): Promise<unknown>;
}

interface WorldOptions {
  readonly latencyMs?: number;
  readonly listLagMs?: number;
  readonly stores?: readonly string[];
  readonly script?: MemoryStore["script"];
}

function world(options: WorldOptions = {}): World {
  const { latencyMs = 0, listLagMs = 0, stores: urls = [URL], script } = options;
  const agenda = new Agenda();
  const clock = new SimulatedClock(agenda);
  const random = seededRandom("refresh");
  const latency = { min: latencyMs, max: latencyMs };
  const store = memoryStore({ url: URL, clock, random, latencyMs: latency, listLagMs, slowMs: 3_600_000 });
  store.script = script;
  const events: string[] = [];
  const log = (event: string): void => void events.push(event);
  const logger: Logger = { ...silentLogger, warn: log, error: log };
  const stores = objectStores({ file: () => store });
  const index = new FragmentIndex({ graceMs: 60_000 });
  const controller = new AbortController();
  const ports = { stores, codecs: inlineCodecs, logger, clock, random, metrics: new MetricsRegistry() };
  const made: Omit<World, "refresh" | "end"> = {
    agenda,
    clock,
    store,
    index,
    events,
    journal: { name: "a/journal", stores: urls, refreshIntervalMs: 300_000 },
  };
  const refresh = new RemoteRefresh(ports, index, () => made.journal);
  const running = refresh.run(controller.signal).then(
    () => "removed",
    (reason: unknown) => reason,
  );
  return Object.assign(made, {
    refresh,
    end: () => {
      controller.abort("ended");
      return running;
    },
  });
}

const ends = ({ index }: World): number[] => [...index.entries()].map(({ end }) => end);

test("listings that lag -> settled by the first one that shows all that an earlier process stored", async () => {
  for (const [listLagMs, settledBy] of [
    [0, 0],
    [1, 300_000],
    [300_000, 300_000],
    [300_001, 600_000],
  ] as const) {
    const w = world({ listLagMs });
    for (let atMs = 0; atMs <= 600_000; atMs += 300_000) {
      await w.agenda.advance(atMs === 0 ? 0 : 300_000);
      await settle();
      assert.deepEqual(
        [listLagMs, w.index.isRefreshed, w.index.isSettled],
        [listLagMs, true, atMs >= settledBy],
      );
    }
    await w.end();
  }
});

test("at the start, then at each interval after the attempt", async () => {
  const w = world({ latencyMs: 1000 });
  w.store.set(key(0, 10), Uint8Array.of(1));
  let isFirst = false;
  const first = firstRefresh(w.index, never).then(() => (isFirst = true));
  await w.agenda.advance(999);
  assert.equal(isFirst, false);
  await w.agenda.advance(1);
  await first;
  assert.deepEqual(ends(w), [10]);
  w.store.set(key(10, 20), Uint8Array.of(1));
  await w.agenda.advance(300_999);
  assert.deepEqual(ends(w), [10]);
  await w.agenda.advance(1);
  assert.deepEqual(ends(w), [10, 20]);
  w.refresh.refreshNow();
  w.store.set(key(20, 30), Uint8Array.of(1));
  await w.agenda.advance(1000);
  assert.deepEqual(ends(w), [10, 20, 30]);
  assert.equal(await w.end(), "ended");
});

test("no stores -> refreshed at once", async () => {
  const w = world({ stores: [] });
  await settle();
  assert.equal(w.index.isRefreshed, true);
  await w.end();
});

test("a failing store: tried again soon until it succeeds once; from then on the old index stays", async () => {
  const w = world({ script: () => "unavailable" });
  w.store.set(key(0, 10), Uint8Array.of(1));
  await w.agenda.advance(30_000);
  const tries = w.store.operations.length;
  assert.ok(tries >= 8 && tries <= 20, String(tries));
  assert.equal(w.index.isRefreshed, false);
  w.store.script = undefined;
  await w.agenda.advance(10_000);
  assert.deepEqual(ends(w), [10]);
  w.store.script = () => "forbidden";
  await w.agenda.advance(3_000_000);
  assert.deepEqual(ends(w), [10]);
  assert.equal(w.store.operations.length - tries - 1, 10);
  assert.deepEqual(new Set(w.events), new Set(["fragment-refresh-failed"]));
  await w.end();
});

test("a fragment confirmed while a listing is under way -> the listing's result does not take it away", async () => {
  const w = world({ latencyMs: 5000 });
  w.index.setLocal([localFragmentOf({ begin: 0, end: 10 })]);
  await w.agenda.advance(2000);
  const fragment = remoteFragmentOf({ begin: 0, end: 10, sum: SUM, compressionCodec: "GZIP" });
  w.index.confirm(remoteEntry(fragment), w.clock.monotonicMs());
  w.index.setLocal([]);
  await w.agenda.advance(10_000);
  assert.equal(w.index.isRefreshed, true);
  assert.deepEqual(ends(w), [10]);
  w.store.set(key(0, 10), Uint8Array.of(1));
  await w.agenda.advance(300_000);
  assert.deepEqual(ends(w), [10]);
  w.store.delete(key(0, 10));
  await w.agenda.advance(310_000);
  assert.deepEqual(ends(w), [], "listed once, then pruned");
  await w.end();
});

test("the wall clock is set between a confirmation and a listing -> the fragment stays for its grace", async () => {
  for (const stepMs of [-3_600_000, 3_600_000]) {
    const w = world({ latencyMs: 5000 });
    await w.agenda.advance(2000);
    const fragment = remoteFragmentOf({ begin: 0, end: 10, sum: SUM, compressionCodec: "GZIP" });
    w.index.confirm(remoteEntry(fragment), w.clock.monotonicMs());
    w.clock.epochMs += stepMs;
    w.refresh.refreshNow();
    await w.agenda.advance(10_000);
    assert.deepEqual(ends(w), [10]);
    await w.end();
  }
});

test("a confirmed fragment that no listing ever shows -> an error is logged when the grace is over", async () => {
  const w = world();
  await w.agenda.advance(1);
  const fragment = remoteFragmentOf({ begin: 0, end: 10, sum: SUM, compressionCodec: "GZIP" });
  w.index.confirm(remoteEntry(fragment), w.clock.monotonicMs());
  await w.agenda.advance(300_000);
  assert.deepEqual(w.events, ["confirmed-fragment-not-listed"]);
  await w.end();
});

test("a confirmed fragment that is removed before any listing shows it -> gone with the next one", async () => {
  const w = world({ listLagMs: 1 });
  await w.agenda.advance(1);
  for (const [begin, end] of [
    [0, 10],
    [10, 20],
  ] as const) {
    w.store.set(key(begin, end), Uint8Array.of(1));
    const fragment = remoteFragmentOf({ begin, end, sum: SUM, compressionCodec: "GZIP", backingStore: URL });
    w.index.confirm(remoteEntry(fragment), w.clock.monotonicMs());
  }
  w.refresh.refreshNow();
  await settle();
  assert.deepEqual(ends(w), [10, 20], "they are there, and not listed yet");
  w.store.delete(key(0, 10));
  w.store.script = (operation) => (operation === "head" ? "unavailable" : undefined);
  w.refresh.refreshNow();
  await settle();
  assert.deepEqual([ends(w), w.events], [[10, 20], ["fragment-refresh-failed"]]);
  w.store.script = undefined;
  w.refresh.refreshNow();
  await settle();
  assert.deepEqual([ends(w), w.events.slice(1)], [[20], ["confirmed-fragment-removed"]]);
  await w.end();
});

test("a listing that hangs -> given up after ten minutes, tried again", async () => {
  let listings = 0;
  const w = world({ script: () => (listings++ === 0 ? "slow" : "none") });
  w.store.set(key(0, 10), Uint8Array.of(1));
  await w.agenda.advance(10 * 60_000 - 1);
  assert.equal(w.index.isRefreshed, false);
  await w.agenda.advance(10_000);
  assert.deepEqual(ends(w), [10]);
  assert.equal(listings, 2);
  await w.end();
});

test("the journal is removed -> the loop ends", async () => {
  const w = world();
  await w.agenda.advance(1);
  w.journal = undefined;
  await w.agenda.advance(300_000);
  assert.equal(await w.end(), "removed");
});
