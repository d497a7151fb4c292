// D10 and D11: who holds the newest bytes, and which bytes of an earlier route count.
import assert from "node:assert/strict";
import { test } from "node:test";
import { never, utf8 } from "@millrace/base";
import { getJournal, type JournalTransport } from "@millrace/client";
import { newAppendRequest, newJournalSpec } from "@millrace/protocol";
import { filesOf } from "@millrace/wal/testkit";
import { ClusterStage, hold, release } from "../cluster-stage.ts";

const LONE = { journals: [{ name: "lone/one", replication: 1, isStored: false }] };

test("D10: the only holder is away -> appends are refused, nobody begins at 0; it returns -> they go on", async () => {
  const stage = await ClusterStage.open("d10 lone", { ...LONE, leaseSeconds: 3 });
  const [holder] = await stage.route();
  assert.equal(await stage.append(holder), "acknowledged");
  hold(holder!, "kill");
  const others = stage.world.machines.filter((machine) => machine !== holder);
  // Beyond its lease: the journal is another broker's by then.
  for (let i = 0; i < 10; i++) {
    assert.notEqual(await stage.append(others[i % 2]), "acknowledged");
    await stage.pass(1000);
  }
  release(holder!);
  await stage.untilAcknowledged(others);
  await stage.end();
});

test("D10: the only holder of a journal that nobody wrote to is away past its lease -> it takes appends", async () => {
  const stage = await ClusterStage.open("d10 never written", { ...LONE, leaseSeconds: 3 });
  const { machines } = stage.world;
  const journal = "lone/new";
  const any = (): JournalTransport => stage.world.transport(machines.find(({ isServing }) => isServing)!);
  const upsert = newJournalSpec({ name: journal, replication: 1 });
  Object.assign(upsert.fragment, {
    length: 1 << 20,
    compressionCodec: "NONE",
    refreshIntervalMs: 60_000,
    stores: [],
  });
  const changes = [{ expectModRevision: 0, upsert, delete: "" }];
  await stage.finish(any().apply({ changes }, never));
  await stage.pass(5000);
  const { route } = await stage.finish(getJournal(any(), journal, never));
  const holder = stage.world.machine(route.members[0]!.suffix);
  hold(holder, "power");
  await stage.pass(20_000);
  release(holder);
  await stage.until("every machine serves", () => machines.every(({ isServing }) => isServing));
  await stage.pass(10_000);
  const content = { kind: "bytes", bytes: [utf8("x")] } as const;
  const { status } = await stage.finish(any().append(newAppendRequest({ journal }), content, never));
  assert.equal(status, "OK");
  await stage.end();
});

test("D10: power goes everywhere while appends are under way, many times -> nothing acknowledged is lost", async () => {
  const stage = await ClusterStage.open("d10 blackouts");
  for (let round = 0; round < 5; round++) {
    const appends = Array.from({ length: 20 }, (_, i) =>
      stage.appending(stage.world.machines[i % 3], 100 * i),
    );
    await stage.pass(1 + stage.random.below(6));
    for (const machine of stage.world.machines) machine.end("power");
    await stage.finish(Promise.all(appends));
    await stage.untilAcknowledged(stage.world.machines);
  }
  await stage.end();
});

test("D10: from three replicas to one and back, the holders restarting -> all is there", async () => {
  const stage = await ClusterStage.open("d10 narrow");
  for (const count of [1, 3, 2, 3]) {
    assert.ok(await stage.replication(count));
    await stage.untilAcknowledged(stage.world.machines);
    await stage.pass(1000);
    const route = await stage.route();
    assert.equal(route.length, count);
    for (const machine of route) machine.end("power");
    await stage.untilAcknowledged(stage.world.machines);
  }
  await stage.end();
});

test("D10: each disk is lost for good in turn, its broker comes back with an empty one -> nothing is", async () => {
  const stage = await ClusterStage.open("d10 disks", {
    leaseSeconds: 3,
    journals: [{ name: "stored/one", replication: 3, isStored: true }],
    fragmentBytes: 2048,
  });
  for (const machine of stage.world.machines) {
    for (let i = 0; i < 5; i++) await stage.untilAcknowledged(stage.world.machines);
    const lost = machine.holder;
    hold(machine, "power");
    machine.loseDisk();
    release(machine);
    await stage.untilAcknowledged(stage.world.machines);
    assert.ok((await stage.holders()).segments.at(-1)!.members.includes(machine.holder));
    // Once the store has what is older, nobody asks for that disk any more.
    for (let i = 0; ; i++) {
      const { segments } = await stage.holders();
      if (!segments.some(({ members }) => members.includes(lost))) break;
      assert.ok(i < 100, "the lost disk is not needed any more");
      await stage.pass(5000);
    }
  }
  await stage.end();
});

test("D10: the disk of the only holder is lost -> appends are refused, and nothing begins at 0", async () => {
  const stage = await ClusterStage.open("d10 lone disk", { ...LONE, leaseSeconds: 3 });
  const [holder] = await stage.route();
  await stage.append(holder);
  hold(holder!, "power");
  holder!.loseDisk();
  release(holder!);
  for (let i = 0; i < 10; i++) {
    assert.notEqual(await stage.append(stage.world.machines[i % 3]), "acknowledged");
    await stage.pass(1000);
  }
});

