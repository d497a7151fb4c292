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
