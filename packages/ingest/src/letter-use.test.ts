import assert from "node:assert/strict";
import { afterEach, test } from "node:test";

import { MetricsRegistry, silentLogger, systemClock, WireError } from "@millrace/base";

import { LetterUse } from "./letter-use.ts";

const SINK = { projectId: 1, branchId: 1, sourceId: "s", sinkId: "k" };
const PLACE = { ...SINK, n: 0 };
const OTHER = { ...PLACE, sinkId: "other" };

class Bench {
  nowMs = 0;
  /** By journal: where the oldest letter begins. */
  readonly oldest = new Map<string, number | WireError | undefined>();
  readonly asked: string[] = [];
  readonly metrics = new MetricsRegistry();
  readonly use = new LetterUse(
    {
      oldestLetter: (journal) => {
        this.asked.push(journal);
        const found = this.oldest.get(journal);
        return found instanceof WireError ? Promise.reject(found) : Promise.resolve(found);
      },
      clock: { ...systemClock, monotonicMs: () => this.nowMs },
      logger: silentLogger,
      metrics: this.metrics,
    },
    (error) => {
      throw error;
    },
  );

  async append(end: number, place = PLACE, journal = "j"): Promise<void> {
    this.use.onAppended(place, journal, end);
    await new Promise(setImmediate);
  }
}

let bench: Bench;
afterEach(() => bench.use.close());

test("letters -> from the oldest fragment to the last append, looked at once in ten seconds", async () => {
  bench = new Bench();
  bench.oldest.set("j", 100);
  await bench.append(1000);
  assert.equal(bench.use.bytes(SINK), 900);
  bench.oldest.set("j", 1000);
  await bench.append(3000);
  await bench.append(2500); // of another lane, later
  assert.deepEqual([bench.use.bytes(SINK), bench.asked.length], [2900, 1]);
  bench.nowMs += 10_000;
  await bench.append(3100);
  assert.equal(bench.use.bytes(SINK), 2100);
  assert.match(bench.metrics.render(), /millrace_ingest_dead_letter_bytes 2100\n/);
});

test("nothing is left, or no journal -> nothing is taken; a broker that is away -> what is known", async () => {
  bench = new Bench();
  bench.oldest.set("j", undefined);
  await bench.append(1000);
  assert.equal(bench.use.bytes(SINK), 0);
  bench.oldest.set("j", new WireError("UNAVAILABLE", "away"));
  bench.nowMs += 10_000;
  await bench.append(1500);
  assert.equal(bench.use.bytes(SINK), 500);
  bench.oldest.set("j", new WireError("JOURNAL_NOT_FOUND", "gone"));
  bench.nowMs += 10_000;
  await bench.append(1600);
  assert.equal(bench.use.bytes(SINK), 0);
});

test("a sink that was made anew -> its own journal alone", async () => {
  bench = new Bench();
  bench.oldest.set("j", 0);
  await bench.append(1000);
  bench.oldest.set("j2", 0);
  await bench.append(10, PLACE, "j2");
  assert.deepEqual([bench.use.bytes(SINK), bench.use.allBytes], [10, 10]);
});

test("a refused letter -> its journal, and the one looked at longest ago, are looked at", async () => {
  bench = new Bench();
  bench.oldest.set("j", 0).set("o", 0);
  await bench.append(1000);
  await bench.append(500, OTHER, "o");
  assert.equal(bench.use.allBytes, 1500);
  bench.oldest.set("j", 900).set("o", 400);
  bench.use.onRefused(SINK);
  assert.equal(bench.asked.length, 2);
  bench.nowMs += 10_000;
  bench.use.onRefused(SINK);
  await new Promise(setImmediate);
  assert.deepEqual([bench.use.bytes(SINK), bench.use.allBytes], [100, 200]);
  assert.match(bench.metrics.render(), /millrace_ingest_dead_letters_refused_total 2\n/);
});
