// D10: a member comes back with an empty directory, because its volume is not mounted (ADR 15).
import assert from "node:assert/strict";
import { test } from "node:test";
import { ClusterStage, hold, release } from "../cluster-stage.ts";
import type { Machine } from "../machine.ts";

const LEASE_OVER_MS = 20_000;

/** It starts, and says why not, again and again. */
async function refusedAt(stage: ClusterStage, machine: Machine): Promise<void> {
  const before = machine.startsRefused;
  await stage.until(`${machine.name} is refused`, () => machine.startsRefused >= before + 3);
  assert.equal(machine.isServing, false);
}

test("the only holder comes back without its volume -> refused, nothing is lost; mounted -> goes on", async () => {
  const stage = await ClusterStage.open("unmounted lone", {
    leaseSeconds: 3,
    journals: [{ name: "lone/one", replication: 1, isStored: false }],
  });
  const [holder] = await stage.route();
  const others = stage.world.machines.filter((machine) => machine !== holder);
  for (let i = 0; i < 3; i++) assert.equal(await stage.append(holder), "acknowledged");
  hold(holder!, "power");
  holder!.unmount();
  release(holder!);
  await refusedAt(stage, holder!);
  for (const other of others) assert.notEqual(await stage.append(other), "acknowledged");
  hold(holder!, "power");
  holder!.mount();
  release(holder!);
  await stage.untilAcknowledged(others);
  await stage.end();
});

test("one of three comes back without its volume -> taken for a new one, and its volume for a stranger's", async () => {
  const stage = await ClusterStage.open("unmounted one", {
    leaseSeconds: 3,
    journals: [{ name: "local/one", replication: 3, isStored: false }],
  });
  const { machines } = stage.world;
  const [away] = machines;
  for (let i = 0; i < 3; i++) assert.equal(await stage.append(machines[i]), "acknowledged");
  hold(away!, "power");
  away!.unmount();
  release(away!);
  await stage.untilAcknowledged(machines);
  assert.ok((await stage.holders()).segments.at(-1)!.members.includes(away!.holder));
  hold(away!, "power");
  away!.mount();
  release(away!);
  await stage.untilAcknowledged(machines);
  await stage.end();
});

test("all three come back without their volumes -> refused; mounted -> nothing acknowledged is lost", async () => {
  const stage = await ClusterStage.open("unmounted all", {
    leaseSeconds: 3,
    journals: [{ name: "local/one", replication: 3, isStored: false }],
  });
  const { machines } = stage.world;
  for (let i = 0; i < 6; i++) assert.equal(await stage.append(machines[i % 3]), "acknowledged");
  for (const machine of machines) {
    hold(machine, "power");
    machine.unmount();
  }
  await stage.pass(LEASE_OVER_MS);
  for (const machine of machines) release(machine);
  for (const machine of machines) await refusedAt(stage, machine);
  for (const machine of machines) {
    hold(machine, "power");
    machine.mount();
    release(machine);
  }
  await stage.untilAcknowledged(machines);
  await stage.end();
});
