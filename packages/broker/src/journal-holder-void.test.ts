// What a member says and keeps where the list of a journal is void (durability.md D15).
import assert from "node:assert/strict";
import { test } from "node:test";
import { never, utf8, WireError } from "@millrace/base";
import type { HoldersList } from "./holders-list.ts";
import { EMPTY_LABELS, labelSet } from "@millrace/protocol";
import { REGISTERS, VOID, World, held, peerOf, type Directory } from "./journal-holder-fixture.ts";

const OTHERS = labelSet(["author", "b"]);

test("ask: what a member has without a break; after a restart it has nothing but what is sure", async () => {
  const world = new World();
  const [a] = await world.open("a");
  await a!.append("sure ");
  a!.spool.hide(5);
  await a!.append("not");
  const nothing = { base: 0, confirmed: 0, end: 0 };
  const answer = await world.hold("a", { wants: "ask" });
  assert.ok(answer.kind === "taken");
  assert.deepEqual([answer.held, answer.sure], [nothing, [{ begin: 0, end: 5 }]]);
  await world.hold("a", { wants: "bring", begin: 5, end: 8, source: peerOf("a") }, { stream: 2 });
  const joined = await world.hold("a", { wants: "ask" }, { stream: 3 });
  assert.deepEqual(held(joined), { base: 0, confirmed: 5, end: 8 });
  world.joined = 6;
  assert.deepEqual(held(await world.hold("a", { wants: "ask" }, { stream: 4 })), nothing);
});

test("ask: who begins with nothing, and does not know the registers behind what it has -> says none", async () => {
  const world = new World();
  const [a] = await world.open("a");
  await a!.append("1234", REGISTERS);
  a!.spool.hide(0);
  await a!.spool.cut(2);
  const answer = await world.hold("a", { wants: "ask" });
  assert.ok(answer.kind === "taken");
  assert.deepEqual([answer.held.end, answer.registers], [0, EMPTY_LABELS]);
});

test("ask, level: one that leaves and comes back in between -> asked anew, and nothing goes before that", async () => {
  const world = new World();
  const [a] = await world.open("a");
  world.list = VOID;
  await a!.append("1234");
  await world.hold("a", { wants: "bring", begin: 4, end: 4, source: peerOf("a") });
  a!.spool.hide(4);
  await a!.append("5678");
  const level = { wants: "level", begin: 8, end: 8, source: peerOf("a"), registers: REGISTERS } as const;
  assert.deepEqual(held(await world.hold("a", { wants: "ask" })), { base: 0, confirmed: 4, end: 8 });
  world.joined = 7;
  assert.equal(held(await world.hold("a", level)), "different");
  assert.equal(await a!.text(), "1234[5678]");
  const nothing = { base: 0, confirmed: 0, end: 0 };
  assert.deepEqual(held(await world.hold("a", { wants: "ask" }, { stream: 2 })), nothing);
  assert.deepEqual(held(await world.hold("a", level, { stream: 2 })), { base: 8, confirmed: 4, end: 8 });
  assert.deepEqual(a!.spool.held(), [{ begin: 0, end: 4 }]);
});

test("level: all go on at the largest end; sealed bytes go, equal ends with other bytes are refused", async () => {
  const world = new World();
  world.list = VOID;
  const [a, b, c] = await world.open("a", "b", "c");
  await a!.append("0123456789");
  b!.spool.hide(0);
  await b!.append("0123");
  const level = { wants: "level", begin: 10, end: 10, source: peerOf("a"), registers: REGISTERS } as const;
  assert.equal(held(await world.hold("b", level)), "WRONG_STREAM", "it was not asked");
  await world.hold("b", { wants: "ask" });
  assert.deepEqual(held(await world.hold("b", level)), { base: 10, confirmed: 0, end: 10 });
  assert.deepEqual([b!.spool.held(), b!.spool.registers], [[], REGISTERS]);
  await c!.append("012345678x");
  await world.hold("c", { wants: "bring", begin: 10, end: 10, source: peerOf("c") });
  await world.hold("c", { wants: "ask" }, { stream: 2 });
  assert.equal(held(await world.hold("c", level, { stream: 2 })), "different");
});

test("level: who came back has shown bytes beyond everybody's end, or others -> they are set aside", async () => {
  const world = new World();
  const [a, b] = await world.open("a", "b");
  await a!.append("0123456789");
  await b!.append("0123xxxxxxxxxxx");
  const level = { wants: "level", begin: 10, end: 10, source: peerOf("a"), registers: REGISTERS } as const;
  world.joined = 6;
  const sureOf = async (stream: number): Promise<unknown> => {
    const answer = await world.hold("b", { wants: "ask" }, { stream });
    assert.ok(answer.kind === "taken");
    assert.deepEqual(answer.held, { base: 0, confirmed: 0, end: 0 });
    return answer.sure;
  };
  assert.deepEqual(await sureOf(1), [{ begin: 0, end: 15 }]);
  // The list would name it for what it has said: it has to say it again.
  assert.equal(held(await world.hold("b", level)), "different");
  assert.deepEqual(await sureOf(2), [{ begin: 0, end: 4 }]);
  assert.deepEqual(held(await world.hold("b", level, { stream: 2 })), { base: 10, confirmed: 4, end: 10 });
  assert.deepEqual(b!.spool.held(), [{ begin: 0, end: 4 }]);
  assert.deepEqual(b!.spool.registers, REGISTERS);
  assert.deepEqual(world.told, ["warn shown-bytes-set-aside"], "nobody has to do anything at once");
  // What was known before it left is compared where the others have gone on, too.
  const [c, d] = await world.open("c", "d");
  await c!.append("0123xx");
  await d!.append("012345");
  for (const [name, confirmed] of [
    ["c", 4],
    ["d", 6],
  ] as const) {
    await world.hold(name, { wants: "ask" });
    const isOther = confirmed < 6;
    assert.equal(held(await world.hold(name, level)) === "different", isOther);
    if (!isOther) continue;
    await world.hold(name, { wants: "ask" }, { stream: 2 });
    assert.deepEqual(held(await world.hold(name, level, { stream: 2 })), { base: 10, confirmed, end: 10 });
  }
  const kept = [c!, d!].map(({ spool }) => spool.held());
  assert.deepEqual(kept, [[{ begin: 0, end: 4 }], [{ begin: 0, end: 6 }]]);
  // Who goes on has what it said: whatever asks for less is mistaken.
  await world.hold("d", { wants: "ask" }, { stream: 2 });
  assert.equal(held(await world.hold("d", { ...level, begin: 9, end: 9 }, { stream: 2 })), "different");
});

