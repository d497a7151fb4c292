// D9: what is not synced yet exists for nobody: no reader, no head, no statistics, no table, no store. A power cut then
// takes nothing back that anybody has seen.
import assert from "node:assert/strict";
import { test } from "node:test";
import { readHead } from "@millrace/client";
import { readWhole, tailJournal } from "../raw-journals.ts";
import { tableOf } from "../world.ts";
import { Stage } from "./stage.ts";

test("D9: appends and records wait for a slow sync -> nobody sees them, and a power cut takes them", async () => {
  const stage = new Stage("invisible", { fragmentBytes: 1024 });
  const { world, journal } = stage;
  await stage.start();
  await stage.append("seen;");
  await stage.send(3);
  await stage.pass(5000);
  assert.equal(world.target.tables.get(tableOf(0))?.rows.length, 3);
  const before = { end: journal.model.end, objects: world.fragments.keys().length };

  // One operation of the log takes hours from now on; what it holds is written before it is synced.
  let writes = 0;
  world.onDiskOp = (line) => {
    if (line.startsWith("log write log/") && writes++ === 0) world.diskSlowness = 1e9;
  };
  const endTail = tailJournal(world, stage.node, journal);
  const appended = stage.appending("unseen;".repeat(300));
  const sent = stage.sending(4);
  await stage.pass(10_000);
  assert.equal(writes, 1);
  world.onDiskOp = undefined;
  const { broker, process, pipeline } = stage.node;
  const { writeHead } = await stage.finish(readHead(broker.transport, journal.name, process.signal));
  assert.equal(writeHead, before.end);
  assert.equal((await stage.finish(readWhole(world, stage.node, journal.name))).length, before.end);
  assert.equal(journal.readEnd, before.end);
  assert.equal(world.fragments.keys().length, before.objects);
  const [sink] = pipeline.statistics.snapshot(world.clock.wallMs());
  assert.equal(sink?.accepted, 3);
  assert.equal(world.target.tables.get(tableOf(0))?.rows.length, 3);

  endTail();
  world.diskSlowness = 1;
  stage.crash();
  void appended;
  void sent;
  await stage.start();
  await stage.append("after;");
  await stage.end();
});
