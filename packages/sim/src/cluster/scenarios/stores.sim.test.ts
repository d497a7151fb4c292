// D18 among several brokers: what one of them has cut short in the store, and what the others make of it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ClusterStage } from "../cluster-stage.ts";

test("D18: objects are cut short, primaries die behind them -> no broker lets go of what the store lacks", async () => {
  const stage = await ClusterStage.open("d18 torn", {
    brokers: 4,
    leaseSeconds: 3,
    journals: [{ name: "stored/one", replication: 2, isStored: true }],
    fragmentBytes: 1024,
    // Half of the objects, each time until it is there whole.
    tornObjects: 500,
  });
  const { world } = stage;
  world.tornObjects = 500;
  for (let round = 0; round < 6; round++) {
    for (let i = 0; i < 4; i++) await stage.untilAcknowledged(world.machines);
    for (let i = 0; i < 4; i++) await stage.append(world.machines[i], 600);
    const [primary] = await stage.route();
    primary!.end(round % 2 === 0 ? "power" : "kill");
    await stage.untilAcknowledged(world.machines);
  }
  assert.ok((world.tally.get("torn object") ?? 0) > 3, "objects were cut short");
  // Replicas look after two to three minutes.
  await stage.pass(400_000);
  await stage.end();
  for (const machine of world.machines) assert.equal(machine.broker!.backlog().count, 0);
});
