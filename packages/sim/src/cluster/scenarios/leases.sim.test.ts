// D16: leases of earlier lives, and of times when nobody could renew.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ClusterStage } from "../cluster-stage.ts";
import { ETCD } from "../remote-coordination.ts";

test("D16: a broker is killed and starts again, its lease is 20 s -> it does not wait for its own lease", async () => {
  const stage = await ClusterStage.open("d16 restart", { leaseSeconds: 20 });
  for (const machine of stage.world.machines) {
    machine.end("kill", false);
    machine.start();
    await stage.until("it serves", () => machine.isServing, 2000);
    const tookMs = await stage.untilAcknowledged(stage.world.machines);
    assert.ok(tookMs < 3000, `${tookMs} ms`);
  }
  await stage.end();
});

test("D16: the coordination store is away for longer than any lease -> nobody has lost his afterwards", async () => {
  const stage = await ClusterStage.open("d16 away", { leaseSeconds: 10 });
  const before = stage.world.machines.map(({ process }) => process);
  stage.world.coordination.loseLeader();
  await stage.pass(6000);
  stage.world.coordination.findLeader();
  await stage.pass(15_000);
  assert.deepEqual(
    stage.world.machines.map(({ process }) => process),
    before,
  );
  await stage.end();
});

test("D16: a process sleeps past its lease -> it ends itself, comes back, and nothing is lost", async () => {
  const stage = await ClusterStage.open("d16 asleep", { leaseSeconds: 3 });
  const [, replica] = await stage.route();
  const process = replica!.process!;
  process.pause();
  await stage.pass(15_000);
  process.resume();
  await stage.untilAcknowledged(stage.world.machines);
  assert.notEqual(replica!.process, process);
  await stage.end();
});

test("D16: a primary cannot reach the store past its lease -> it ends itself, and comes back", async () => {
  const stage = await ClusterStage.open("d16 cut off", { brokers: 4, leaseSeconds: 3 });
  const [primary] = await stage.threeOf();
  const { process } = primary;
  assert.equal(await stage.append(primary), "acknowledged");
  stage.cut([primary.name], [ETCD]);
  await stage.until("it has ended", () => primary.process !== process);
  await stage.untilAcknowledged(stage.world.machines.filter((machine) => machine !== primary));
  stage.world.network.heal();
  await stage.until("it serves again", () => primary.isServing);
  await stage.untilAcknowledged([primary]);
  await stage.end();
});