test("D10: an operator's list -> it names who holds what, and no more than its members", async () => {
  const stage = await ClusterStage.open("d10 list");
  await stage.append();
  const list = await stage.holders();
  assert.deepEqual(list.tail, { kind: "held" });
  assert.deepEqual(
    [...list.segments.at(-1)!.members].sort(),
    stage.world.machines.map(({ name }) => `disk-of-${name}`),
  );
});

test("D11: a primary is cut off with unacknowledged bytes -> others write there, its own never show", async () => {
  const stage = await ClusterStage.open("d11 overtaken", {
    brokers: 4,
    leaseSeconds: 3,
    journals: [{ name: "stored/one", replication: 3, isStored: true }],
    fragmentBytes: 2048,
  });
  const [primary] = await stage.threeOf();
  const before = stage.journal.acknowledgedEnd;
  const peers = stage.everybodyBut(primary).filter((name) => name !== "clients");
  for (const peer of peers) stage.world.network.cut(primary.name, peer);
  const lost = stage.appending(primary, 700);
  await stage.until("it has its own bytes", () => stage.spool(primary).syncedEnd > before);
  stage.cut([primary.name], peers);
  const others = stage.world.machines.filter((machine) => machine !== primary);
  await stage.untilAcknowledged(others);
  for (let i = 0; i < 20; i++) assert.equal(await stage.append(others[i % 3], 300), "acknowledged");
  await stage.finish(lost);
  stage.world.network.heal();
  await stage.until("it serves again", () => primary.isServing);
  // One of the others goes: the journal comes back to it.
  hold(others[0]!, "kill");
  await stage.untilAcknowledged([primary]);
  await stage.end();
  const aside = filesOf(primary.disk).filter(({ path }) => path.startsWith("quarantine/"));
  assert.notEqual(aside.length, 0, "its own bytes are kept aside");
});

test("D11: it restarts with them -> nothing of them is shown before the list has judged", async () => {
  const stage = await ClusterStage.open("d11 restarted", { brokers: 4, leaseSeconds: 3 });
  const [primary, near, far] = await stage.threeOf();
  const before = stage.journal.acknowledgedEnd;
  for (const peer of [near, far]) stage.world.network.cut(primary.name, peer.name);
  const lost = stage.appending(primary, 700);
  await stage.until("it has its own bytes", () => stage.spool(primary).syncedEnd > before);
  hold(primary, "power");
  await stage.untilAcknowledged(stage.world.machines.filter((machine) => machine !== primary));
  await stage.finish(lost);
  stage.world.network.heal();
  release(primary);
  await stage.until("it serves", () => primary.isServing);
  await stage.read(primary);
  await stage.end();
});

test("D10: an older copy of a data directory is put back and starts first -> nothing is lost", async () => {
  const stage = await ClusterStage.open("d10 older copy", {
    brokers: 3,
    leaseSeconds: 3,
    journals: [{ name: "local/one", replication: 3, isStored: false }],
  });
  const { machines } = stage.world;
  const [back, ...whole] = machines;
  for (let i = 0; i < 3; i++) assert.equal(await stage.append(machines[i]), "acknowledged");
  hold(back!, "power");
  const copy = back!.disk.copy();
  release(back!);
  await stage.untilAcknowledged(machines);
  for (let i = 0; i < 5; i++) await stage.append(machines[i % 3], 100);
  for (const machine of machines) hold(machine, "power");
  back!.disk.putBack(copy);
  release(back!);
  // It is alone for longer than the leases of the others: it may serve nobody.
  await stage.pass(10_000);
  assert.notEqual(await stage.append(back), "acknowledged");
  for (const machine of whole) release(machine);
  await stage.untilAcknowledged(whole);
  await stage.end();
  assert.equal(stage.world.tally.get("directory renewed"), 1);
});

test("D10: a copy is taken of a broker's directory that is in use, and put back later -> nothing is lost", async () => {
  const stage = await ClusterStage.open("d10 hot copy", {
    brokers: 3,
    leaseSeconds: 3,
    journals: [{ name: "local/one", replication: 3, isStored: false }],
  });
  const { machines } = stage.world;
  const [back, ...whole] = machines;
  for (let i = 0; i < 3; i++) assert.equal(await stage.append(machines[i]), "acknowledged");
  const copy = back!.disk.copy();
  await stage.pass(61_000);
  for (let i = 0; i < 5; i++) await stage.append(machines[i % 3], 100);
  for (const machine of machines) hold(machine, "power");
  back!.disk.putBack(copy);
  release(back!);
  await stage.pass(10_000);
  assert.notEqual(await stage.append(back), "acknowledged");
  for (const machine of whole) release(machine);
  await stage.untilAcknowledged(whole);
  await stage.end();
  assert.equal(stage.world.tally.get("directory renewed"), 1);
});
