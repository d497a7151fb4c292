// Partitions whose journals are suspended, as brokers do with what is idle: they wait for their next record as others
// do, and stand in nobody's way.
import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { partitionJournal } from "./definitions.ts";
import { keyHash } from "./idempotency-key.ts";
import { Fixture } from "./pipeline-fixture.ts";
import { isSuspendable } from "./pipeline-world.ts";

const FAILED = /^millrace_storage_failures_total\{/m;

/** Rows of a sink are in its table, and its journal is suspended. */
async function suspended(): Promise<{ world: Fixture; journal: string; append: () => Promise<unknown> }> {
  const world = await Fixture.open();
  const sink = world.sink();
  const journal = await world.append(sink, 0, 3);
  return { world, journal, append: () => world.append(sink, 0, 2) };
}

describe("a suspended partition", () => {
  for (const [what, knowsResumes, withinMs] of [
    ["a broker that can wait", true, 1500],
    ["one that cannot", false, 6500],
  ] as const) {
    test(`${what}: hours later a record -> in its table as soon, and nothing has failed meanwhile`, async () => {
      const { world, journal, append } = await suspended();
      world.journals.knowsResumes = knowsResumes;
      const pipeline = await world.during(world.pipeline());
      await world.until(() => world.rows().length === 3);
      world.journals.suspend(journal);
      await world.agenda.advance(3_600_000);
      assert.equal(pipeline.health().healthy, true);
      await append();
      await world.until(() => world.rows().length === 5, withinMs);
      assert.doesNotMatch(world.metrics.render(), FAILED);
    });
  }

  test("a process that starts meanwhile -> healthy, and has its next records", async () => {
    const { world, journal, append } = await suspended();
    const first = await world.during(world.pipeline());
    await world.until(() => world.rows().length === 3);
    world.journals.suspend(journal);
    await world.during(first.close());
    const pipeline = await world.during(world.pipeline());
    await world.agenda.advance(60_000);
    assert.equal(pipeline.health().healthy, true);
    await append();
    await world.until(() => world.rows().length === 5, 1500);
    assert.doesNotMatch(world.metrics.render(), FAILED);
  });

  test("a drain -> is done at once", async () => {
    const { world, journal } = await suspended();
    const pipeline = await world.during(world.pipeline());
    await world.until(() => world.rows().length === 3);
    world.journals.suspend(journal);
    await world.agenda.advance(1000);
    const { remaining } = await world.during(pipeline.drain(world.signal), 1000);
    assert.deepEqual([...remaining.keys()], []);
  });

  test("fragments of its sink's other partitions -> removed all the same", async () => {
    const world = await Fixture.open({ fragments: { store: "file:///fragments/", bytes: 100 } });
    const sink = world.sink({ partitions: 2 });
    for (const n of [0, 1]) await world.append(sink, n, 5);
    await world.during(world.pipeline({ cleanup: { fragments: { keptMs: 0, keptBytes: 0 } } }));
    await world.until(() => world.rows().length === 10);
    world.journals.suspend(partitionJournal(sink, 0));
    await world.agenda.advance(60_000);
    const removed = world.fragments.operations.filter(({ operation }) => operation === "remove");
    assert.ok(removed.length > 0, "fragments of partition 1");
    assert.doesNotMatch(world.metrics.render(), FAILED);
  });

  for (const [what, keys] of [
    ["rows without keys -> nothing is kept of them", undefined],
    ["rows with keys -> are kept: repeats are no rows after a restart (D24)", ["a", "b", "c"].map(keyHash)],
  ] as const) {
    test(`all is imported, ${what}`, async () => {
      const world = await Fixture.open({ fragments: { store: "file:///fragments/", bytes: 100 } });
      const sink = world.sink();
      const journal = await world.append(sink, 0, 3, 100, keys);
      const cleanup = { fragments: { keptMs: 0, keptBytes: 0 } };
      const first = await world.during(world.pipeline({ cleanup }));
      await world.until(() => world.rows().length === 3);
      await world.agenda.advance(60_000);
      const removed = world.fragments.operations.some(({ operation }) => operation === "remove");
      const partition = world.storage.view.sink(sink)!.partitions.get(0)!;
      const { length } = world.journals.content(journal);
      assert.equal(removed, keys === undefined);
      assert.equal(isSuspendable(partition, length), keys === undefined);
      await world.during(first.close());
      await world.append(sink, 0, 3, 100, keys);
      await world.append(sink, 0, 1);
      await world.during(world.pipeline({ cleanup }));
      await world.until(() => world.rows().length >= 4);
      await world.agenda.advance(10_000);
      assert.equal(world.rows().length, keys === undefined ? 7 : 4);
    });
  }
});
