// Several data directories with bytes of one journal, and what they do to each other's on behalf of primaries.
import assert from "node:assert/strict";
import { test } from "node:test";
import { concatBytes, never, text, utf8, WireError } from "@millrace/base";
import { settle } from "@millrace/base/testkit";
import { FakeSpools } from "./fake-spools.ts";
import { Directory, J, LIFE, REGISTERS, World, held, peerOf, routeOf } from "./journal-holder-fixture.ts";
import type { HolderCalls } from "./peer-network.ts";

test("fence: says what is here, and older attempts change nothing from then on", async () => {
  const world = new World();
  const [a] = await world.open("a");
  await a!.append("shown ");
  a!.spool.hide(6);
  await a!.append("hidden", REGISTERS);
  const answer = await world.hold("a", { wants: "fence" }, { stream: 2 });
  assert.deepEqual(held(answer), { base: 0, confirmed: 6, end: 12 });
  assert.ok(answer.kind === "taken");
  assert.deepEqual([answer.registers, answer.sure], [REGISTERS, [{ begin: 0, end: 6 }]]);
  assert.equal(held(await world.hold("a", { wants: "fence" }, { stream: 1 })), "WRONG_STREAM");
  assert.equal(held(await world.hold("a", { wants: "bring" }, { epoch: 9, stream: 9 })), "WRONG_ROUTE");
  const other = routeOf("b", "a");
  assert.equal(held(await world.hold("a", { wants: "fence" }, { stream: 3, route: other })), "WRONG_ROUTE");
});

test("fence: what is released and what was rolled over is below the base", async () => {
  const world = new World();
  const [a] = await world.open("a");
  await a!.append("one");
  a!.spool.roll(10);
  await a!.append("two");
  assert.deepEqual(held(await world.hold("a", { wants: "fence" })), { base: 10, confirmed: 13, end: 13 });
});

test("bring: nothing is here -> the source's bytes from begin on, hidden, with registers; appends go on", async () => {
  const world = new World();
  const [a, b] = await world.open("a", "b");
  await a!.append("acknowledged ");
  await a!.append("and more");
  assert.equal(b!.holder.answerAppend({ epoch: 10, stream: 1 }), "WRONG_STREAM");
  const bring = { wants: "bring", begin: 13, end: 21, source: peerOf("a"), registers: REGISTERS } as const;
  assert.deepEqual(held(await world.hold("b", bring)), { base: 13, confirmed: 13, end: 21 });
  assert.equal(await b!.text(), "[and more]");
  assert.deepEqual([b!.spool.begin, b!.spool.pendingEnd, b!.spool.registers], [21, 21, REGISTERS]);
  assert.equal(b!.holder.answerAppend({ epoch: 10, stream: 1 }), "take");
  assert.equal(b!.holder.answerAppend({ epoch: 10, stream: 2 }), "WRONG_STREAM");
});

test("bring: the journal is empty -> it is logged that this member has nothing of it", async () => {
  const world = new World();
  const [b] = await world.open("b");
  const rolls: number[] = [];
  const roll = b!.spool.roll.bind(b!.spool);
  b!.spool.roll = (begin, registers) => {
    rolls.push(begin);
    roll(begin, registers);
  };
  await world.hold("b", { wants: "bring" });
  assert.deepEqual(rolls, [0]);
});

test("bring: equal bytes stay, and only what is missing is copied", async () => {
  const world = new World();
  const [a, b] = await world.open("a", "b");
  await a!.append("equal then more");
  b!.spool.hide(0);
  await b!.append("equal then");
  const asked: unknown[] = [];
  world.list = { segments: [{ epoch: 3, begin: 0, members: ["a", "b"] }], tail: { kind: "held" } };
  world.instead.set("a", {
    fetch: (request, signal) => {
      asked.push([request.begin, request.end]);
      return a!.holder.fetch(request, signal);
    },
  });
  await world.hold("b", { wants: "bring", begin: 0, end: 15, source: peerOf("a") });
  assert.equal(await b!.text(), "[equal then more]");
  assert.deepEqual(asked, [[10, 15]]);
});

