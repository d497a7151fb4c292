// How far a table is behind: bytes and age, whatever the records wait for.
import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { WireError } from "@millrace/base";

import type { SinkConditions } from "./definitions.ts";
import { Fixture } from "./pipeline-fixture.ts";
import type { Pipeline } from "./pipeline.ts";
import type { SinkLag } from "./sink-lag.ts";
import { ownsAll } from "./work-owner.ts";

const LAZY = { count: 1e6, bytes: 1e9, intervalMs: 3_600_000, minIntervalMs: 0 };
/** Nothing is due by itself. */
const NEVER: SinkConditions = { upload: LAZY, import: { ...LAZY, slicesCount: 100, maxSlices: 100 } };
const NOTHING: SinkLag = { bytes: 0, ms: 0 };

/** Those of a rendering that are about what waits. */
function backlog(world: Fixture): Readonly<Record<string, number>> {
  const lines = world.metrics.render().matchAll(/^millrace_storage_backlog_(\S+) (\S+)$/gm);
  return Object.fromEntries([...lines].map(([, name, value]) => [name!, Number(value)]));
}

/** A target that refuses everything until it is called. */
function takeAway(world: Fixture): () => void {
  const load = world.target.load.bind(world.target);
  world.target.load = () => Promise.reject(new WireError("UNAVAILABLE", "the target is away"));
  return () => {
    world.target.load = load;
  };
}

