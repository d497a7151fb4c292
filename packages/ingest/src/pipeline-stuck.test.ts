// What cannot get on without a person: imports and partitions that fail for good, and journals that lost bytes.
import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { WireError } from "@millrace/base";
import { givingUpTo } from "@millrace/protocol";

import type { SinkConditions } from "./definitions.ts";
import { Fixture } from "./pipeline-fixture.ts";

const LAZY = { count: 1e6, bytes: 1e9, intervalMs: 3_600_000, minIntervalMs: 0 };
/** Nothing is due by itself. */
const NEVER: SinkConditions = { upload: LAZY, import: { ...LAZY, slicesCount: 100, maxSlices: 100 } };

describe("drain of what is stuck", () => {
  test("an import that cannot succeed -> the drain ends once that has shown, not when its time is over", async () => {
    const world = await Fixture.open();
    const stuck = world.sink({ sinkId: "stuck" });
    const journal = await world.append(stuck, 0, 3);
    const load = world.target.load.bind(world.target);
    world.target.load = (request, signal) =>
      request.partitions.some((partition) => partition.journal === journal)
        ? Promise.reject(new WireError("UNPROCESSABLE", "the table refuses the column"))
        : load(request, signal);
    const pipeline = await world.during(world.pipeline());
    await world.until(() => !pipeline.health().healthy);
    assert.deepEqual(
      pipeline.health().problems.map(({ kind, sink }) => [kind, sink]),
      [["retrying", "1/1/source/stuck"]],
    );
    const other = world.sink({
      sinkId: "other",
      conditions: NEVER,
      table: { ...stuck.table, tableId: "main.other" },
    });
    await world.append(other, 0, 4);
    const before = world.agenda.nowMs;
    const { remaining } = await world.during(pipeline.drain(world.signal), 5000);
    assert.deepEqual([...remaining.keys()], [journal]);
    assert.equal(world.rows("main.other").length, 4, "what moves is waited for");
    assert.ok(world.agenda.nowMs - before < 2000, `took ${world.agenda.nowMs - before} ms`);
  });

  test("a partition that cannot be read -> the drain does not wait for it", async () => {
    const world = await Fixture.open();
    const sink = world.sink({ conditions: NEVER });
    const journal = await world.append(sink, 0, 2);
    world.journals.push(journal, new TextEncoder().encode("garbage\n".repeat(40)));
    const pipeline = await world.during(world.pipeline());
    const { remaining } = await world.during(pipeline.drain(world.signal), 5000);
    assert.deepEqual([...remaining.keys()], [journal]);
  });
});

