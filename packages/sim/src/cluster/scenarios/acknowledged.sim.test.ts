// D9: only the acknowledged exists.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ClusterStage, hold } from "../cluster-stage.ts";

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
