// D20, D21, D23: each acknowledged record is one row, whatever comes between frame, slice and table.
import assert from "node:assert/strict";
import { test } from "node:test";
import { CALM, type Faults } from "../options.ts";
import { tableOf } from "../world.ts";
import { Stage } from "./stage.ts";

function faults(some: Partial<Faults>): { readonly faults: Faults } {
  return { faults: { ...CALM.faults, ...some } };
}

function rowsOf(stage: Stage): number {
  return stage.world.target.tables.get(tableOf(0))?.rows.length ?? 0;
}

test("D20: answers are lost -> the same frame again, and one row for each record", async () => {
  const stage = new Stage("lost answers", faults({ lostAnswers: 700 }));
  await stage.start();
  for (let i = 0; i < 20; i++) await stage.send(3);
  stage.world.heal();
  stage.node.frames.lostAnswers = 0;
  await stage.end();
  assert.equal(rowsOf(stage), 60);
});

test("D20: killed between the commit of a frame and its answer -> at most one row", async () => {
  for (let after = 0; after < 12; after++) {
    const stage = new Stage(`no answer ${after}`);
    await stage.start();
    await stage.send(2);
    let left = after;
    stage.world.onDiskOp = () => {
      if (left-- === 0) stage.world.cut(stage.node.process);
    };
    const sending = stage.sending(4);
    await stage.pass(3000).catch(() => undefined);
    stage.world.onDiskOp = undefined;
    if (after % 2 === 0) stage.kill();
    else stage.crash();
    void sending;
    await stage.start();
    await stage.send(3);
    await stage.end();
    assert.ok([5, 9].includes(rowsOf(stage)), `${after}: ${rowsOf(stage)} rows`);
  }
});

test("D23: the target commits and its answer is lost, or comes late -> loaded once", async () => {
  const stage = new Stage("target", faults({ target: 300 }));
  await stage.start();
  for (let i = 0; i < 30; i++) {
    await stage.send(2);
    await stage.pass(400);
  }
  await stage.end();
  assert.equal(rowsOf(stage), 60);
});

test("D21, D23: killed at any moment between records and their rows -> every record is one row", async () => {
  for (let ms = 0; ms < 900; ms += 45) {
    const stage = new Stage(`between ${ms}`, { partitions: 2 });
    await stage.start();
    for (let i = 0; i < 4; i++) {
      await stage.send(3);
      await stage.pass(70);
    }
    await stage.pass(ms);
    if (ms % 2 === 0) stage.kill();
    else stage.crash();
    await stage.start();
    await stage.send(1);
    await stage.end();
    assert.equal(rowsOf(stage), 13);
  }
});
