// D2, D5: what a process finds in the log may be in the kernel's memory only, because the process before it was killed
// before its sync, or ended itself after a sync that failed. It builds on what it finds; then the power goes.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ProcessEnded } from "../process.ts";
import { Stage } from "./stage.ts";

/** Ends the process between the write of a group and its sync. */
async function untilWritten(stage: Stage, log: string, request: () => Promise<unknown>): Promise<void> {
  const { world } = stage;
  world.onDiskOp = (line) => {
    if (line.startsWith(`log write ${log}/`)) world.cut(stage.node.process);
  };
  await assert.rejects(request(), ProcessEnded);
  world.onDiskOp = undefined;
}

async function play(seed: number): Promise<Stage> {
  const stage = new Stage(`kill then cut ${seed}`);
  await stage.start();
  await stage.append("before;");
  return stage;
}

/** The next life serves what it finds and builds on it; then the power goes, at whatever moment. */
async function goOnAndCut(stage: Stage): Promise<void> {
  await stage.start();
  for (let i = 0; i < stage.random.below(4); i++) await stage.append(`after ${i};`);
  await stage.send(2);
  stage.crash();
  await stage.end();
}

for (const log of ["log", "coordination/log"]) {
  test(`${log}: killed between write and sync, started again, then a power cut -> nothing is lost`, async () => {
    for (let seed = 0; seed < 20; seed++) {
      const stage = await play(seed);
      await untilWritten(stage, log, () => (log === "log" ? stage.append("unsynced;") : stage.send(1)));
      stage.kill();
      await goOnAndCut(stage);
    }
  });

  test(`${log}: a sync fails, the next process reads what the disk never got, then a power cut`, async () => {
    for (let seed = 0; seed < 20; seed++) {
      const stage = await play(seed);
      stage.world.failNextSync((path) => path.startsWith(`${log}/`));
      const asking = log === "log" ? stage.appending("unsynced;") : stage.sending(1);
      await assert.rejects(stage.pass(5000), ProcessEnded);
      stage.kill();
      void asking;
      await goOnAndCut(stage);
    }
  });
}
