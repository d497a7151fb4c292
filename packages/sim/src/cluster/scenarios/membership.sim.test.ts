// D14 and D15: joining, leaving, and fewer replicas by choice.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ClusterStage } from "../cluster-stage.ts";
import type { Machine } from "../machine.ts";

test("D14: each leaves in turn, the store being away -> it waits until that is back, nothing is lost", async () => {
  const stage = await ClusterStage.open("d14 replaced", {
    brokers: 4,
    journals: [{ name: "stored/one", replication: 2, isStored: true }],
    fragmentBytes: 2048,
  });
  const { fragments, machines } = stage.world;
  const serving = (): Machine[] => machines.filter((one) => one.isServing);
  for (const machine of machines) {
    fragments.faults = { unavailable: 1000 };
    for (let i = 0; i < 5; i++) await stage.untilAcknowledged(serving());
    const isHolder = (await stage.holders()).segments.some(({ members }) =>
      members.includes(`disk-of-${machine.name}`),
    );
    const leaving = machine.drain();
    await stage.pass(5000);
    assert.equal(
      machine.process !== undefined,
      isHolder,
      `${machine.name} is there while it alone holds something`,
    );
    if (isHolder) assert.notEqual(machine.broker!.drain.progress.waitsFor.length, 0);
    fragments.faults = {};
    await stage.untilAcknowledged(serving());
    await stage.finish(leaving, 600_000);
    await stage.untilAcknowledged(serving());
    machine.start();
    await stage.until("it is back", () => machine.isServing);
  }
  await stage.end();
});

test("D15: min-replicas 2 of 3, one is lost -> commits go on; without the label they wait for three", async () => {
  const shape = { replication: 3, isStored: false };
  const stage = await ClusterStage.open("d15 fewer", {
    leaseSeconds: 3,
    journals: [
      { ...shape, name: "local/fewer", labels: { "millrace.dev/min-replicas": "2" } },
      { ...shape, name: "local/all" },
    ],
  });
  const [fewer, all] = stage.world.judges as [never, never];
  const lost = stage.world.machines[2]!;
  lost.isHeldDown = true;
  lost.end("power", false);
  const others = stage.world.machines.slice(0, 2);
  await stage.untilAcknowledged(others, fewer);
  for (let i = 0; i < 5; i++) assert.equal(await stage.append(others[i % 2], 20, all), "refused");
  lost.isHeldDown = false;
  lost.start();
  await stage.untilAcknowledged(others, all);
  await stage.end();
});
