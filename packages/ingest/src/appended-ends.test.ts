// What waits for a table where nobody reads the partitions.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { EffectiveSink } from "./definitions.ts";
import { Fixture } from "./pipeline-fixture.ts";
import type { Pipeline } from "./pipeline.ts";

/** A pipeline without components, as a process with a door alone has it. */
async function door(): Promise<{ world: Fixture; sink: EffectiveSink; pipeline: Pipeline }> {
  const world = await Fixture.open();
  const sink = world.sink();
  return { world, sink, pipeline: await world.during(world.pipeline({ components: [] })) };
}

test("nobody reads -> what this process appended waits; less by what is loaded once somebody does", async () => {
  const { world, sink, pipeline } = await door();
  const journal = await world.append(sink, 0, 3);
  const head = world.journals.journals.get(journal)!.length;
  await world.until(() => pipeline.statistics.lagBytes(sink) === 0);
  await world.agenda.advance(1000);
  pipeline.onAppended({ ...sink, n: 0 }, journal, head);
  assert.deepEqual([pipeline.statistics.lagBytes(sink), pipeline.statistics.allLagBytes()], [head, head]);
  pipeline.onAppended({ ...sink, n: 0 }, journal, head - 1);
  assert.equal(pipeline.statistics.lagBytes(sink), head, "frames of other lanes may settle late");
  const back = await world.during(world.pipeline());
  await world.until(() => pipeline.statistics.lagBytes(sink) === 0);
  await world.during(back.close());
  await world.during(pipeline.close());
});

test("appended to a journal that the partition does not have -> nothing of it waits", async () => {
  const { world, sink, pipeline } = await door();
  await world.append(sink, 0, 3);
  await world.agenda.advance(1000);
  pipeline.onAppended({ ...sink, n: 0 }, "stream/1/1/another/p000", 1000);
  pipeline.onAppended({ ...sink, n: 7 }, "stream/1/1/source/sink/p007", 1000);
  assert.equal(pipeline.statistics.lagBytes(sink), 0);
  await world.during(pipeline.close());
});