test("bring: other bytes, or more than the source has -> replaced, cut; what was shown stays", async () => {
  const world = new World();
  const [a, b] = await world.open("a", "b");
  world.list = { segments: [{ epoch: 3, begin: 0, members: ["a", "b"] }], tail: { kind: "held" } };
  await a!.append("shown these");
  await b!.append("shown ");
  b!.spool.hide(6);
  await b!.append("other bytes");
  await world.hold("b", { wants: "bring", begin: 0, end: 11, source: peerOf("a") });
  assert.equal(await b!.text(), "shown [these]");
  assert.deepEqual([b!.holder.takeCut(), b!.holder.takeCut()], [6, Number.POSITIVE_INFINITY]);
  await b!.append(" and more");
  await world.hold("b", { wants: "bring", begin: 0, end: 11, source: peerOf("a") }, { stream: 2 });
  assert.equal(await b!.text(), "shown [these]");
  assert.equal(b!.holder.takeCut(), 11);
  const below = { wants: "bring", begin: 0, end: 3, source: peerOf("a") } as const;
  assert.equal(held(await world.hold("b", below, { stream: 3 })), "different");
  assert.equal(await b!.text(), "shown [these]");
});

test("bring: a middle of it was let go to the store -> what is here behind that is compared, and stays", async () => {
  const world = new World();
  const [a, b] = await world.open("a", "b");
  world.list = { segments: [{ epoch: 3, begin: 0, members: ["a", "b"] }], tail: { kind: "held" } };
  for (const { spool } of [a!, b!]) spool.hide(0);
  for (const directory of [a!, b!]) {
    await directory.append("old, ");
    directory.spool.roll(5);
    await directory.append("stored, ");
    directory.spool.roll(13);
    await directory.append("newest");
  }
  b!.spool.release({ begin: 5, end: 13 });
  world.instead.set("a", { fetch: () => assert.fail("nothing has to be copied") });
  await world.hold("b", { wants: "bring", begin: 5, end: 19, source: peerOf("a") });
  assert.equal(b!.holder.takeCut(), Number.POSITIVE_INFINITY);
  assert.equal(b!.spool.syncedEnd, 19);
});

test("bring: ends before other bytes are replaced -> the equal ones in front of them are still here", async () => {
  const world = new World();
  const [a, b] = await world.open("a", "b");
  world.list = { segments: [{ epoch: 3, begin: 0, members: ["a", "b"] }], tail: { kind: "held" } };
  for (const { spool } of [a!, b!]) spool.hide(0);
  await a!.append("acknowledged, and this");
  await b!.append("acknowledged, or that?");
  world.instead.set("a", { fetch: () => assert.fail("the source died") });
  const bring = { wants: "bring", begin: 0, end: 22, source: peerOf("a") } as const;
  await assert.rejects(world.hold("b", bring), /the source died/);
  assert.equal(await b!.text(), "[acknowledged, ]");
});

test("bring: a list written anew names this member -> what it has hidden is compared from there on", async () => {
  const world = new World();
  const [a, b] = await world.open("a", "b");
  const segments = [{ epoch: 3, begin: 0, members: ["a", "b"], loose: true, relisted: true } as const];
  world.list = { segments, tail: { kind: "held" } };
  await a!.append("base true more");
  await b!.append("base ");
  b!.spool.hide(5);
  await b!.append("fork");
  await world.hold("b", { wants: "bring", begin: 0, end: 14, source: peerOf("a") });
  assert.equal(await b!.text(), "base [true more]");
});

test("bring: a list written anew, and the source has left to the store what is hidden here -> that goes", async () => {
  const world = new World();
  const [a, b] = await world.open("a", "b");
  const segments = [{ epoch: 3, begin: 0, members: ["a", "b"], loose: true, relisted: true } as const];
  world.list = { segments, tail: { kind: "held" } };
  a!.spool.roll(8);
  await a!.append("newest");
  await b!.append("base ");
  b!.spool.hide(5);
  await b!.append("fork");
  await world.hold("b", { wants: "bring", begin: 8, end: 14, source: peerOf("a") });
  assert.deepEqual(b!.spool.held(), [
    { begin: 0, end: 5 },
    { begin: 8, end: 14 },
  ]);
});

test("bring: bytes that no segment gives this member -> set aside, also below the begin", async () => {
  const world = new World();
  const [a, b] = await world.open("a", "b");
  await a!.append("0123456789");
  await b!.append("01");
  b!.spool.hide(2);
  await b!.append("xy");
  world.list = {
    segments: [
      { epoch: 3, begin: 0, members: ["a", "b"] },
      { epoch: 5, begin: 3, members: ["a", "c"] },
    ],
    tail: { kind: "held" },
  };
  await world.hold("b", { wants: "bring", begin: 8, end: 10, source: peerOf("a") });
  assert.equal(b!.holder.takeCut(), 3, "appends that wait for them are told");
  assert.deepEqual(b!.spool.held(), [
    { begin: 0, end: 3 },
    { begin: 8, end: 10 },
  ]);
  assert.deepEqual([b!.spool.end, text(await b!.spool.read(0, 3, never))], [8, "01x"]);
});

