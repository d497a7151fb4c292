import assert from "node:assert/strict";
import { test } from "node:test";
import { never, silentLogger } from "@millrace/base";
import { Agenda, seededRandom, SimulatedClock } from "@millrace/base/testkit";
import { openMemoryStore } from "@millrace/metadata/testkit";
import { Health } from "./health.ts";
import { claimPipeline } from "./pipeline-claim.ts";

test("pipeline: another process has it -> says so, and has it when the other's lease ends", async () => {
  const agenda = new Agenda();
  const clock = new SimulatedClock(agenda);
  const coordination = await openMemoryStore(clock, seededRandom("claim"));
  const first = await coordination.grantLease(60, never);
  const second = await coordination.grantLease(60, never);
  const health = new Health();
  const context = { coordination, clock, logger: silentLogger, health };
  await claimPipeline(context, { lease: first }, "/a", never);
  assert.deepEqual(health.reasons(), []);
  let has = false;
  const waiting = claimPipeline(context, { lease: second }, "/a", never).then(() => (has = true));
  await agenda.advance(5000);
  assert.deepEqual([has, health.reasons()], [false, ["the pipeline of this etcd runs in another process"]]);
  await coordination.revokeLease(first, never);
  await agenda.advance(1000);
  await waiting;
  assert.deepEqual(health.reasons(), []);
  await coordination.close();
});

test("pipeline: brokers of another prefix -> refused for good", async () => {
  const clock = new SimulatedClock(new Agenda());
  const coordination = await openMemoryStore(clock, seededRandom("prefix"));
  const lease = await coordination.grantLease(60, never);
  const context = { coordination, clock, logger: silentLogger, health: new Health() };
  await claimPipeline(context, { lease }, "/a", never);
  await coordination.revokeLease(lease, never);
  const message = /belong to the brokers of --etcd\.prefix \/a, not \/b/;
  const other = await coordination.grantLease(60, never);
  await assert.rejects(claimPipeline(context, { lease: other }, "/b", never), { code: "CONFLICT", message });
  await claimPipeline(context, { lease: other }, "/a", never);
  await coordination.close();
});
