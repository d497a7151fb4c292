// D16: leases through pauses of the process, and through its death.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Stage } from "./stage.ts";

test("D16: the process stands still for longer than any lease -> it goes on as if nothing had been", async () => {
  const stage = new Stage("pause");
  await stage.start();
  await stage.append("before;");
  for (const pauseMs of [15_000, 60_000, 3_600_000]) {
    const lease = stage.node.broker.lease;
    stage.world.agenda.stall(pauseMs);
    await stage.pass(30_000);
    assert.deepEqual(stage.node.broker.health(), []);
    assert.ok(stage.node.coordination.leaseStatus(lease).keys.length > 0, `after ${pauseMs} ms`);
    assert.equal(await stage.append("after;"), "acknowledged");
    await stage.send(2);
  }
  await stage.end();
});

test("D16: killed -> the next life revokes the lease of the last one and serves at once", async () => {
  const stage = new Stage("revoked");
  await stage.start();
  for (let life = 0; life < 3; life++) {
    await stage.append(`${life};`);
    const lease = stage.node.broker.lease;
    stage.kill();
    const beganMs = stage.world.nowMs;
    await stage.startUnchecked();
    assert.ok(stage.world.nowMs - beganMs < 1000, "it waits for no lease to end");
    assert.ok(!stage.node.coordination.leases().includes(lease));
    assert.equal(await stage.append("at once;"), "acknowledged");
  }
  await stage.end();
});