describe("lag of a sink", () => {
  test("nothing waits -> nothing; a sink that nobody knows -> the same", async () => {
    const world = await Fixture.open();
    const sink = world.sink();
    await world.append(sink, 0, 3);
    const pipeline = await world.during(world.pipeline());
    await world.until(() => world.rows().length === 3);
    await world.agenda.advance(1000);
    assert.deepEqual(pipeline.statistics.lag(sink, world.clock.wallMs()), NOTHING);
    assert.deepEqual(pipeline.statistics.lag({ ...sink, sinkId: "none" }, world.clock.wallMs()), NOTHING);
  });

  test("a target that is away -> the age grows with time, outlives the process, and is 0 with the rows", async () => {
    const world = await Fixture.open();
    const sink = world.sink();
    const other = world.sink({ sinkId: "idle", table: { ...sink.table, tableId: "main.idle" } });
    const journal = await world.append(sink, 0, 3);
    const head = world.journals.content(journal).length;
    const acceptedMs = world.clock.wallMs();
    const bringBack = takeAway(world);
    const lagNow = (pipeline: Pipeline): SinkLag => pipeline.statistics.lag(sink, world.clock.wallMs());
    const first = await world.during(world.pipeline());
    await world.until(() => world.fileStates(sink).includes("importing"));
    for (const ms of [5000, 90_000, 700_000]) {
      await world.agenda.advance(ms);
      const ageMs = world.clock.wallMs() - acceptedMs;
      assert.deepEqual(lagNow(first), { bytes: head, ms: ageMs });
      const shown = backlog(world);
      assert.equal(shown['seconds{target="duckdb"}'], ageMs / 1000);
      assert.equal(shown['bytes{target="duckdb"}'], head);
      assert.equal(shown['seconds{target="postgres"}'], 0);
      assert.deepEqual(backlog(world), shown, "asked again, with nothing new");
      const older = [10, 60, 600, 3600].map((seconds) => shown[`sinks{older_than="${seconds}"}`]);
      assert.deepEqual(
        older,
        [10, 60, 600, 3600].map((seconds) => Number(ageMs > seconds * 1000)),
      );
    }
    assert.deepEqual(first.statistics.lag(other, world.clock.wallMs()), NOTHING, "another's is its own");
    await world.during(first.close());
    await world.agenda.advance(3_600_000);
    const second = await world.during(world.pipeline());
    assert.equal(lagNow(second).ms, world.clock.wallMs() - acceptedMs);
    await world.append(sink, 0, 2);
    await world.agenda.advance(100);
    assert.ok(backlog(world)['bytes{target="duckdb"}']! > head);
    bringBack();
    await world.until(() => world.rows().length === 5, 3_600_000);
    await world.agenda.advance(100);
    assert.deepEqual(lagNow(second), NOTHING);
    assert.equal(backlog(world)['seconds{target="duckdb"}'], 0);
    assert.equal(backlog(world)['bytes{target="duckdb"}'], 0);
    const later = await world.append(sink, 1, 4);
    await world.until(() => backlog(world)['seconds{target="duckdb"}']! > 0);
    assert.ok(world.journals.content(later).length >= backlog(world)['bytes{target="duckdb"}']!);
  });

  test("records that wait for a condition -> the age is that of the first", async () => {
    const world = await Fixture.open();
    const sink = world.sink({ conditions: NEVER });
    await world.append(sink, 0, 2);
    const acceptedMs = world.clock.wallMs();
    const pipeline = await world.during(world.pipeline());
    await world.agenda.advance(4000);
    await world.append(sink, 0, 2);
    await world.append(sink, 1, 2);
    await world.agenda.advance(1000);
    assert.equal(pipeline.statistics.lag(sink, world.clock.wallMs()).ms, world.clock.wallMs() - acceptedMs);
  });

  test("bytes that nobody has read -> they age from when they were first seen", async () => {
    const world = await Fixture.open();
    const sink = world.sink();
    const journal = await world.append(sink, 0, 3);
    const head = world.journals.content(journal).length;
    const pipeline = await world.during(world.pipeline({ components: [] }));
    await world.agenda.advance(1000);
    pipeline.onAppended({ ...sink, n: 0 }, journal, head);
    assert.deepEqual(pipeline.statistics.lag(sink, world.clock.wallMs()), { bytes: head, ms: 0 });
    await world.agenda.advance(20_000);
    assert.deepEqual(pipeline.statistics.lag(sink, world.clock.wallMs()), { bytes: head, ms: 20_000 });
  });

  test("started while the target is away -> what nobody may read has its bytes, and grows old", async () => {
    const world = await Fixture.open();
    const sink = world.sink();
    const journal = await world.append(sink, 0, 3);
    const head = world.journals.content(journal).length;
    world.target.loadedEnds = () => Promise.reject(new WireError("UNAVAILABLE", "the target is away"));
    const reads = { components: ["storage-reader"], publishes: true } as const;
    const reader = await world.during(world.pipeline(reads));
    const elsewhere = await world.during(world.pipeline({ components: ["storage-coordinator"] }));
    const both = [reader, elsewhere];
    const lags = (): readonly SinkLag[] => both.map((one) => one.statistics.lag(sink, world.clock.wallMs()));
    await world.until(() => lags().every(({ bytes }) => bytes === head));
    await world.agenda.advance(30_000);
    for (const { bytes, ms } of lags()) assert.ok(bytes === head && ms >= 30_000, `${bytes} bytes, ${ms} ms`);
    assert.ok(backlog(world)['seconds{target="duckdb"}']! >= 30);
    for (const one of both) await world.during(one.close());
  });

  test("what was read and holds no record, as a doubled frame -> it has no age", async () => {
    const world = await Fixture.open();
    const sink = world.sink();
    const journal = await world.append(sink, 0, 1);
    const frame = world.journals.content(journal).slice();
    const pipeline = await world.during(world.pipeline());
    await world.until(() => world.rows().length === 1);
    world.journals.push(journal, frame);
    for (const ms of [1000, 60_000]) {
      await world.agenda.advance(ms);
      assert.deepEqual(pipeline.statistics.lag(sink, world.clock.wallMs()), { bytes: frame.length, ms: 0 });
    }
  });

  test("metrics: of the sinks that the process coordinates, and none where there is no coordinator", async () => {
    const world = await Fixture.open();
    const sink = world.sink({ conditions: NEVER });
    await world.append(sink, 0, 2);
    const reader = await world.during(world.pipeline({ components: ["storage-reader"] }));
    await world.agenda.advance(1000);
    assert.equal(backlog(world)['bytes{target="duckdb"}'], undefined);
    await world.during(reader.close());
    let owned = false;
    const listeners = new Set<() => void>();
    const observe = (listener: () => void): (() => void) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    };
    const coordinator = { owns: () => owned, observe };
    const shares = { reader: ownsAll, coordinator };
    const pipeline = await world.during(world.pipeline({}, { shares }));
    await world.agenda.advance(1000);
    assert.equal(backlog(world)['bytes{target="duckdb"}'], 0);
    owned = true;
    for (const tell of listeners) tell();
    assert.ok(backlog(world)['bytes{target="duckdb"}']! > 0, "its share has grown");
    await world.during(pipeline.close());
  });
});
