// D15: fewer replicas by choice.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ClusterStage } from "../cluster-stage.ts";

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
