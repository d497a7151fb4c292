// What is left of a sink when its rows are in the table, and what is counted of it all the same (D27).
import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { prefixRange } from "@millrace/metadata";

import { partitionJournal, type SinkConditions } from "./definitions.ts";
import { keyHash } from "./idempotency-key.ts";
import { Fixture } from "./pipeline-fixture.ts";
import { stagedEnd } from "./staging-put.ts";
import { kindOfKey, STORAGE_PREFIX } from "./storage-keys.ts";

const LAZY = { count: 1e6, bytes: 1e9, intervalMs: 3_600_000, minIntervalMs: 0 };
const HOUR_MS = 3_600_000;
/** Nothing is due by itself. */
const NEVER: SinkConditions = { upload: LAZY, import: { ...LAZY, slicesCount: 100, maxSlices: 100 } };

describe("clean-up and statistics", () => {
  test("imported files beyond the kept ones -> removed with slices and objects; statistics stay", async () => {
    const world = await Fixture.open();
    const sink = world.sink();
    const pipeline = await world.during(world.pipeline({ cleanup: { filesKept: 3 } }));
    for (let i = 0; i < 20; i++) {
      await world.append(sink, 0, 2);
      await world.agenda.advance(1000);
    }
    await world.agenda.advance(3000);
    assert.equal(world.rows().length, 40);
    assert.deepEqual(world.fileStates(sink), ["imported", "imported", "imported", "writing"]);
    assert.equal(world.storage.view.sink(sink)!.sum!.value.files, 17);
    const { total, levels } = pipeline.statistics.total(sink);
    assert.equal(total!.recordsCount, 40);
    assert.deepEqual(Object.keys(levels), ["target"]);
    assert.equal(total!.firstRecordAt! < total!.lastRecordAt!, true);
    assert.deepEqual(world.staging.keys(), []);
  });

  test("imported files -> removed after their time", async () => {
    const world = await Fixture.open();
    const sink = world.sink();
    await world.append(sink, 0, 2);
    await world.during(world.pipeline());
    await world.until(() => world.fileStates(sink).includes("imported"));
    await world.agenda.advance(3_590_000);
    assert.equal(world.fileStates(sink).length, 2);
    await world.agenda.advance(20_000);
    assert.deepEqual(world.fileStates(sink), ["writing"]);
  });

  test("files imported while the clock was far ahead -> removed after their time, not when it gets there", async () => {
    const world = await Fixture.open();
    const sink = world.sink();
    world.clock.epochMs += 60 * 86_400_000;
    await world.append(sink, 0, 2);
    await world.during(world.pipeline());
    await world.until(() => world.fileStates(sink).includes("imported"));
    world.clock.epochMs -= 60 * 86_400_000;
    await world.agenda.advance(3_610_000);
    assert.deepEqual(world.fileStates(sink), ["writing"]);
  });

  test("staged objects that nobody knows -> swept once their rows are imported, not before", async () => {
    const world = await Fixture.open();
    const sink = world.sink({ conditions: NEVER });
    await world.append(sink, 0, 2);
    const orphan = `1/1/source/sink/p000/${"0".repeat(16)}-${"0".repeat(15)}5-v1-00000000.parquet`;
    world.staging.set(orphan, new Uint8Array(3));
    world.staging.set("unrelated", new Uint8Array(3));
    assert.equal(stagedEnd(orphan), 5);
    const pipeline = await world.during(world.pipeline());
    await world.agenda.advance(10_000);
    assert.deepEqual(world.staging.keys(), [orphan, "unrelated"]);
    await world.during(pipeline.drain(world.signal));
    await world.agenda.advance(3_700_000);
    assert.deepEqual(world.staging.keys(), ["unrelated"]);
  });

  test("fragments of a partition -> removed once imported and old, or beyond the bytes, never before", async () => {
    const world = await Fixture.open({ fragments: { store: "file:///fragments/", bytes: 500 } });
    const sink = world.sink({ conditions: NEVER });
    for (let i = 0; i < 30; i++) await world.append(sink, 0, 1);
    const removed = (): number =>
      world.fragments.operations.filter(({ operation }) => operation === "remove").length;
    const pipeline = await world.during(
      world.pipeline({ cleanup: { fragments: { keptMs: 1e9, keptBytes: 1200 } } }),
    );
    await world.agenda.advance(120_000);
    assert.equal(removed(), 0);
    await world.during(pipeline.drain(world.signal));
    await world.agenda.advance(120_000);
    const fragments = Math.floor(world.journals.content(partitionJournal(sink, 0)).length / 500) + 1;
    assert.equal(removed(), fragments - 2);
  });

  test("fragments that are persisted long after their import -> removed without another import", async () => {
    const world = await Fixture.open({ fragments: { store: "file:///fragments/", bytes: 500 } });
    world.journals.isPersisted = false;
    const sink = world.sink();
    await world.append(sink, 0, 5);
    const removed = (): number =>
      world.fragments.operations.filter(({ operation }) => operation === "remove").length;
    await world.during(world.pipeline({ cleanup: { fragments: { keptMs: 600_000, keptBytes: 0 } } }));
    await world.until(() => world.rows().length === 5);
    await world.agenda.advance(3_600_000);
    assert.equal(removed(), 0);
    world.journals.isPersisted = true;
    await world.agenda.advance(1_200_000);
    assert.equal(removed(), 1);
    const list = world.journals.listFragments.bind(world.journals);
    let listings = 0;
    world.journals.listFragments = (request) => {
      listings++;
      return list(request);
    };
    await world.agenda.advance(24 * 3_600_000);
    assert.equal(listings, 0, "then nobody looks any more");
  });

  test("a keyed row waits to be read for hours -> what has its key stays until it was read", async () => {
    const world = await Fixture.open({ fragments: { store: "file:///fragments/", bytes: 500 } });
    const sink = world.sink();
    const journal = await world.append(sink, 0, 1, 10, [keyHash("order-1")]);
    const frames: { end: number; modTime: number }[] = [];
    const persisted = (): void => {
      const modTime = Math.floor(world.clock.wallMs() / 1000);
      frames.push({ end: world.journals.content(journal).length, modTime });
    };
    persisted();
    const list = world.journals.listFragments.bind(world.journals);
    world.journals.listFragments = async (request) => {
      const answer = await list(request);
      const { spec } = answer.fragments[0]!;
      const fragments = frames.map(({ end, modTime }, i) => {
        return { spec: { ...spec, begin: frames[i - 1]?.end ?? 0, end, modTime }, signedUrl: "" };
      });
      return { ...answer, fragments };
    };
    const removed = (): number =>
      world.fragments.operations.filter(({ operation }) => operation === "remove").length;
    const cleanup = { fragments: { keptMs: 13 * HOUR_MS, keptBytes: 1e9 } };
    const first = await world.during(world.pipeline({ cleanup }));
    await world.until(() => world.rows().length === 1);
    await world.during(first.close());
    const apart = await world.during(world.pipeline({ components: ["storage-coordinator"], cleanup }));
    await world.agenda.advance(10 * HOUR_MS);
    await world.append(sink, 0, 1, 10, [keyHash("order-1")]);
    persisted();
    await world.agenda.advance(4 * HOUR_MS);
    assert.equal(removed(), 0, "its reader is away");
    await world.during(apart.close());
    await world.during(world.pipeline({ cleanup }));
    await world.append(sink, 0, 1);
    await world.until(() => world.rows().length === 2);
    await world.agenda.advance(14 * HOUR_MS);
    assert.deepEqual([world.rows().length, removed()], [2, 2]);
  });

  test("everything of a sink is done and its time is over -> what is left is one entity of each kind", async () => {
    const world = await Fixture.open();
    const sink = world.sink();
    const first = await world.during(world.pipeline());
    for (let i = 0; i < 40; i++) {
      await world.append(sink, 0, 2);
      await world.agenda.advance(500);
    }
    await world.until(() => world.rows().length === 80);
    const counted = first.statistics.total(sink);
    await world.agenda.advance(2 * 3_600_000);
    const kinds = new Map<string, number>();
    for (const { key } of (await world.store.range(prefixRange(STORAGE_PREFIX), world.signal)).kvs)
      kinds.set(kindOfKey(key), (kinds.get(kindOfKey(key)) ?? 0) + 1);
    assert.deepEqual(Object.fromEntries(kinds), { file: 1, partition: 1, slice: 1, sum: 1 });
    assert.deepEqual(world.staging.keys(), []);
    assert.equal(counted.levels.target!.recordsCount, 80);
    assert.deepEqual(first.statistics.total(sink), counted);
    await world.during(first.close());
    const second = await world.during(world.pipeline());
    assert.deepEqual(second.statistics.total(sink), counted);
    await world.append(sink, 0, 1);
    await world.until(() => world.rows().length === 81);
    await world.until(() => second.statistics.total(sink).levels.target?.recordsCount === 81);
  });

  test("statistics: levels from entities and from what is being read, the specification's shape", async () => {
    const world = await Fixture.open();
    const sink = world.sink({ conditions: { ...NEVER, upload: { ...LAZY, count: 3 } } });
    await world.append(sink, 0, 3);
    const pipeline = await world.during(world.pipeline());
    await world.until(() => world.staging.keys().length === 1);
    await world.append(sink, 0, 2);
    await world.agenda.advance(100);
    const at = "2026-01-01T00:00:00.000Z";
    const { total, levels } = pipeline.statistics.total(sink);
    assert.equal(levels.local!.recordsCount, 2);
    assert.deepEqual(levels.staging, {
      firstRecordAt: at,
      lastRecordAt: at,
      recordsCount: 3,
      uncompressedSize: 57,
      compressedSize: 57,
    });
    assert.equal(total!.recordsCount, 5);
    assert.deepEqual(pipeline.statistics.total({ ...sink, sinkId: "none" }), { total: null, levels: {} });
    const [shown] = pipeline.statistics.snapshot(world.clock.wallMs());
    assert.equal(shown!.accepted, 5);
    assert.equal(shown!.loaded, 0);
    assert.equal(shown!.lag.bytes, world.journals.content(partitionJournal(sink, 0)).length);
    assert.ok(shown!.lag.ms >= 100);
    assert.deepEqual(
      shown!.slices.map(({ state }) => state),
      ["writing", "uploaded"],
    );
  });

  test("a slice whose upload fails -> shown with attempt, reason and next try, until it is done", async () => {
    const world = await Fixture.open();
    const sink = world.sink({ conditions: { ...NEVER, upload: { ...LAZY, count: 3 } } });
    await world.append(sink, 0, 3);
    world.staging.script = (operation) => (operation === "put" ? "unavailable" : undefined);
    const pipeline = await world.during(world.pipeline());
    const uploading = () =>
      pipeline.statistics
        .snapshot(world.clock.wallMs())[0]
        ?.slices.find(({ state }) => state === "uploading");
    await world.until(() => uploading()?.retryAttempt === 3);
    const { retryReason, retryAfter } = uploading()!;
    assert.match(retryReason!, /unavailable|503/);
    const waitMs = Date.parse(retryAfter!) - world.clock.wallMs();
    assert.ok(waitMs > 3000 && waitMs <= 4400, `next try in ${waitMs} ms`);
    world.staging.script = undefined;
    await world.until(() => uploading() === undefined);
    const done = pipeline.statistics.snapshot(world.clock.wallMs())[0]!.slices;
    assert.deepEqual(
      done.map((slice) => [slice.state, slice.retryAttempt]),
      [
        ["writing", undefined],
        ["uploaded", undefined],
      ],
    );
  });
});