describe("a partition that has lost acknowledged bytes", () => {
  for (const harm of ["staged", "loaded"] as const) {
    test(`its journal ends before what was ${harm} -> not read, no records, said as lost`, async () => {
      const world = await Fixture.open();
      const sink = world.sink();
      await world.append(sink, 0, 3);
      const journal = await world.append(sink, 0, 3);
      const first = await world.during(world.pipeline());
      await world.until(() => world.rows().length === 6);
      await world.during(first.close());
      const head = world.journals.content(journal).length;
      if (harm === "staged") world.journals.truncate(journal, head / 2);
      else world.target.tables.get("main.sink")!.ends.set(journal, head + 7);
      const pipeline = await world.during(world.pipeline());
      await world.until(() => !pipeline.health().healthy);
      const [problem] = pipeline.health().problems;
      assert.deepEqual([problem!.kind, problem!.subject], ["lost", journal]);
      const [end, taken] = harm === "staged" ? [head / 2, head] : [head, head + 7];
      assert.ok(problem!.problem.includes(`ends at offset ${end}, but its bytes up to ${taken} `));
      const reopened = world.reopenPartitions();
      await assert.rejects(world.during(reopened.ensure(sink, 0, world.signal)), { code: "CORRUPT" });
      assert.match(world.metrics.render(), /^millrace_storage_lost_partitions 1$/m);
      await world.agenda.advance(120_000);
      assert.equal(pipeline.health().problems.length, 1);
      assert.equal(world.rows().length, 6);
    });
  }

  test("a new partition whose journal the table knows already -> takes no records", async () => {
    const world = await Fixture.open();
    const sink = world.sink();
    await world.target.prepare("main.sink", []);
    world.target.tables.get("main.sink")!.ends.set("stream/1/1/source/sink/p000", 7);
    await assert.rejects(world.during(world.partitions.ensure(sink, 0, world.signal)), { code: "CORRUPT" });
    assert.equal(world.storage.view.partition({ ...sink, n: 0 }), undefined);
  });

  test("a target that goes away once readers have looked -> records are taken all the same", async () => {
    const world = await Fixture.open();
    const sink = world.sink();
    const journal = await world.append(sink, 0, 3);
    const pipeline = await world.during(world.pipeline());
    await world.until(() => world.rows().length === 3);
    world.target.loadedEnds = () =>
      Promise.reject(new WireError("UNAVAILABLE", "the warehouse process ended"));
    assert.equal(await world.reopenPartitions(pipeline).ensure(sink, 0, world.signal), journal);
  });

  test("a target that does not answer -> the partition takes no records yet, and says why", async () => {
    const world = await Fixture.open();
    const sink = world.sink();
    await world.append(sink, 0, 3);
    const { target } = world;
    target.loadedEnds = (_table, signal?: AbortSignal) =>
      new Promise((_resolve, reject) => {
        signal?.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
      });
    const reopened = world.reopenPartitions();
    await assert.rejects(world.during(reopened.ensure(sink, 0, world.signal)), { code: "UNAVAILABLE" });
  });

  /** What a person does with reset-head --at. */
  async function giveUp(world: Fixture, journal: string, at: number): Promise<void> {
    const { spec, modRevision } = world.journals.journals.get(journal)!;
    const change = { expectModRevision: modRevision, upsert: givingUpTo(spec, at), delete: "" };
    await world.journals.apply({ changes: [change] });
  }

  test("lost while its processes live -> its door refuses with the way on, and takes records on it", async () => {
    const world = await Fixture.open();
    const sink = world.sink();
    await world.append(sink, 0, 3);
    const journal = await world.append(sink, 0, 3);
    const key = { ...sink, n: 0 };
    const pipeline = await world.during(world.pipeline());
    await world.until(() => world.rows().length === 6);
    const { length: head } = world.journals.content(journal);
    pipeline.onAppended(key, journal, head + 50);
    const door = world.reopenPartitions(pipeline);
    assert.equal(await door.ensure(sink, 0, world.signal), journal, "found whole");
    world.journals.truncate(journal, head / 2);
    assert.equal(door.knownEnd(sink, 0, journal), head + 50);
    door.forget(sink, 0, journal);
    assert.equal(door.knownEnd(sink, 0, journal), head);
    const refusal = await world.during(door.ensure(sink, 0, world.signal)).catch((error: Error) => error);
    assert.ok(refusal instanceof WireError && refusal.code === "CORRUPT");
    assert.ok(refusal.message.endsWith(`reset-head -l name=${journal} --at ${head}`), refusal.message);
    await giveUp(world, journal, head);
    assert.equal(await world.during(door.ensure(sink, 0, world.signal)), journal);
    await world.append(sink, 0, 2);
    await world.until(() => world.rows().length === 8);
    assert.ok(pipeline.health().healthy);
    await world.during(pipeline.close());
    await world.during(world.pipeline());
    await world.append(sink, 0, 1);
    await world.until(() => world.rows().length === 9);
  });

  test("given up behind what a reader holds -> it passes the hole", async () => {
    const world = await Fixture.open();
    const sink = world.sink({ conditions: NEVER });
    const journal = await world.append(sink, 0, 3);
    const { length: head } = world.journals.content(journal);
    const pipeline = await world.during(world.pipeline());
    await world.until(() => pipeline.statistics.lagBytes(sink) === head);
    await giveUp(world, journal, head + 50);
    await world.append(sink, 0, 2);
    await world.during(pipeline.drain(world.signal));
    assert.deepEqual([world.rows().length, pipeline.health().problems], [5, []]);
    await world.during(pipeline.close());
  });

  test("a slice ends in what was lost -> said as lost; given up, its rows that are left are loaded", async () => {
    const world = await Fixture.open();
    const sink = world.sink();
    const away = new WireError("UNAVAILABLE", "the staging store is away");
    const put = world.staging.put.bind(world.staging);
    world.staging.put = () => Promise.reject(away);
    await world.append(sink, 0, 3);
    const journal = await world.append(sink, 0, 3);
    const { length: head } = world.journals.content(journal);
    const first = await world.during(world.pipeline());
    await world.until(() => !first.health().healthy);
    await world.during(first.close());
    world.journals.truncate(journal, head / 2);
    world.staging.put = put;
    const pipeline = await world.during(world.pipeline());
    await world.until(() => !pipeline.health().healthy);
    const said = `ends at offset ${head / 2}, but its bytes up to ${head} are in closed slices`;
    assert.ok(pipeline.health().problems.some(({ problem }) => problem.includes(said)));
    await giveUp(world, journal, head + 50);
    await world.append(sink, 0, 2);
    await world.until(() => world.rows().length === 5 && pipeline.health().healthy);
  });

  test("offsets that are gone, and nobody has given up -> not read on", async () => {
    const world = await Fixture.open();
    const sink = world.sink();
    const journal = await world.append(sink, 0, 3);
    const pipeline = await world.during(world.pipeline());
    await world.until(() => world.rows().length === 3);
    const { spec, modRevision } = world.journals.journals.get(journal)!;
    const suspend = { level: "NONE", offset: 5000 } as const;
    const change = { expectModRevision: modRevision, upsert: { ...spec, suspend }, delete: "" };
    await world.journals.apply({ changes: [change] });
    await world.append(sink, 0, 1);
    await world.until(() => !pipeline.health().healthy);
    assert.match(
      pipeline.health().problems[0]!.problem,
      /^offsets \[\d+, 5000\) are gone and were not imported/,
    );
    assert.equal(world.rows().length, 3);
  });
});