test("bring: on a closed list -> all begin at its end; what a member may not keep goes", async () => {
  const world = new World();
  const [b, c] = await world.open("b", "c");
  for (const one of [b!, c!]) {
    one.spool.hide(0);
    await one.append("012345");
  }
  world.list = {
    segments: [{ epoch: 3, begin: 0, members: ["b"] }],
    tail: { kind: "closed", end: 4, registers: REGISTERS },
  };
  for (const name of ["b", "c"])
    await world.hold(name, { wants: "bring", begin: 4, end: 4, registers: REGISTERS });
  assert.deepEqual([await b!.text(), c!.spool.held(), c!.spool.pendingEnd], ["0123", [], 4]);
});

test("bring: beyond what the source has, or without one what the list promises -> refused, nothing moves", async () => {
  const world = new World();
  const [a, b] = await world.open("a", "b");
  await a!.append("012345");
  world.list = { segments: [{ epoch: 3, begin: 4, members: ["a"] }], tail: { kind: "held" } };
  const far = { wants: "bring", begin: 2 ** 52, end: 2 ** 52 } as const;
  await assert.rejects(world.hold("b", far), { code: "INVALID_ARGUMENT" });
  await assert.rejects(world.hold("b", { ...far, source: peerOf("a") }), { code: "NOT_FOUND" });
  await assert.rejects(world.hold("b", { ...far, source: peerOf("b") }), { code: "INVALID_ARGUMENT" });
  await world.hold("b", { wants: "ask" });
  await assert.rejects(world.hold("b", { ...far, wants: "level" }), { code: "INVALID_ARGUMENT" });
  assert.deepEqual([b!.spool.pendingEnd, b!.spool.syncedEnd], [0, 0]);
  // Those that an activation makes.
  await world.hold("b", { wants: "bring", begin: 4, end: 4 });
  assert.equal(b!.spool.pendingEnd, 4);
  await world.hold("b", { wants: "bring", begin: 6, end: 6, source: peerOf("a") });
  assert.equal(b!.spool.pendingEnd, 6);
});

test("bring: bytes that no list judges -> refused, and kept", async () => {
  const world = new World();
  const [b] = await world.open("b");
  b!.spool.hide(0);
  await b!.append("012345");
  await assert.rejects(world.hold("b", { wants: "bring" }), /no list of holders.*reset-head/);
  assert.equal(await b!.text(), "[012345]");
});

test("bring: from what this broker itself has -> nothing is compared; what is behind goes", async () => {
  const world = new World();
  const [a] = await world.open("a");
  a!.spool.hide(0);
  await a!.append("acknowledged, perhaps");
  await world.hold("a", { wants: "bring", begin: 0, end: 12, source: peerOf("a") });
  assert.deepEqual([await a!.text(), world.listReads], ["[acknowledged]", 0]);
});

const failures: readonly (readonly [string, Partial<HolderCalls>, RegExp])[] = [
  [
    "ends",
    {
      fetch: async function* () {
        yield utf8("0123");
        throw new WireError("UNAVAILABLE", "the source died");
      },
    },
    /the source died/,
  ],
  [
    "sends too little",
    {
      fetch: async function* () {
        yield utf8("0123");
      },
    },
    /6 bytes too few/,
  ],
  [
    "sends too much",
    {
      fetch: async function* () {
        yield utf8("0123456789!");
      },
    },
    /1 bytes too many/,
  ],
];
for (const [what, instead, why] of failures) {
  test(`bring: the source ${what} -> fails, appends are not taken; the next one goes on where it ended`, async () => {
    const world = new World();
    const [a, b] = await world.open("a", "b");
    world.list = { segments: [{ epoch: 3, begin: 0, members: ["a", "b"] }], tail: { kind: "held" } };
    await a!.append("0123456789");
    world.instead.set("a", instead);
    const bring = { wants: "bring", begin: 0, end: 10, source: peerOf("a") } as const;
    await assert.rejects(world.hold("b", bring), why);
    assert.equal(b!.holder.answerAppend({ epoch: 10, stream: 1 }), "WRONG_STREAM");
    world.instead.delete("a");
    await world.hold("b", bring, { stream: 2 });
    assert.equal(await b!.text(), "[0123456789]");
  });
}

