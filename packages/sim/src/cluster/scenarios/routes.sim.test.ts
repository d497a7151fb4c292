// D12 and D13: streams end with their route, and who is plainly gone is not waited for.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ClusterStage, hold, release } from "../cluster-stage.ts";

test("D12: connections go without a word -> the successor has the spool, whatever TCP thinks", async () => {
  const stage = await ClusterStage.open("d12 silent", { brokers: 4, leaseSeconds: 3 });
  const [primary] = await stage.threeOf();
  // Content that is not proposed yet lies at the replicas.
  const content = {
    kind: "chunks" as const,
    chunks: (async function* () {
      yield new Uint8Array(100_000);
      await new Promise(() => undefined);
    })(),
  };
  const half = stage.appending(primary, 20, { content });
  await stage.pass(100);
  stage.cut([primary.name], stage.everybodyBut(primary));
  const others = stage.world.machines.filter((machine) => machine !== primary);
  const tookMs = await stage.untilAcknowledged(others);
  assert.ok(tookMs < 3000 + 4000, `lease and a little more: ${tookMs}`);
  await stage.finish(half);
  await stage.end();
});

test("D12: a primary sleeps through its own replacement -> it acknowledges nothing when it wakes", async () => {
  const stage = await ClusterStage.open("d12 asleep", { brokers: 4, leaseSeconds: 3 });
  const [primary, near] = await stage.threeOf();
  primary.process!.pause();
  const late = stage.appending(primary, 50);
  const others = stage.world.machines.filter((machine) => machine !== primary);
  await stage.untilAcknowledged(others);
  await stage.append(near);
  primary.process!.resume();
  await stage.finish(late);
  await stage.end();
});

test("D12: a rolling change of primaries under load -> no append fails for longer than it takes", async () => {
  const stage = await ClusterStage.open("d12 rolling", { brokers: 4 });
  for (let round = 0; round < 4; round++) {
    const [primary] = await stage.threeOf();
    await stage.finish(primary.stop(true));
    await stage.untilAcknowledged(stage.world.machines);
    await stage.until("it is back", () => primary.isServing);
  }
  await stage.end();
});

test("D13: the primary is killed, its lease is 20 s -> the journal is writable within 1.5 s", async () => {
  const stage = await ClusterStage.open("d13 killed", { brokers: 4, leaseSeconds: 20 });
  const [primary] = await stage.threeOf();
  hold(primary, "kill");
  const tookMs = await stage.untilAcknowledged(stage.world.machines.filter((one) => one !== primary));
  assert.ok(tookMs <= 1500, `${tookMs} ms`);
  await stage.end();
});

test("D13: the allocator's leader is killed -> the next one does it", async () => {
  const stage = await ClusterStage.open("d13 leader", { brokers: 4, leaseSeconds: 20 });
  // The first to announce itself leads.
  const leader = stage.world.machines[0]!;
  hold(leader, "kill");
  const tookMs = await stage.untilAcknowledged(stage.world.machines.slice(1));
  assert.ok(tookMs <= 2500, `${tookMs} ms`);
  await stage.end();
});

test("D13: two zones cannot reach each other, nobody is gone -> nobody is taken out before his lease", async () => {
  const stage = await ClusterStage.open("d13 zones", { brokers: 4, zones: 2, leaseSeconds: 20 });
  const before = (await stage.route()).map(({ name }) => name);
  const names = stage.world.machines.map(({ name }) => name);
  stage.cut([names[0]!, names[2]!], [names[1]!, names[3]!]);
  await stage.pass(10_000);
  assert.deepEqual(
    (await stage.route()).map(({ name }) => name),
    before,
  );
  await stage.end();
});

for (const how of ["kill", "power"] as const) {
  test(`a large append behind one that a lost replica (${how}) did not answer -> the journal goes on`, async () => {
    const stage = await ClusterStage.open(`large behind ${how}`, { brokers: 4, leaseSeconds: 3 });
    const [primary, near, far] = await stage.threeOf();
    const before = stage.spool(near).syncedEnd;
    stage.world.network.cut(primary.name, far.name);
    const small = stage.appending(primary, 50);
    await stage.until("the other has it synced", () => stage.spool(near).syncedEnd > before);
    const large = stage.appending(primary, 64 * 1024);
    await stage.pass(100);
    hold(far, how);
    const rest = stage.world.machines.filter((machine) => machine !== far);
    const tookMs = await stage.untilAcknowledged(rest);
    assert.ok(tookMs <= 30_000, `writable after ${tookMs} ms`);
    await stage.finish(Promise.all([small, large]));
    release(far);
    await stage.end();
  });
}
