// D10: the way out when the holders of a journal's newest bytes are gone for good (ADR 14).
import assert from "node:assert/strict";
import { test } from "node:test";
import { never, text, utf8, WireError } from "@millrace/base";
import { DEFAULT_ROOT, holdersKey } from "@millrace/broker";
import { keyOf } from "@millrace/metadata";
import { filesOf } from "@millrace/wal/testkit";
import { assignmentKey, newAppendRequest } from "@millrace/protocol";
import { ClusterStage, hold, release } from "../cluster-stage.ts";
import type { Machine } from "../machine.ts";

const LONE = { leaseSeconds: 3, journals: [{ name: "lone/one", replication: 1, isStored: false }] };
const NOTHING = { kind: "bytes", bytes: [] } as const;
const NOBODY = /none of the brokers with the newest bytes .* can be reached .*journals reset-head/;

function loseDisk(machine: Machine): void {
  hold(machine, "power");
  machine.loseDisk();
  release(machine);
}

async function served(stage: ClusterStage): Promise<void> {
  await stage.until("every machine serves", () => stage.world.machines.every(({ isServing }) => isServing));
}

/** Asks for nothing until the allocator has given the journal its members, and somebody throws. */
async function refused(stage: ClusterStage): Promise<void> {
  const request = newAppendRequest({ journal: stage.journal.name });
  for (let i = 0; i < 100; i++) {
    const { status } = await stage.finish(
      stage.world.transport(stage.world.machines[0]!).append(request, NOTHING, never),
    );
    assert.notEqual(status, "OK");
    await stage.pass(100);
  }
}

test("reset: the only holder's disk is lost -> appends never reset, reset-head does", async () => {
  const stage = await ClusterStage.open("reset lone", LONE);
  const { machines } = stage.world;
  const [holder] = await stage.route();
  for (let i = 0; i < 3; i++) assert.equal(await stage.append(holder), "acknowledged");
  loseDisk(holder!);
  await served(stage);
  // Neither an append with content, nor one of nothing, whatever else they have of a reset.
  for (const how of [
    {},
    { content: NOTHING },
    { suspend: "SUSPEND_KEEP" as const },
    { offset: 1, content: NOTHING },
  ])
    for (const machine of machines)
      assert.notEqual(await stage.finish(stage.appending(machine, 20, how)), "acknowledged");
  assert.equal((await stage.holders()).segments.length, 1);
  stage.journal.giveUp(await stage.untilReset(machines));
  await stage.untilAcknowledged(machines);
  await stage.end();
});

test("reset: its disk comes back afterwards -> what it had goes to quarantine, and is never shown", async () => {
  const stage = await ClusterStage.open("reset returned", LONE);
  const [holder] = await stage.route();
  const others = stage.world.machines.filter((machine) => machine !== holder);
  for (let i = 0; i < 3; i++) assert.equal(await stage.append(holder), "acknowledged");
  hold(holder!, "power");
  stage.journal.giveUp(await stage.untilReset(others));
  for (let i = 0; i < 5; i++) await stage.untilAcknowledged(others);
  release(holder!);
  await served(stage);
  await stage.replication(3);
  await stage.until("it is a member again", () => stage.world.machines.every((one) => one.isServing));
  await stage.untilAcknowledged(stage.world.machines);
  await stage.end();
  const aside = filesOf(holder!.disk).filter(({ path }) => path.startsWith("quarantine/"));
  assert.notEqual(aside.length, 0, "what was given up is kept aside");
});

test("reset: the only holder is cut off, its session goes on -> nothing is given up", async () => {
  const stage = await ClusterStage.open("reset announced", LONE);
  const [holder, others] = [(await stage.route())[0]!, stage.world.machines];
  assert.equal(await stage.append(holder), "acknowledged");
  const away = others.filter((machine) => machine !== holder);
  // The allocator moves the journal: its holder is needed, and does not answer.
  stage.cut(
    [holder.name],
    away.map(({ name }) => name),
  );
  await stage.replication(3);
  for (let i = 0; i < 3; i++) await assert.rejects(stage.resetHead(away[i % 2]!));
  stage.world.network.heal();
  await stage.untilAcknowledged(stage.world.machines);
  await stage.end();
});

