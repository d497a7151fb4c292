// Several processes that share the pipeline's work: who does what, and what happens when shares move.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Fixture } from "./pipeline-fixture.ts";
import type { PipelineComponent } from "./pipeline.ts";
import type { WorkOwner } from "./work-owner.ts";

/** A share as a test says it is. */
class TestShare implements WorkOwner {
  readonly #listeners = new Set<() => void>();
  #owns: (key: string) => boolean;

  constructor(owns: (key: string) => boolean) {
    this.#owns = owns;
  }

  owns(key: string): boolean {
    return this.#owns(key);
  }

  observe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  become(owns: (key: string) => boolean): void {
    this.#owns = owns;
    for (const listener of this.#listeners) listener();
  }
}

const all = (): boolean => true;
const none = (): boolean => false;
const BOTH: readonly PipelineComponent[] = ["storage-reader", "storage-coordinator"];

/** A process with its shares. */
async function started(world: Fixture, reader: TestShare, coordinator: TestShare) {
  return world.during(
    world.pipeline({ components: BOTH, publishes: true }, { shares: { reader, coordinator } }),
  );
}

test("a partition is read by its owner alone, and its rows come though another process has the sink", async () => {
  const world = await Fixture.open();
  const sink = world.sink({ partitions: 2 });
  const journals = [await world.append(sink, 0, 3), await world.append(sink, 1, 4)];
  const one = await started(world, new TestShare((key) => key === journals[0]), new TestShare(none));
  const two = await started(world, new TestShare((key) => key === journals[1]), new TestShare(all));
  await world.until(() => world.rows().length === 7);
  await world.append(sink, 0, 2);
  await world.until(() => world.rows().length === 9);
  await world.until(() => one.statistics.total(sink).levels.target?.recordsCount === 9);
  await world.during(one.close());
  await world.during(two.close());
});

test("a share moves -> the new owner goes on where the old one was, each row once", async () => {
  const world = await Fixture.open();
  const sink = world.sink({ partitions: 3 });
  const shares = [new TestShare(all), new TestShare(none)] as const;
  const sinks = [new TestShare(all), new TestShare(none)] as const;
  const pipelines = [await started(world, shares[0], sinks[0]), await started(world, shares[1], sinks[1])];
  let appended = 0;
  for (let i = 0; i < 40; i++) {
    await world.append(sink, i % 3, 5);
    appended += 5;
    await world.agenda.advance(i % 7 === 0 ? 400 : 30);
    const holder = i % 2;
    if (i % 5 === 0) {
      shares[holder]!.become(none); // for a moment nobody
      await world.agenda.advance(20);
      shares[1 - holder]!.become(all);
    }
    if (i % 11 === 0) for (const [at, share] of sinks.entries()) share.become(at === holder ? all : none);
  }
  shares[0].become(all);
  sinks[0].become(all);
  await world.until(() => world.rows().length >= appended);
  await world.agenda.advance(10_000);
  assert.equal(world.rows().length, appended);
  for (const pipeline of pipelines) await world.during(pipeline.close());
});

test("nobody's sink -> nothing is rotated or loaded until it is somebody's", async () => {
  const world = await Fixture.open();
  const sink = world.sink();
  const coordinator = new TestShare(none);
  await world.append(sink, 0, 3);
  const pipeline = await started(world, new TestShare(all), coordinator);
  await world.agenda.advance(10_000);
  assert.deepEqual([world.rows().length, world.fileStates(sink)], [0, ["writing"]]);
  const { remaining } = await world.during(pipeline.drain(world.signal));
  assert.equal(remaining.size, 0); // none of it is this process's
  coordinator.become(all);
  await world.until(() => world.rows().length === 3);
  await world.during(pipeline.close());
});

test("a process that owns nothing -> opens no stream of a journal", async () => {
  const world = await Fixture.open();
  const sink = world.sink();
  const journal = await world.append(sink, 0, 3);
  const pipeline = await started(world, new TestShare(none), new TestShare(all));
  await world.agenda.advance(10_000);
  assert.equal(pipeline.statistics.total(sink).total, null);
  assert.equal(world.journals.content(journal).length > 0, true);
  assert.equal(world.rows().length, 0);
  await world.during(pipeline.close());
});
