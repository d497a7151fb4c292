// D14 and D15: joining, leaving, and fewer replicas by choice.
import assert from "node:assert/strict";
import { test } from "node:test";
import { never, utf8 } from "@millrace/base";
import { keyOf } from "@millrace/metadata";
import { changeReplication } from "../clients.ts";
import { NO_CLUSTER_CONTROLS } from "../cluster-options.ts";
import { ClusterStage, hold, release } from "../cluster-stage.ts";
import type { Machine } from "../machine.ts";
import { ETCD } from "../remote-coordination.ts";

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

/** Two brokers of a journal go for good, one after the other. @returns what a reader gets then */
async function replacedTwice(withoutCopying: boolean): Promise<boolean> {
  const swarm = {
    brokers: 4,
    leaseSeconds: 3,
    fragmentBytes: 2048,
    journals: [{ name: "local/one", replication: 2, isStored: false }],
  };
  const stage = await ClusterStage.open("d14 joined", swarm, { ...NO_CLUSTER_CONTROLS, withoutCopying });
  const { machines } = stage.world;
  const serving = (): Machine[] => machines.filter((one) => one.isServing);
  for (let i = 0; i < 60; i++) assert.equal(await stage.append(undefined, 50 + 10 * i), "acknowledged");
  const old = await stage.route();
  for (const machine of old) {
    hold(machine, "power");
    await stage.untilAcknowledged(serving());
    await stage.pass(10_000);
    await stage.untilAcknowledged(serving());
  }
  const route = await stage.route();
  assert.ok(route.length === 2 && route.every((machine) => !old.includes(machine)));
  let isWhole = true;
  for (const machine of route) {
    const content = await stage.read(machine).catch(() => undefined);
    isWhole &&= content?.length === stage.journal.acknowledgedEnd;
  }
  if (!isWhole) return false;
  const { segments } = await stage.holders();
  const names = route.map(({ name }) => `disk-of-${name}`).sort();
  for (const { members } of segments) assert.deepEqual([...members].sort(), names);
  // A restart judges what was copied.
  for (const machine of route) machine.end("power");
  await stage.until("both are back", () => route.every((machine) => machine.isServing));
  await stage.untilAcknowledged(route);
  for (const machine of old) {
    release(machine);
  }
  await stage.end();
  return true;
}

test("D14: all who held old bytes go for good after others joined -> every acknowledged byte is read", async () => {
  assert.equal(await replacedTwice(false), true);
});

test("D14, control: nothing is copied -> what was acknowledged first is gone with them", async () => {
  assert.equal(await replacedTwice(true), false);
});

test("D14: the store is away -> who is drained leaves as soon as the others have everything", async () => {
  const stage = await ClusterStage.open("d14 leaves", {
    brokers: 4,
    journals: [{ name: "stored/one", replication: 2, isStored: true }],
    fragmentBytes: 2048,
  });
  const { fragments, machines } = stage.world;
  const serving = (): Machine[] => machines.filter((one) => one.isServing);
  await stage.pass(5000);
  for (let round = 0; round < 3; round++) {
    fragments.faults = { unavailable: 1000 };
    for (let i = 0; i < 20; i++) await stage.untilAcknowledged(serving());
    const [primary] = await stage.route();
    const leaving = primary!.drain();
    await stage.pass(5000);
    assert.match(primary!.broker!.drain.progress.waitsFor.join(), /1 journal with bytes here that no store/);
    await stage.finish(leaving, 120_000);
    fragments.faults = {};
    await stage.untilAcknowledged(serving());
    primary!.start();
    await stage.until("it is back", () => primary!.isServing);
  }
  await stage.end();
});

test("D14: a journal without stores, every broker is replaced -> each leaves, all of it is there", async () => {
  const stage = await ClusterStage.open("d14 unstored", {
    brokers: 4,
    journals: [{ name: "local/one", replication: 2, isStored: false }],
    fragmentBytes: 2048,
  });
  const serving = (): Machine[] => stage.world.machines.filter((one) => one.isServing);
  for (let round = 0; round < 6; round++) {
    for (let i = 0; i < 10; i++) await stage.untilAcknowledged(serving());
    const [primary] = await stage.route();
    await stage.finish(primary!.drain(), 120_000);
    await stage.untilAcknowledged(serving());
    primary!.start();
    await stage.until("it is back", () => primary!.isServing);
  }
  const route = await stage.route();
  for (const machine of stage.world.machines) {
    if (route.includes(machine)) continue;
    hold(machine, "power");
  }
  for (const machine of route)
    assert.equal((await stage.read(machine)).length, stage.journal.acknowledgedEnd);
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
  hold(lost, "power");
  const others = stage.world.machines.slice(0, 2);
  await stage.untilAcknowledged(others, fewer);
  for (let i = 0; i < 5; i++) assert.equal(await stage.append(others[i % 2], 20, all), "refused");
  release(lost);
  await stage.untilAcknowledged(others, all);
  await stage.end();
});

test("a replica loads its keyspace anew, later than anything below the prefix -> its journal goes on", async () => {
  const stage = await ClusterStage.open("loaded anew", { brokers: 3, leaseSeconds: 20 });
  const { network, coordination } = stage.world;
  const [primary, near, far] = await stage.threeOf();
  network.cut(far.name, ETCD);
  const at = stage.world.transport(primary);
  for (const count of [2, 3]) {
    await stage.finish(changeReplication(stage.world, stage.journal.name, count, at));
    await stage.pass(2000);
  }
  const { store } = coordination;
  const elsewhere = { kind: "put", key: keyOf("elsewhere"), value: utf8("x") } as const;
  const { header } = await stage.finish(store.txn({ compare: [], success: [elsewhere] }, never));
  await stage.finish(store.compact(header.revision, never));
  network.heal();
  const tookMs = await stage.untilAcknowledged([primary, near, far]);
  assert.ok(tookMs <= 30_000, `writable after ${tookMs} ms`);
  await stage.end();
});
