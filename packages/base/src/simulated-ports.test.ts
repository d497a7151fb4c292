import assert from "node:assert/strict";
import { test } from "node:test";
import { never } from "./abort.ts";
import { Agenda, seededRandom, SimulatedClock } from "./simulated-ports.ts";

test("agenda: events -> by time, then by the order of scheduling; cancelled ones not at all", async () => {
  const agenda = new Agenda();
  const seen: string[] = [];
  agenda.schedule(5, () => seen.push("c"));
  agenda.schedule(1, () => seen.push("a"));
  agenda.schedule(1, () => seen.push("b"));
  agenda.schedule(2, () => seen.push("x"))();
  await agenda.advance(10);
  assert.deepEqual(seen, ["a", "b", "c"]);
  assert.equal(agenda.nowMs, 10);
});

test("agenda: stalled -> what came due meanwhile runs late, in its order, and time does not go back", async () => {
  const agenda = new Agenda();
  const seen: string[] = [];
  const note = (name: string) => () => seen.push(`${name} at ${agenda.nowMs}`);
  agenda.schedule(7, note("b"));
  agenda.schedule(5, note("a"));
  agenda.schedule(60, note("c"));
  agenda.stall(50);
  assert.deepEqual(seen, []);
  await agenda.advance(20);
  assert.deepEqual(seen, ["a at 50", "b at 50", "c at 60"]);
  assert.equal(agenda.nowMs, 70);
});

test("simulated clock: an aborted sleep rejects at once and leaves nothing behind", async () => {
  const clock = new SimulatedClock(new Agenda());
  const abort = new AbortController();
  const sleeping = clock.sleep(1000, abort.signal);
  abort.abort(new Error("enough"));
  await assert.rejects(sleeping, /enough/);
  const slept = clock.sleep(3, never);
  await clock.agenda.advance(3);
  await slept;
});

test("seeded random: one seed -> one sequence; forks are independent", () => {
  const draw = (seed: string) => Array.from({ length: 5 }, () => seededRandom(seed).fork("x").below(1000));
  assert.deepEqual(draw("1"), draw("1"));
  const one = seededRandom("1");
  const two = seededRandom("2");
  assert.notDeepEqual([one.u32(), one.u32()], [two.u32(), two.u32()]);
});
