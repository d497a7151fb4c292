// D17: registers move with the log, the checkpoint, hand-off and holders: losing them is losing a fence.
import assert from "node:assert/strict";
import { test } from "node:test";
import { EMPTY_LABELS, labelSet } from "@millrace/protocol";
import { ClusterStage } from "../cluster-stage.ts";
import { suspend } from "../clients.ts";

const REGISTER = "fence";

async function fenced(stage: ClusterStage, expected: string, next?: string): Promise<string> {
  for (let i = 0; ; i++) {
    const result = await stage.finish(
      stage.appending(stage.world.machines[i % stage.world.machines.length], 10, {
        register: { expected, next },
        checkRegisters: { include: labelSet([REGISTER, expected]), exclude: EMPTY_LABELS },
        ...(next === undefined ? {} : { unionRegisters: labelSet([REGISTER, next]) }),
      }),
    );
    if (result === "acknowledged" || result === "mismatch") return result;
    assert.ok(i < 1000, "an answer comes");
    await stage.pass(50);
  }
}

async function isFenced(stage: ClusterStage): Promise<void> {
  assert.equal(await fenced(stage, "old"), "mismatch");
  assert.equal(await fenced(stage, "new"), "acknowledged");
}

async function open(name: string, replication: number): Promise<ClusterStage> {
  const stage = await ClusterStage.open(name, {
    leaseSeconds: 3,
    journals: [{ name: "stored/one", replication, isStored: true }],
    fragmentBytes: 2048,
  });
  assert.equal(await fenced(stage, "", "old"), "acknowledged");
  assert.equal(await fenced(stage, "old", "new"), "acknowledged");
  return stage;
}

test("D17: each broker is lost in turn, then all of them -> a writer that was fenced off stays so", async () => {
  const stage = await open("d17 lost", 3);
  for (const machine of stage.world.machines) {
    machine.isHeldDown = true;
    machine.end("power", false);
    if (stage.world.machines.indexOf(machine) > 0) await stage.pass(5000);
    machine.isHeldDown = false;
    machine.start();
    await isFenced(stage);
  }
  for (const machine of stage.world.machines) machine.end("power");
  await isFenced(stage);
  await stage.end();
});

test("D17: three replicas, one, asleep, and awake -> the same", async () => {
  const stage = await open("d17 asleep", 3);
  assert.ok(await stage.replication(1));
  await isFenced(stage);
  await stage.finish(
    suspend(stage.world, stage.journal.name, stage.world.transport(stage.world.machines[0]!)),
  );
  await stage.pass(2000);
  await isFenced(stage);
  assert.ok(await stage.replication(3));
  await isFenced(stage);
  await stage.end();
});
