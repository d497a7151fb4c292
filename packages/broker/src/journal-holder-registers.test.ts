// Registers of a member that is brought: those behind what stays, or that it does not know them (K9).
import assert from "node:assert/strict";
import { test } from "node:test";
import { utf8, WireError } from "@millrace/base";
import { labelSet } from "@millrace/protocol";
import { holdAnswerOf, holdResponseMessage } from "./holder-wire.ts";
import { World, held, peerOf, routeOf } from "./journal-holder-fixture.ts";

const BEFORE = labelSet(["author", "before"]);
const HIDDEN = labelSet(["author", "hidden"]);

test("bring: ends after a cut -> the registers are those behind what is left, not those of what was cut", async () => {
  const world = new World();
  const [a, b] = await world.open("a", "b");
  world.list = { segments: [{ epoch: 3, begin: 0, members: ["a", "b"] }], tail: { kind: "held" } };
  for (const { spool } of [a!, b!]) spool.hide(0);
  await a!.append("acknowledged, ", BEFORE);
  await b!.append("acknowledged, ", BEFORE);
  await a!.append("and this");
  await b!.append("and that", HIDDEN);
  world.instead.set("a", { fetch: () => assert.fail("the source died") });
  const bring = { wants: "bring", begin: 0, end: 22, source: peerOf("a"), registers: BEFORE } as const;
  await assert.rejects(world.hold("b", bring), /the source died/);
  assert.equal(await b!.text(), "[acknowledged, and th]");
  const answer = await world.hold("b", { wants: "fence" }, { stream: 2 });
  assert.ok(answer.kind === "taken");
  assert.deepEqual(answer.registers, BEFORE);
});

test("bring: ends in the middle of the copy -> nothing is told of bytes whose registers are not known", async () => {
  const world = new World();
  const [a, b] = await world.open("a", "b");
  world.list = { segments: [{ epoch: 3, begin: 0, members: ["a", "b"] }], tail: { kind: "held" } };
  for (const { spool } of [a!, b!]) spool.hide(0);
  for (const one of [a!, b!]) await one.append("acknowledged, ", BEFORE);
  await a!.append("and this", HIDDEN);
  world.instead.set("a", {
    fetch: async function* () {
      yield utf8("and this");
      throw new WireError("UNAVAILABLE", "the source died");
    },
  });
  const bring = { wants: "bring", begin: 0, end: 22, source: peerOf("a"), registers: HIDDEN } as const;
  await assert.rejects(world.hold("b", bring), /the source died/);
  assert.equal(await b!.text(), "[acknowledged, and this]");
  const answer = await world.hold("b", { wants: "fence" }, { stream: 2 });
  assert.deepEqual(held(answer), { base: 0, confirmed: 0, end: 14 });
  assert.ok(answer.kind === "taken");
  assert.deepEqual(answer.registers, BEFORE);
  world.instead.delete("a");
  const whole = await world.hold("b", bring, { stream: 3 });
  assert.deepEqual(held(whole), { base: 0, confirmed: 0, end: 22 });
  assert.ok(whole.kind === "taken");
  assert.deepEqual(whole.registers, HIDDEN);
});

test("bring: ends behind a roll over what the source has not -> told is what stands before, not the gap", async () => {
  const world = new World();
  const [b] = await world.open("b");
  b!.spool.hide(0);
  await b!.append("acknowledged, ", BEFORE);
  b!.spool.roll(30, "unknown");
  const answer = await world.hold("b", { wants: "fence" });
  assert.deepEqual(held(answer), { base: 0, confirmed: 0, end: 14 });
  assert.deepEqual(answer.kind === "taken" && answer.registers, BEFORE);
});

test("bring: cuts below all that is known of registers -> says that it does not know them", async () => {
  const world = new World();
  const [a, b] = await world.open("a", "b");
  world.list = { segments: [{ epoch: 3, begin: 0, members: ["a", "b"] }], tail: { kind: "held" } };
  await a!.append("this");
  // Shown, so that what stood before it is forgotten; and hidden again, as by a restart.
  await b!.append("that", HIDDEN);
  b!.spool.hide(0);
  world.instead.set("a", { fetch: () => assert.fail("the source died") });
  const bring = { wants: "bring", begin: 0, end: 4, source: peerOf("a") } as const;
  await assert.rejects(world.hold("b", bring), /the source died/);
  assert.equal(await b!.text(), "[th]");
  const answer = await world.hold("b", { wants: "fence" }, { stream: 2 });
  assert.ok(answer.kind === "taken");
  assert.deepEqual([answer.held.end, answer.registers], [2, undefined]);
  assert.equal(holdAnswerOf(holdResponseMessage(answer)).kind, "taken");
  assert.deepEqual(holdAnswerOf(holdResponseMessage(answer)), answer);
});

test("bring: another route is seen while it copies -> refused, and no append of its stream is taken", async () => {
  const world = new World();
  const [a, b] = await world.open("a", "b");
  await a!.append("0123");
  world.instead.set("a", {
    fetch: async function* (request, signal) {
      yield* a!.holder.fetch(request, signal);
      world.revision = 11;
      world.route = routeOf("b", "a");
      b!.holder.routeSeen(11);
    },
  });
  const route = world.route;
  const bring = { wants: "bring", begin: 0, end: 4, source: peerOf("a") } as const;
  assert.equal(held(await world.hold("b", bring, { route })), "WRONG_ROUTE");
  assert.deepEqual([b!.holder.bound.epoch, b!.holder.bound.isBrought, b!.holder.whole], [11, false, 0]);
});
