// D1 to D6: a whole life with everything in it, ended behind each operation of the disk in turn, and the recovery ended
// likewise; whatever was acknowledged is there afterwards, and nothing else.
import assert from "node:assert/strict";
import { test } from "node:test";
import { useFenced } from "../fenced-writer.ts";
import { usePassing } from "../passing-user.ts";
import { ProcessEnded } from "../process.ts";
import { Stage } from "./stage.ts";

const SWARM = { fragmentBytes: 2048, segmentBytes: 128 * 1024, sinks: 1, partitions: 2 } as const;

/** Of everything something, then a graceful stop. */
async function wholeLife(stage: Stage): Promise<void> {
  const { world } = stage;
  const node = await stage.start();
  const shift = { name: "whole", isOver: false, isDead: false };
  const others = Promise.all([useFenced(world, node, shift), usePassing(world, node, shift)]);
  others.catch(() => undefined);
  try {
    await stage.append("small;");
    await stage.append("direct;".repeat(3000));
    await stage.append("closes its fragment;".repeat(200), world.journals[1]);
    await stage.send(5);
    await stage.pass(600);
    await stage.send(3);
    shift.isOver = true;
    await stage.finish(others);
    await stage.close();
  } finally {
    shift.isOver = shift.isDead = true;
  }
}

async function operationsOfALife(seed: string): Promise<number> {
  const stage = new Stage(seed, SWARM);
  let count = 0;
  stage.world.onDiskOp = () => count++;
  await wholeLife(stage);
  return count;
}

/** Ends the process behind the operation with number `after`. @returns whether it came to that */
async function cutBehind(stage: Stage, after: number, work: () => Promise<unknown>): Promise<boolean> {
  const { world } = stage;
  let left = after;
  world.onDiskOp = () => {
    if (left-- === 0 && world.process !== undefined) world.cut(world.process);
  };
  try {
    await work();
    return false;
  } catch (error) {
    if (!(error instanceof ProcessEnded)) throw error;
    return true;
  } finally {
    world.onDiskOp = undefined;
  }
}

async function runCut(seed: string, at: number): Promise<void> {
  const stage = new Stage(seed, SWARM);
  const end = (how: number): void => (how % 2 === 0 ? stage.crash() : stage.kill());
  // Behind the last operations it may have ended by itself.
  if (await cutBehind(stage, at, () => wholeLife(stage))) end(at);
  else stage.world.disk.crash();
  // The recovery is cut off too, the other way.
  if (await cutBehind(stage, stage.random.below(40), () => stage.startUnchecked())) end(at + 1);
  else stage.crash();
  await stage.start();
  await stage.append("and on;");
  stage.crash();
  await stage.end();
}

test("D1-D6: a life ended behind any operation of the disk -> nothing acknowledged is lost", async () => {
  const seed = "every operation";
  const count = await operationsOfALife(seed);
  assert.ok(count > 100, `${count} operations`);
  for (let at = 0; at < count; at++) {
    await runCut(seed, at).catch((cause: unknown) => {
      throw new Error(`cut behind operation ${at} of ${count}: ${String(cause)}`, { cause });
    });
  }
});
