// D17: registers move with the log, the checkpoint, hand-off and holders: losing them is losing a fence.
import assert from "node:assert/strict";
import { test } from "node:test";
import { never } from "@millrace/base";
import { EMPTY_LABELS, labelSet, type LabelSet } from "@millrace/protocol";
import { ClusterStage, hold, release } from "../cluster-stage.ts";
import { changeReplication, changeSpec, suspend } from "../clients.ts";
import type { Machine } from "../machine.ts";

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

async function open(name: string, replication: number, isStored = true): Promise<ClusterStage> {
  const stage = await ClusterStage.open(name, {
    leaseSeconds: 3,
    journals: [{ name: "fenced/one", replication, isStored }],
    fragmentBytes: 2048,
  });
  assert.equal(await fenced(stage, "", "old"), "acknowledged");
  assert.equal(await fenced(stage, "old", "new"), "acknowledged");
  return stage;
}

test("D17: each broker is lost in turn, then all of them -> a writer that was fenced off stays so", async () => {
  const stage = await open("d17 lost", 3);
  for (const machine of stage.world.machines) {
    hold(machine, "power");
    if (stage.world.machines.indexOf(machine) > 0) await stage.pass(5000);
    release(machine);
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

test("D17: asleep, its list closed, every disk lost -> it wakes where it ended, fenced as it was", async () => {
  const stage = await open("d17 closed", 3, false);
  const { world, journal } = stage;
  const [first] = world.machines;
  const transport = world.transport(first!);
  const forgotten = changeSpec(
    world,
    journal.name,
    "retention",
    (spec) => ({ ...spec, fragment: { ...spec.fragment, retentionMs: 1000 } }),
    transport,
  );
  assert.ok(await stage.finish(forgotten));
  // A new route begins a new fragment, and what is complete may go.
  assert.ok(await stage.replication(2));
  await stage.untilAcknowledged(world.machines);
  assert.ok(await stage.replication(3));
  const end = journal.acknowledgedEnd;
  for (let i = 0; (await stage.holders()).tail.kind !== "closed"; i++) {
    assert.ok(i < 20, "its list is closed");
    await stage.pass(30_000);
    await stage.finish(suspend(world, journal.name, transport));
  }
  for (const machine of world.machines) {
    machine.end("power", false);
    machine.loseDisk();
    machine.start();
  }
  await stage.until("all serve", () => world.machines.every(({ isServing }) => isServing));
  await isFenced(stage);
  assert.equal(journal.appends.at(-1)!.begin, end);
});

test("D17: who is brought cuts an append that set the register, and its source dies -> fenced as it was", async () => {
  const stage = await open("d17 cut", 2, false);
  const { world, journal } = stage;
  const [primary, replica] = await stage.route();
  assert.ok(primary !== undefined && replica !== undefined);
  const end = journal.acknowledgedEnd;
  // Of a stream that has ended: nobody acknowledged either.
  const hidden = labelSet([REGISTER, "hidden"]);
  await put(stage, primary, undefined);
  await put(stage, replica, hidden);
  assert.ok(stage.spool(replica).syncedEnd > end);
  // The primary activates another route, with its own bytes, and dies before they are copied.
  const widened = changeReplication(world, journal.name, 3, world.transport(primary));
  await stage.until("the replica has cut", () => replica.spools.get(journal.name)?.syncedEnd === end);
  hold(primary, "power");
  await stage.finish(widened);
  await stage.pass(10_000);
  assert.ok(await stage.replication(2));
  await isFenced(stage);
  release(primary);
  await stage.end();
});

/** Bytes of an append whose outcome nobody knows, synced at one broker alone. */
async function put(stage: ClusterStage, machine: Machine, registers: LabelSet | undefined): Promise<void> {
  const { journal, random } = stage;
  const register = registers === undefined ? undefined : { expected: "new", next: "hidden" };
  const one = journal.begin(registers === undefined ? 20 : 30, random, register);
  journal.lose(one);
  const append = stage.spool(machine, journal).openAppend(false);
  await append.write(one.bytes, never);
  await stage.finish(new Promise((resolve) => append.commit(registers, resolve)));
}