for (const isStored of [false, true]) {
  const where = isStored ? "a store has some" : "no store";
  test(`reset: all three disks are lost, ${where} -> appends go on behind what is known`, async () => {
    const stage = await ClusterStage.open(`reset three ${isStored}`, {
      leaseSeconds: 3,
      journals: [{ name: "three/one", replication: 3, isStored }],
      fragmentBytes: 1024,
    });
    const { machines } = stage.world;
    for (let i = 0; i < 6; i++) assert.equal(await stage.append(machines[i % 3], 500), "acknowledged");
    if (isStored) await stage.pass(400_000);
    assert.equal(await stage.append(machines[0], 500), "acknowledged");
    for (const machine of machines) hold(machine, "power");
    for (const machine of machines) {
      machine.loseDisk();
      release(machine);
    }
    await served(stage);
    assert.notEqual(await stage.append(machines[0]), "acknowledged");
    await assert.rejects(refused(stage), NOBODY);
    stage.journal.giveUp(await stage.untilReset(machines));
    if (isStored) assert.ok(stage.journal.acknowledgedEnd > 0, "the store has something");
    for (let i = 0; i < 4; i++) await stage.untilAcknowledged(machines);
    await stage.end();
  });
}

test("reset: nobody can read the list -> the members' bytes are all there, and a list again", async () => {
  const stage = await ClusterStage.open("reset list", { leaseSeconds: 3 });
  const { machines } = stage.world;
  for (let i = 0; i < 5; i++) assert.equal(await stage.append(machines[i % 3]), "acknowledged");
  const key = keyOf(holdersKey(DEFAULT_ROOT, stage.journal.name));
  const { store } = stage.world.coordination;
  await stage.finish(store.txn({ compare: [], success: [{ kind: "put", key, value: utf8("{}") }] }, never));
  for (const machine of machines) machine.end("power");
  await served(stage);
  assert.notEqual(await stage.append(machines[0]), "acknowledged");
  const head = stage.journal.acknowledgedEnd;
  await stage.untilReset(machines);
  await stage.untilAcknowledged(machines);
  assert.ok(stage.journal.acknowledgedEnd > head);
  await stage.end();
});

test("reset: the list was removed, all restart -> nobody claims what it has; reset-head finds all", async () => {
  const stage = await ClusterStage.open("reset no list", { leaseSeconds: 3 });
  const { machines } = stage.world;
  for (let i = 0; i < 5; i++) assert.equal(await stage.append(machines[i % 3]), "acknowledged");
  const key = keyOf(holdersKey(DEFAULT_ROOT, stage.journal.name));
  const { store } = stage.world.coordination;
  for (const machine of machines) hold(machine, "power");
  await stage.finish(store.txn({ compare: [], success: [{ kind: "delete", key }] }, never));
  for (const machine of machines) release(machine);
  await served(stage);
  assert.notEqual(await stage.append(machines[0]), "acknowledged");
  const { kvs } = await stage.finish(store.range({ key }, never));
  assert.equal(kvs.length, 0, "nobody has written a list");
  await stage.untilReset(machines);
  await stage.untilAcknowledged(machines);
  await stage.end();
});

test("an assignment of a broker that is not there -> it is removed, and appends go on", async () => {
  const stage = await ClusterStage.open("ghost", { leaseSeconds: 3 });
  const { machines } = stage.world;
  assert.equal(await stage.append(machines[0]), "acknowledged");
  const { name: item } = stage.journal;
  const key = assignmentKey(DEFAULT_ROOT, { item, member: { zone: "z9", suffix: "ghost" }, slot: 7 });
  const put = { kind: "put", key, value: utf8("") } as const;
  await stage.finish(stage.world.coordination.store.txn({ compare: [], success: [put] }, never));
  await stage.untilAcknowledged(machines);
  assert.equal((await stage.route()).length, 3);
  await stage.end();
});

test("reset: the newest segment begins behind what is stored -> appends go on there, and it says so", async () => {
  const stage = await ClusterStage.open("reset gap", {
    brokers: 4,
    leaseSeconds: 3,
    journals: [{ name: "gap/one", replication: 3, isStored: true }],
  });
  const { machines } = stage.world;
  for (let i = 0; i < 5; i++) assert.equal(await stage.append(machines[i % 3], 500), "acknowledged");
  const [primary] = await stage.route();
  hold(primary!, "power");
  // Objects are refused, listings are not: nothing more is stored.
  stage.world.fragments.put = () => Promise.reject(new WireError("UNAVAILABLE", "the store takes nothing"));
  const others = machines.filter((machine) => machine !== primary);
  await stage.untilAcknowledged(others);
  const { begin } = (await stage.holders()).segments.at(-1)!;
  for (const machine of others) hold(machine, "power");
  for (const machine of machines) {
    machine.loseDisk();
    release(machine);
  }
  await served(stage);
  await assert.rejects(refused(stage), NOBODY);
  const stored = await stage.resetHead(machines[0]!).catch((error: unknown) => error);
  assert.ok(begin > 0, `the segment begins at ${begin}`);
  assert.match(String(stored), /WRONG_APPEND_OFFSET/);
  stage.journal.giveUp(begin);
  await stage.untilAcknowledged(machines);
  assert.ok(stage.journal.acknowledgedEnd > begin);
});

