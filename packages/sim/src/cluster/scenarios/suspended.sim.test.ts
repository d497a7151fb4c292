// D10: a journal that is suspended to one replica needs that broker for what no store has, and for nothing else.
import assert from "node:assert/strict";
import { test } from "node:test";
import { suspend } from "../clients.ts";
import { ClusterStage, hold, release } from "../cluster-stage.ts";
import type { Machine } from "../machine.ts";

/** Until it is writable on another broker, virtual. */
const WRITABLE_MS_MAX = 30_000;

async function opened(name: string, replication: number): Promise<ClusterStage> {
  const stage = await ClusterStage.open(name, {
    brokers: 4,
    leaseSeconds: 20,
    journals: [{ name: "stored/one", replication, isStored: true }],
    fragmentBytes: 2048,
  });
  for (let i = 0; i < 5; i++) await stage.untilAcknowledged(stage.world.machines);
  return stage;
}

/** @returns the one broker that it keeps */
async function suspended(stage: ClusterStage): Promise<Machine> {
  const [asked] = stage.world.machines.filter(({ isServing }) => isServing);
  await stage.finish(suspend(stage.world, stage.journal.name, stage.world.transport(asked!)));
  for (let i = 0; ; i++) {
    const [primary, ...others] = await stage.route();
    if (others.length === 0) return primary!;
    assert.ok(i < 30, "one broker keeps it");
    await stage.pass(1000);
  }
}

async function untilClosed(stage: ClusterStage): Promise<void> {
  for (let i = 0; (await stage.holders()).tail.kind !== "closed"; i++) {
    assert.ok(i < 60, "the list is closed");
    await stage.pass(1000);
  }
}

for (const replication of [1, 3]) {
  test(`D10: suspended from ${replication} to one, all in the store, that broker is lost -> others write`, async () => {
    const stage = await opened(`d10 suspended ${replication}`, replication);
    const { machines } = stage.world;
    for (let round = 0; round < 3; round++) {
      const lost = await suspended(stage);
      await untilClosed(stage);
      hold(lost, "power");
      lost.loseDisk();
      const others = machines.filter((machine) => machine !== lost);
      const tookMs = await stage.untilAcknowledged(others);
      assert.ok(tookMs <= WRITABLE_MS_MAX, `writable after ${tookMs} ms`);
      release(lost);
      await stage.until("it is back", () => lost.isServing);
      // Only now may the next one be lost for good.
      for (let i = 0; i < 5; i++) await stage.untilAcknowledged(machines);
    }
    await stage.end();
    for (const machine of machines)
      assert.equal((await stage.read(machine)).length, stage.journal.acknowledgedEnd);
  });
}

test("D10: suspended to one replica, not all in the store, that broker is away -> it is waited for", async () => {
  const stage = await opened("d10 suspended unstored", 3);
  const { machines, fragments } = stage.world;
  fragments.script = (operation) => (operation === "put" ? "unavailable" : undefined);
  for (let i = 0; i < 5; i++) await stage.untilAcknowledged(machines);
  const keeps = await suspended(stage);
  await stage.pass(60_000);
  const { segments, tail } = await stage.holders();
  assert.equal(tail.kind, "held");
  assert.deepEqual(segments.at(-1)!.members, [keeps.holder]);
  hold(keeps, "power");
  const others = machines.filter((machine) => machine !== keeps);
  for (let i = 0; i < 20; i++) {
    assert.notEqual(await stage.append(others[i % 3]), "acknowledged");
    await stage.pass(1000);
  }
  assert.equal((await stage.holders()).tail.kind, "held");
  fragments.script = undefined;
  release(keeps);
  await stage.untilAcknowledged(machines);
  await stage.end();
});

test("D10: suspended and resumed over and over, brokers dying -> nothing acknowledged is lost", async () => {
  for (const replication of [1, 2]) {
    const stage = await opened(`d10 suspended storm ${replication}`, replication);
    const { machines } = stage.world;
    for (let round = 0; round < 20; round++) {
      const [asked] = machines.filter(({ isServing }) => isServing);
      await stage.finish(suspend(stage.world, stage.journal.name, stage.world.transport(asked!)));
      // Some find the list closed, some an upkeep that is about to close it, some neither.
      await stage.pass(1 + stage.random.below(16_000));
      const appends = Array.from({ length: 4 }, (_, i) => stage.appending(machines[i], 100 * i + 1));
      await stage.pass(1 + stage.random.below(20));
      if (round % 3 === 0) machines[stage.random.below(4)]!.end(round % 2 === 0 ? "power" : "kill");
      await stage.finish(Promise.all(appends), 120_000);
      await stage.untilAcknowledged(machines);
    }
    await stage.end();
  }
});
