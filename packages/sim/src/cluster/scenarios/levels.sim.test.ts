// The level `replicated` (section 4 of the architecture): acknowledged when all members have it, synced or not.
import assert from "node:assert/strict";
import { test } from "node:test";
import { never, text, utf8 } from "@millrace/base";
import { DEFAULT_ROOT, holdersKey } from "@millrace/broker";
import { keyOf } from "@millrace/metadata";
import { ClusterStage, hold, release } from "../cluster-stage.ts";
import type { Machine } from "../machine.ts";

const EARLY = {
  name: "early/one",
  replication: 3,
  isStored: false,
  labels: { "millrace.dev/ack": "replicated" },
};
/** Syncs take seconds. */
const SLOW = 2000;

/** The disks of `slow` stand nearly still, and an append is acknowledged meanwhile. */
async function ahead(stage: ClusterStage, primary: Machine, slow: readonly Machine[]): Promise<void> {
  await stage.pass(200);
  for (const machine of slow) machine.diskSlowness = SLOW;
  const before = stage.journal.acknowledgedEnd;
  assert.equal(await stage.append(primary, 300), "acknowledged");
  for (const machine of slow) assert.equal(stage.spool(machine).syncedEnd, before, machine.name);
}

function powerOff(machine: Machine): void {
  hold(machine, "power");
  machine.diskSlowness = 1;
}

for (const [which, who] of ["the primary", "a replica"].entries()) {
  test(`level replicated: power goes at ${who} before it synced -> all is there`, async () => {
    const stage = await ClusterStage.open(`level power ${which}`, { journals: [EARLY], leaseSeconds: 3 });
    for (let round = 0; round < 3; round++) {
      const route = await stage.threeOf();
      await ahead(stage, route[0], [route[which]!]);
      powerOff(route[which]!);
      await stage.pass(stage.random.below(500));
      release(route[which]!);
      await stage.untilAcknowledged(stage.world.machines);
    }
    await stage.end();
  });
}

/** Power goes everywhere; who had it synced comes back last. @param beforeReturn while the others are back */
async function blackout(stage: ClusterStage, beforeReturn: () => Promise<void>): Promise<void> {
  const [primary, near, lasting] = await stage.threeOf();
  await ahead(stage, primary, [primary, near]);
  const end = stage.journal.acknowledgedEnd;
  await stage.until("one has it synced", () => stage.spool(lasting).syncedEnd === end);
  for (const machine of [primary, near, lasting]) powerOff(machine);
  await beforeReturn();
  for (const machine of [primary, near]) release(machine);
  const others = stage.world.machines.filter((machine) => machine !== lasting);
  await stage.until("they serve", () => others.every(({ isServing }) => isServing));
  for (let i = 0; i < 6; i++) {
    await stage.append(others[i % 3]);
    await stage.pass(1000);
  }
  release(lasting);
  await stage.untilAcknowledged(stage.world.machines);
  await stage.end();
}

const FOUR = { journals: [EARLY], leaseSeconds: 3, brokers: 4 };

test("level replicated: power goes everywhere, one had synced -> nobody goes on without it", async () => {
  const stage = await ClusterStage.open("level blackout", FOUR);
  await blackout(stage, async () => undefined);
});

test("control: the list does not say that its segment is loose -> it is lost, and the judges see it", async () => {
  const stage = await ClusterStage.open("level blackout", FOUR);
  const forget = async (): Promise<void> => {
    const key = keyOf(holdersKey(DEFAULT_ROOT, stage.journal.name));
    const { store } = stage.world.coordination;
    const { kvs } = await stage.finish(store.range({ key }, never));
    const value = utf8(text(kvs[0]!.value).replaceAll(',"loose":true', ""));
    assert.notEqual(value.length, kvs[0]!.value.length);
    await stage.finish(store.txn({ compare: [], success: [{ kind: "put", key, value }] }, never));
  };
  await assert.rejects(blackout(stage, forget), /stands behind what was acknowledged before it/);
});