test("bring: the source stalls -> given up after a while, and the spool is free again", async () => {
  const world = new World();
  const [a] = await world.open("a", "b");
  await a!.append("0123");
  world.instead.set("a", {
    fetch: (_request, signal) => ({
      [Symbol.asyncIterator]: () => ({
        next: () => new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason))),
      }),
    }),
  });
  const bring = world.hold("b", { wants: "bring", begin: 0, end: 4, source: peerOf("a") });
  const failed = assert.rejects(bring, /sent nothing for 5000 ms/);
  for (let i = 0; i < 20; i++) await settle();
  await world.agenda.advance(5000);
  await failed;
  assert.deepEqual(held(await world.hold("b", { wants: "fence" }, { stream: 2 })), {
    base: 0,
    confirmed: 0,
    end: 0,
  });
});

test("bring: the disk is full -> fails; nothing of it counts", async () => {
  const world = new World();
  const spools = new FakeSpools();
  const [a] = await world.open("a");
  const b = new Directory(world, "b", await spools.claim(LIFE, 0));
  world.directories.set("b", b);
  await a!.append("0123");
  spools.isFull = true;
  const bring = { wants: "bring", begin: 0, end: 4, source: peerOf("a") } as const;
  await assert.rejects(world.hold("b", bring), { code: "DISK_FULL" });
  assert.equal(b.holder.answerAppend({ epoch: 10, stream: 1 }), "WRONG_STREAM");
  spools.isFull = false;
  await world.hold("b", bring, { stream: 2 });
  assert.equal(await b.text(), "[0123]");
});

test("a newer attempt of the route ends the one that copies; an older one is refused", async () => {
  const world = new World();
  const [a, b] = await world.open("a", "b");
  await a!.append("0123");
  let asked = 0;
  world.instead.set("a", {
    fetch: (request, signal) =>
      asked++ > 0
        ? a!.holder.fetch(request, signal)
        : {
            [Symbol.asyncIterator]: () => ({
              next: () =>
                new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason))),
            }),
          },
  });
  const bring = { wants: "bring", begin: 0, end: 4, source: peerOf("a") } as const;
  const first = assert.rejects(world.hold("b", bring), /has changed hands/);
  for (let i = 0; i < 20; i++) await settle();
  await world.hold("b", bring, { stream: 2 });
  await first;
  assert.equal(await b!.text(), "[0123]");
});

test("the spool: whoever was not brought does not get it; a newer attempt takes it from who has it", async () => {
  const world = new World();
  const [a] = await world.open("a");
  const attempt = { epoch: 10, stream: 1 };
  const evicted: string[] = [];
  const user = { evict: () => evicted.push("user") };
  await assert.rejects(a!.holder.takeSpool(user, attempt, never), /a newer attempt is known/);
  await world.hold("a", { wants: "bring" });
  const lease = await a!.holder.takeSpool(user, attempt, never);
  const fence = world.hold("a", { wants: "fence" }, { stream: 2 });
  await settle();
  assert.deepEqual(evicted, ["user"]);
  lease.release();
  assert.equal((await fence).kind, "taken");
  await assert.rejects(a!.holder.takeSpool(user, attempt, never), /a newer attempt is known/);
});

test("the spool: a new route gives whoever has it a moment, unless its primary has left", async () => {
  for (const [route, graceMs] of [
    [routeOf("b", "a"), 1000],
    [routeOf("b", "c"), 0],
  ] as const) {
    const world = new World();
    const [b] = await world.open("b");
    await world.hold("b", { wants: "bring" });
    const evicted: string[] = [];
    const user = { evict: () => evicted.push("user") };
    const lease = await b!.holder.takeSpool(user, { epoch: 10, stream: 1 }, never);
    world.revision = 20;
    world.route = route;
    b!.holder.routeSeen(20);
    const fence = world.hold("b", { wants: "fence" }, { epoch: 20, stream: 1 });
    await settle();
    assert.deepEqual(evicted, graceMs === 0 ? ["user"] : []);
    await world.agenda.advance(graceMs);
    assert.deepEqual(evicted, ["user"]);
    lease.release();
    assert.equal((await fence).kind, "taken");
    // The old route comes back: what was sent under it before does not count any more.
    world.route = routeOf("a", "b");
    assert.equal(held(await world.hold("b", { wants: "bring" })), "WRONG_ROUTE");
  }
});

test("fetch and digest: hidden bytes too; what is not all here is not found", async () => {
  const world = new World();
  const [a] = await world.open("a");
  a!.spool.hide(0);
  await a!.append("hidden");
  const request = { journal: J, createRevision: 7, begin: 1, end: 6 };
  const parts: Uint8Array[] = [];
  for await (const bytes of a!.holder.fetch(request, never)) parts.push(bytes);
  assert.equal(text(concatBytes(parts)), "idden");
  assert.equal((await a!.holder.digest(request, never)).length, 64);
  await assert.rejects(a!.holder.digest({ ...request, end: 7 }, never), { code: "NOT_FOUND" });
});