test("an older list names a broker that has left -> nothing begins anew, the true holder goes on", async () => {
  const stage = await ClusterStage.open("reset older list", { ...LONE, leaseSeconds: 3 });
  const { store } = stage.world.coordination;
  for (let i = 0; i < 3; i++) assert.equal(await stage.append(), "acknowledged");
  const [holder] = await stage.route();
  const key = keyOf(holdersKey(DEFAULT_ROOT, stage.journal.name));
  const [stored] = (await stage.finish(store.range({ key }, never))).kvs;
  const list = JSON.parse(text(stored!.value)) as object;
  hold(holder!, "kill");
  const others = stage.world.machines.filter((machine) => machine !== holder);
  for (const other of others) {
    const segments = [{ epoch: 1, begin: 0, members: [other.holder] }];
    const value = utf8(JSON.stringify({ ...list, segments }));
    await stage.finish(store.txn({ compare: [], success: [{ kind: "put", key, value }] }, never));
    for (let i = 0; i < 20; i++) {
      assert.notEqual(await stage.append(others[i % others.length]), "acknowledged");
      await stage.pass(500);
    }
  }
  const back = [{ kind: "put", key, value: stored!.value }] as const;
  await stage.finish(store.txn({ compare: [], success: back }, never));
  release(holder!);
  await stage.untilAcknowledged(stage.world.machines);
  await stage.end();
});

test("an older list names a broker whose bytes were set aside -> the true holder goes on", async () => {
  const journals = [{ name: "left/one", replication: 2, isStored: false }];
  const stage = await ClusterStage.open("reset left", { brokers: 3, leaseSeconds: 3, journals });
  const { machines, coordination } = stage.world;
  const key = keyOf(holdersKey(DEFAULT_ROOT, stage.journal.name));
  const put = (value: Uint8Array): Promise<unknown> =>
    stage.finish(coordination.store.txn({ compare: [], success: [{ kind: "put", key, value }] }, never));
  for (let i = 0; i < 3; i++) assert.equal(await stage.append(), "acknowledged");
  const [left, stayed] = await stage.route();
  const other = machines.find((machine) => machine !== left && machine !== stayed);
  const [stored] = (await stage.finish(coordination.store.range({ key }, never))).kvs;
  for (const machine of machines) hold(machine, "kill");
  const list = JSON.parse(text(stored!.value)) as { readonly segments: readonly object[] };
  const segments = list.segments.map((segment) => ({ ...segment, members: [stayed!.holder] }));
  await put(utf8(JSON.stringify({ ...list, segments })));
  release(left!);
  await stage.pass(20_000);
  const aside = filesOf(left!.disk).filter(({ path }) => path.startsWith("quarantine/"));
  assert.equal(aside.length > 0, true, "its leftovers are set aside");
  hold(left!, "kill");
  await put(stored!.value);
  release(left!);
  release(other!);
  for (let i = 0; i < 20; i++) {
    assert.notEqual(await stage.append(i % 2 === 0 ? left : other), "acknowledged");
    await stage.pass(500);
  }
  release(stayed!);
  await stage.untilAcknowledged(machines);
  await stage.end();
});

test("etcd is put back from before all holders changed -> nothing is set aside, a reset finds it", async () => {
  const journals = [{ name: "moved/one", replication: 2, isStored: false }];
  const stage = await ClusterStage.open("reset put back", { brokers: 4, leaseSeconds: 3, journals });
  const { machines, coordination } = stage.world;
  const aside = (machine: Machine): number =>
    filesOf(machine.disk).filter(({ path }) => path.startsWith("quarantine/")).length;
  for (let i = 0; i < 3; i++) assert.equal(await stage.append(), "acknowledged");
  const left = await stage.route();
  const stayed = machines.filter((machine) => !left.includes(machine));
  const snapshot = coordination.snapshot();
  // One after the other leaves, and somebody else takes its place.
  for (const machine of left) {
    hold(machine, "kill");
    await stage.pass(10_000);
    await stage.untilAcknowledged(stayed);
  }
  for (const machine of left) release(machine);
  await stage.until("what was left is set aside", () => left.every((machine) => aside(machine) > 0));
  assert.deepEqual(new Set(await stage.route()), new Set(stayed));
  for (const machine of machines) hold(machine, "kill");
  await stage.finish(coordination.putBack(snapshot));
  for (const machine of machines) release(machine);
  await served(stage);
  for (let i = 0; i < 20; i++) {
    assert.notEqual(await stage.append(machines[i % 4]), "acknowledged");
    await stage.pass(500);
  }
  assert.deepEqual(stayed.map(aside), [0, 0]);
  await stage
    .untilReset(machines)
    .catch((error: unknown) => assert.match(String(error), /WRONG_APPEND_OFFSET/));
  await stage.untilAcknowledged(machines);
  await stage.end();
});