/** [0, 4) is acknowledged at `a` and `b`; what stands behind is not theirs. */
const VOID_AT_FOUR: HoldersList = {
  segments: [{ epoch: 3, begin: 0, members: ["a", "b"] }],
  tail: { kind: "void", begin: 4 },
};

test("level: who comes back keeps what the void list names it for, shown or not; the rest goes", async () => {
  const world = new World();
  const [a, b] = await world.open("a", "b");
  world.list = VOID_AT_FOUR;
  await a!.append("0123456789");
  b!.spool.hide(0);
  await b!.append("0123xxx");
  await world.hold("b", { wants: "ask" });
  const level = { wants: "level", begin: 10, end: 10, source: peerOf("a"), registers: REGISTERS } as const;
  assert.deepEqual(held(await world.hold("b", level)), { base: 10, confirmed: 4, end: 10 });
  assert.deepEqual(b!.spool.held(), [{ begin: 0, end: 4 }]);
});

test("go on: a broker without lists finds nothing of what a restart found; what came since stays", async () => {
  const world = new World();
  world.list = VOID;
  const [a] = await world.open("a");
  await a!.append("sure ");
  a!.spool.hide(5);
  await a!.append("found");
  await a!.holder.goOn(never);
  assert.equal(await a!.text(), "sure ");
  await a!.append("taken since");
  await a!.holder.goOn(never);
  assert.equal(await a!.text(), "sure [taken since]");
  world.joined = 6;
  await a!.holder.goOn(never);
  assert.equal(await a!.text(), "sure ");
});

test("go on: what the void list names a member for stays, shown or not; the rest goes", async () => {
  const world = new World();
  const [a] = await world.open("a");
  world.list = VOID_AT_FOUR;
  a!.spool.hide(0);
  await a!.append("0123xxx");
  await a!.holder.goOn(never);
  assert.equal(await a!.text(), "0123");
});

test("go on, level: another list stands there meanwhile, or none -> nothing goes", async () => {
  for (const list of [{ ...VOID_AT_FOUR, tail: { kind: "held" } } as const, undefined]) {
    const world = new World();
    const [a] = await world.open("a");
    world.list = list;
    a!.spool.hide(0);
    await a!.append("0123xxx");
    await assert.rejects(a!.holder.goOn(never), { code: "UNAVAILABLE" });
    await world.hold("a", { wants: "ask" });
    const level = { wants: "level", begin: 7, end: 7, source: peerOf("a"), registers: REGISTERS } as const;
    await assert.rejects(world.hold("a", level), { code: "UNAVAILABLE" });
    assert.equal(await a!.text(), "[0123xxx]");
  }
});

/** `b` has "sure" and has copied a part of what follows, when the source, `a`, dies. */
async function copiedInPart(world: World): Promise<Directory> {
  const [a, b] = await world.open("a", "b");
  world.list = { segments: [{ epoch: 3, begin: 0, members: ["a", "b"] }], tail: { kind: "held" } };
  for (const one of [a!, b!]) await one.append("sure", REGISTERS);
  await a!.append("more", OTHERS);
  await world.hold("b", { wants: "bring", begin: 4, end: 4, source: peerOf("a"), registers: REGISTERS });
  world.instead.set("a", {
    fetch: async function* () {
      yield utf8("mo");
      throw new WireError("UNAVAILABLE", "the source died");
    },
  });
  const bring = { wants: "bring", begin: 4, end: 8, source: peerOf("a"), registers: OTHERS } as const;
  await assert.rejects(world.hold("b", bring), /the source died/);
  assert.equal(await b!.text(), "sure[mo]");
  world.list = VOID;
  return b!;
}

test("level: what a bring left that did not end, and nobody was told of -> goes, and the route goes on", async () => {
  const world = new World();
  const b = await copiedInPart(world);
  const sure = { base: 0, confirmed: 4, end: 4 };
  assert.deepEqual(held(await world.hold("b", { wants: "ask" }, { stream: 2 })), sure);
  const level = { wants: "level", begin: 4, end: 4, source: peerOf("b"), registers: REGISTERS } as const;
  assert.deepEqual(held(await world.hold("b", level, { stream: 2 })), sure);
  assert.equal(await b.text(), "sure");
});

test("go on: what a bring left that did not end goes, since nobody knows the registers behind it", async () => {
  const b = await copiedInPart(new World());
  await b.holder.goOn(never);
  assert.equal(await b.text(), "sure");
  assert.deepEqual(b.spool.marks.at(b.spool.end), REGISTERS);
});
