// D26, D27: what nobody needs is not made, and what is done is removed.
import assert from "node:assert/strict";
import { test } from "node:test";
import { listJournals } from "@millrace/client";
import { ANY_LABELS } from "@millrace/protocol";
import { filesOf } from "@millrace/wal/testkit";
import { tableOf } from "../world.ts";
import { Stage } from "./stage.ts";

async function partitionJournals(stage: Stage): Promise<string[]> {
  const { broker, process } = stage.node;
  const { journals } = await stage.finish(listJournals(broker.transport, ANY_LABELS, process.signal));
  return journals.map(({ spec }) => spec.name).filter((name) => name.startsWith("stream/"));
}

test("D26: partitions are made by their first record, once, also when many come at the same time", async () => {
  const stage = new Stage("first records", { sinks: 2, partitions: 2 });
  await stage.start();
  assert.deepEqual(await partitionJournals(stage), []);
  await stage.finish(Promise.all(Array.from({ length: 12 }, () => stage.sending(2))));
  assert.equal((await partitionJournals(stage)).length, 4);
  stage.crash();
  await stage.start();
  assert.equal((await partitionJournals(stage)).length, 4);
  await stage.end();
});

test("D27: imported fragments and staged objects go, unimported ones stay; the stores stay small", async () => {
  const stage = new Stage("removal", { fragmentBytes: 1024, flushIntervalMs: 60_000, keptMs: 60_000 });
  const { world } = stage;
  await stage.start();
  const fragments = (): string[] => world.fragments.keys().filter((key) => key.startsWith("stream/"));
  for (let i = 0; i < 40; i++) {
    await stage.send(8);
    await stage.pass(300);
  }
  await stage.pass(20_000);
  const persisted = fragments().length;
  assert.ok(persisted > 10, `${persisted} fragments`);
  await stage.pass(300_000);
  assert.equal(fragments().length, 0);
  assert.deepEqual(world.staging.keys(), []);
  stage.crash();
  await stage.start();
  await stage.send(8);

  // What the table has not taken is kept, however old it is.
  world.target.faults = { before: 1000 };
  for (let i = 0; i < 10; i++) {
    await stage.send(8);
    await stage.pass(100);
  }
  await stage.pass(600_000);
  assert.ok(fragments().length > 0);
  await stage.end();
  assert.equal(world.target.tables.get(tableOf(0))?.rows.length, 40 * 8 + 8 + 10 * 8);
});

test("D27: files beyond the newest 30 go, and their records stay counted", async () => {
  const stage = new Stage("files");
  await stage.start();
  for (let i = 0; i < 50; i++) {
    await stage.send(2);
    await stage.pass(1000);
  }
  const { statistics } = stage.node.pipeline;
  const sink = statistics.snapshot(stage.world.clock.wallMs())[0]!;
  assert.ok(sink.files.length <= 32, `${sink.files.length} files`);
  assert.equal(sink.loaded, 100);
  await stage.end();
});

test("D27: the coordination store compacts itself; its log and its snapshots stay small", async () => {
  const stage = new Stage("compaction", { historyMs: 5000, segmentBytes: 128 * 1024 });
  await stage.start();
  const bytes: number[] = [];
  for (let round = 0; round < 6; round++) {
    for (let i = 0; i < 60; i++) {
      await stage.send(1);
      await stage.pass(300);
    }
    const files = filesOf(stage.world.disk).filter(({ path }) => path.startsWith("coordination/"));
    bytes.push(files.reduce((sum, file) => sum + file.bytes, 0));
  }
  assert.ok(bytes.at(-1)! < 2_000_000 && bytes.at(-1)! <= 2 * bytes[1]!, bytes.join());
  stage.kill();
  await stage.end();
});
