// D9: only the acknowledged exists.
import assert from "node:assert/strict";
import { test } from "node:test";
import { never, WireError } from "@millrace/base";
import { newReadRequest } from "@millrace/protocol";
import { ClusterStage, hold, release } from "../cluster-stage.ts";
import type { Machine } from "../machine.ts";

test("D9: one of three does not answer -> nobody is shown what the others have, until it does", async () => {
  const stage = await ClusterStage.open("d9 shown");
  const { network } = stage.world;
  const [primary, near, far] = await stage.threeOf();
  await stage.pass(100);
  const before = stage.journal.acknowledgedEnd;
  stage.cut([near.name], [far.name]);
  network.cut(primary.name, far.name);
  const appending = stage.appending(primary, 500);
  await stage.until("both have it synced", () =>
    [primary, near].every((machine) => stage.spool(machine).syncedEnd > before),
  );
  for (const machine of [primary, near, far]) {
    assert.equal(stage.spool(machine).end, before, `the disk of ${machine.name}`);
    if (machine !== far)
      assert.equal((await stage.read(machine)).length, before, `a reader at ${machine.name}`);
  }
  network.heal();
  await stage.finish(appending);
  await stage.end();
});

test("D9: the primary dies before its last replica has it, and with power -> what was shown stays", async () => {
  for (const how of ["kill", "power"] as const) {
    const stage = await ClusterStage.open(`d9 ${how}`, { brokers: 4, leaseSeconds: 3 });
    const [primary, near, far] = await stage.threeOf();
    const before = stage.journal.acknowledgedEnd;
    stage.world.network.cut(primary.name, far.name);
    const appending = stage.appending(near, 500);
    await stage.until("both have it synced", () => stage.spool(near).syncedEnd > before);
    assert.equal((await stage.read(near)).length, before);
    hold(primary, how);
    await stage.untilAcknowledged(stage.world.machines.filter((machine) => machine !== primary));
    await stage.finish(appending);
    await stage.end();
  }
});

for (const replication of [1, 3]) {
  test(`D9: all are killed and start again, R=${replication} -> nobody is told of an earlier end`, async () => {
    const name = `d9 restarts ${replication}`;
    const stage = await ClusterStage.open(name, {
      brokers: 3,
      journals: [{ name: "restarts/one", replication, isStored: false }],
    });
    const { machines } = stage.world;
    for (let round = 0; round < 5; round++) {
      await stage.untilAcknowledged(machines);
      const end = stage.journal.acknowledgedEnd;
      for (const machine of machines) hold(machine, "kill");
      for (const machine of machines) release(machine);
      const answered = new Set<Machine>();
      for (let i = 0; answered.size < machines.length; i++) {
        assert.ok(i < 5000, "all of them answer");
        await stage.pass(20);
        for (const machine of machines.filter(({ isServing }) => isServing)) {
          const content = await stage.read(machine).catch((error: unknown) => WireError.from(error));
          if (content instanceof WireError) continue;
          assert.equal(content.length, end, `a reader at ${machine.name}`);
          answered.add(machine);
        }
      }
    }
    await stage.end();
  });
}

test("D9: a primary falls silent after an answer -> no replica says that the journal ends before", async () => {
  const stage = await ClusterStage.open("d9 silent", { brokers: 4, leaseSeconds: 15 });
  const [primary, near, far] = await stage.threeOf();
  const { journal, world } = stage;
  const statusAt = async (machine: Machine, offset: number): Promise<string> => {
    const request = newReadRequest({ journal: journal.name, offset });
    try {
      for await (const { status } of world.transport(machine).read(request, never)) return status;
      return "nothing";
    } catch (error) {
      return WireError.from(error).code;
    }
  };
  const seen: string[] = [];
  for (let round = 0; round < 3; round++) {
    const before = journal.acknowledgedEnd;
    await stage.append(primary);
    const { process } = primary;
    process!.pause();
    for (const machine of [near, far]) seen.push(await stage.finish(statusAt(machine, before)));
    process!.resume();
    await stage.untilAcknowledged([primary]);
  }
  for (const status of seen) assert.ok(["OK", "UNAVAILABLE"].includes(status), seen.join());
  await stage.end();
});
