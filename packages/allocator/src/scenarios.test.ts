// What the allocator does over a real store, from the scenarios of section 3.6. Where constraints leave one answer the
// keys are compared; elsewhere what any answer must have.
import { deepEqual, equal, ok } from "node:assert/strict";
import { test } from "node:test";
import { never } from "@millrace/base";
import { ScenarioWorld } from "./scenario-world.ts";

type Values = Readonly<Record<string, string>>;

const items = (replications: Readonly<Record<string, number>>): Values =>
  Object.fromEntries(Object.entries(replications).map(([id, slots]) => [`items/${id}`, `{"R":${slots}}`]));

/** Members by `<zone>#<suffix>`, with their limits. */
const members = (limits: Readonly<Record<string, number>>, exiting = false): Values =>
  Object.fromEntries(
    Object.entries(limits).map(([name, R]) => [`members/${name}`, JSON.stringify({ R, E: exiting })]),
  );

const assigned = (value: string, ...keys: readonly string[]): Values =>
  Object.fromEntries(keys.map((key) => [`assign/${key}`, value]));

function scenario(name: string, values: Values, run: (world: ScenarioWorld) => Promise<void>): void {
  test(name, async () => {
    const world = await ScenarioWorld.open(values);
    try {
      await run(world);
    } finally {
      await world.close();
    }
  });
}

/** Slots are 0, 1, … for each item, each item has `replication` assignments, and no member is above its limit. */
function checkWhole(world: ScenarioWorld): void {
  const snapshot = world.mirror.snapshot();
  for (const { id, replication } of snapshot.items) {
    const mine = snapshot.assignments.filter(({ item }) => item === id);
    deepEqual(
      mine.map(({ slot }) => slot).sort((a, b) => a - b),
      Array.from({ length: replication }, (_, at) => at),
      id,
    );
  }
  for (const { name, limit } of snapshot.members) ok(loadOf(world, name) <= limit, name);
}

const loadOf = (world: ScenarioWorld, member: string): number =>
  world.mirror.snapshot().assignments.filter((one) => one.member === member).length;

const zonesOf = (world: ScenarioWorld, item: string): number =>
  new Set(world.membersOf(item).map((member) => member.split("#")[0])).size;

const ONE_TWO_THREE = items({ "item-1": 1, "item-2": 2, "item-3": 3 });

scenario(
  "a new cluster -> everything is replicated, across zones, within limits",
  { ...ONE_TWO_THREE, ...members({ "a#A1": 2, "a#A2": 2, "b#B": 4 }) },
  async (world) => {
    await world.serve();
    checkWhole(world);
    equal(zonesOf(world, "item-2"), 2);
    deepEqual(world.membersOf("item-3"), ["a#A1", "a#A2", "b#B"]);
  },
);

const SEVEN = Array.from({ length: 7 }, (_, at) => `item-0${at + 1}`);

scenario(
  "limits far above what is needed -> no zone starves, and primaries are spread over all members",
  {
    ...items(Object.fromEntries(SEVEN.map((id) => [id, 3]))),
    ...members({ "a#A1": 1024, "a#A2": 1024, "b#B1": 1024 }),
  },
  async (world) => {
    await world.serve();
    checkWhole(world);
    for (const id of SEVEN) deepEqual(world.membersOf(id), ["a#A1", "a#A2", "b#B1"]);
    const primaries = world.assigned().filter((key) => key.endsWith("#0"));
    for (const member of ["A1", "A2", "B1"]) {
      ok(primaries.filter((key) => key.includes(member)).length >= 2, member);
    }
  },
);

const REPLACING = members({ "a#A": 2, "b#B": 4, "a#old": 0, "a#new": 3 });

scenario(
  "a member without capacity, nothing consistent -> replacements are added, and the old ones stay until then",
  {
    ...ONE_TWO_THREE,
    ...REPLACING,
    ...assigned("", "item-1#a#A#0", "item-2#a#old#0", "item-2#b#B#1"),
    ...assigned("", "item-3#a#A#0", "item-3#a#old#1", "item-3#b#B#2"),
  },
  async (world) => {
    await world.serve("no match");
    const kept = ["item-2#a#old#0", "item-2#b#B#1", "item-3#a#A#0", "item-3#a#new#3", "item-3#a#old#1"];
    deepEqual(world.assigned(), ["item-1#a#A#0", "item-2#a#new#2", ...kept, "item-3#b#B#2"]);
    await world.serve();
    deepEqual(world.assigned(), [
      "item-1#a#A#0",
      "item-2#a#new#1",
      "item-2#b#B#0",
      "item-3#a#A#0",
      "item-3#a#new#2",
      "item-3#b#B#1",
    ]);
  },
);

scenario(
  "a member without capacity, all consistent -> replaced, packed, and the member with the fewest primaries promoted",
  {
    ...ONE_TWO_THREE,
    ...REPLACING,
    ...assigned("consistent", "item-1#a#A#0", "item-2#a#old#0", "item-2#b#B#1"),
    ...assigned("consistent", "item-3#a#old#0", "item-3#a#A#1", "item-3#b#B#2"),
  },
  async (world) => {
    await world.serve("no match");
    const kept = ["item-2#a#old#0", "item-2#b#B#1", "item-3#a#A#1", "item-3#a#new#3", "item-3#a#old#0"];
    deepEqual(world.assigned(), ["item-1#a#A#0", "item-2#a#new#2", ...kept, "item-3#b#B#2"]);
    await world.serve();
    deepEqual(world.assigned(), [
      "item-1#a#A#0",
      "item-2#a#new#1",
      "item-2#b#B#0",
      "item-3#a#A#1",
      "item-3#a#new#0",
      "item-3#b#B#2",
    ]);
  },
);

scenario(
  "a member's limit changes -> it gets and gives its share, step by step",
  {
    ...ONE_TWO_THREE,
    ...members({ "a#A": 2, "a#limit": 2, "b#B": 4 }),
    ...assigned("consistent", "item-1#b#B#0", "item-2#a#A#0", "item-2#b#B#1"),
    ...assigned("consistent", "item-3#a#A#0", "item-3#a#limit#1", "item-3#b#B#2"),
  },
  async (world) => {
    const before = world.assigned();
    await world.serve();
    deepEqual(world.assigned(), before);
    await world.put(members({ "a#limit": 10 }));
    await world.serve("no match");
    const added = ["item-1#a#limit#1", "item-2#a#limit#2"];
    deepEqual(world.assigned(), [...before, ...added].sort());
    await world.serve();
    checkWhole(world);
    deepEqual(world.membersOf("item-1"), ["a#limit"]);
    deepEqual(world.membersOf("item-2"), ["a#limit", "b#B"]);
    for (const limit of [2, 1]) {
      await world.put(members({ "a#limit": limit }));
      await world.serve();
      checkWhole(world);
      equal(zonesOf(world, "item-2"), 2);
    }
    equal(loadOf(world, "a#limit"), 1);
  },
);

scenario(
  "replication of two items is swapped -> replicas come and go, each once",
  {
    ...ONE_TWO_THREE,
    ...members({ "a#A1": 2, "a#A2": 2, "b#B": 4 }),
    ...assigned("consistent", "item-1#b#B#0", "item-2#a#A1#0", "item-2#b#B#1"),
    ...assigned("consistent", "item-3#a#A1#0", "item-3#a#A2#1", "item-3#b#B#2"),
  },
  async (world) => {
    const before = world.assigned();
    await world.serve();
    deepEqual(world.assigned(), before);
    await world.put(items({ "item-1": 3, "item-3": 1 }));
    await world.serve("no match");
    deepEqual(world.membersOf("item-1"), ["a#A1", "a#A2", "b#B"]);
    deepEqual(world.membersOf("item-2"), ["a#A1", "b#B"]);
    deepEqual(world.membersOf("item-3"), ["a#A2"]);
    checkWhole(world);
    const settled = world.assigned();
    await world.serve();
    deepEqual(world.assigned(), settled);
  },
);

scenario(
  "fewer slots than items want -> earlier items first, and all once members come",
  { ...ONE_TWO_THREE, ...members({ "a#A1": 1 }) },
  async (world) => {
    await world.serve();
    deepEqual(world.assigned(), ["item-1#a#A1#0"]);
    await world.put(members({ "a#A2": 2 }));
    await world.serve();
    deepEqual(world.assigned().sort(), ["item-1#a#A2#0", "item-2#a#A1#1", "item-2#a#A2#0"]);
    await world.put(members({ "a#A3": 3 }));
    await world.serve();
    checkWhole(world);
    deepEqual(
      ["item-1", "item-2"].map((id) => world.membersOf(id)),
      [["a#A3"], ["a#A2", "a#A3"]],
    );
  },
);

scenario(
  "limits shrink below what is assigned -> nothing is given up",
  {
    ...ONE_TWO_THREE,
    ...members({ "a#A1": 1, "a#A2": 2, "a#A3": 3 }),
    ...assigned("consistent", "item-1#a#A3#0", "item-2#a#A2#0", "item-2#a#A3#1"),
    ...assigned("consistent", "item-3#a#A1#1", "item-3#a#A2#2", "item-3#a#A3#0"),
  },
  async (world) => {
    const before = world.assigned();
    await world.serve("no match");
    deepEqual(world.assigned(), before);
    await world.put(members({ "a#A3": 2 }));
    await world.serve();
    deepEqual(world.assigned(), before);
  },
);

const THREE_THREES = items({ "item-1": 3, "item-2": 3, "item-3": 3 });
const inOneZone = (world: ScenarioWorld, ...ids: readonly string[]): number =>
  ids.filter((id) => zonesOf(world, id) === 1).length;

scenario(
  "a second zone comes, too small at first -> it is used up, then every item spans both",
  { ...THREE_THREES, ...members({ "a#A1": 100, "a#A2": 100, "a#A3": 100 }) },
  async (world) => {
    await world.serve();
    checkWhole(world);
    await world.put(members({ "b#B": 2 }));
    await world.serve();
    checkWhole(world);
    equal(loadOf(world, "b#B"), 2);
    equal(inOneZone(world, "item-1", "item-2", "item-3"), 1);
    await world.put(members({ "b#B": 3 }));
    await world.serve();
    checkWhole(world);
    equal(inOneZone(world, "item-1", "item-2", "item-3"), 0);
    const before = world.assigned();
    await world.put(items({ "item-4": 1 }));
    await world.serve();
    checkWhole(world);
    deepEqual(world.assigned().slice(0, before.length), before);
  },
);

scenario(
  "a zone shrinks and goes -> items share what it has, then live in one zone",
  {
    ...items({ "item-1": 3, "item-2": 3, "item-3": 2 }),
    ...members({ "a#A1": 10, "a#A2": 10, "b#B": 10 }),
    ...assigned("consistent", "item-1#a#A1#0", "item-1#a#A2#1", "item-1#b#B#2", "item-2#a#A1#0"),
    ...assigned("consistent", "item-2#a#A2#1", "item-2#b#B#2", "item-3#a#A1#0", "item-3#b#B#1"),
  },
  async (world) => {
    const before = world.assigned();
    await world.serve();
    deepEqual(world.assigned(), before);
    await world.put(members({ "b#B": 2 }));
    await world.serve();
    equal(loadOf(world, "b#B"), 2);
    equal(world.assigned().length, 8);
    equal(inOneZone(world, "item-3"), 1); // the others need B: zone a has two members
    await world.put(members({ "b#B": 0, "a#A3": 10 }));
    await world.serve();
    checkWhole(world);
    equal(loadOf(world, "b#B"), 0);
  },
);

scenario(
  "a third zone comes -> nothing moves for it, and it gets what is new",
  {
    ...items({ "item-1": 2, "item-2": 3 }),
    ...members({ "a#A1": 100, "a#A2": 100, "b#B": 100 }),
    ...assigned("consistent", "item-1#a#A1#0", "item-1#b#B#1"),
    ...assigned("consistent", "item-2#a#A1#0", "item-2#a#A2#1", "item-2#b#B#2"),
  },
  async (world) => {
    const before = world.assigned();
    await world.serve();
    deepEqual(world.assigned(), before);
    await world.put(members({ "c#C": 100 }));
    await world.serve();
    deepEqual(world.assigned(), before);
    await world.put(items({ "item-1": 3, "item-2": 4 }));
    await world.serve();
    deepEqual(world.assigned(), [...before, "item-1#c#C#2", "item-2#c#C#3"].sort());
  },
);

scenario(
  "a zone of three goes -> its items span the two that are left",
  {
    ...items({ "item-1": 3, "item-2": 3 }),
    ...members({ "a#A1": 10, "a#A2": 10, "a#A3": 10, "b#B": 10, "c#C": 10 }),
    ...assigned("consistent", "item-1#a#A1#0", "item-1#a#A2#1", "item-1#c#C#2"),
    ...assigned("consistent", "item-2#a#A3#0", "item-2#b#B#1", "item-2#c#C#2"),
  },
  async (world) => {
    const before = world.assigned();
    await world.serve();
    deepEqual(world.assigned(), before);
    await world.put(members({ "c#C": 0 }));
    await world.serve();
    checkWhole(world);
    deepEqual(world.membersOf("item-1"), ["a#A1", "a#A2", "b#B"]);
    equal(zonesOf(world, "item-2"), 2);
    ok(world.assigned().includes("item-2#a#A3#0"));
  },
);

scenario(
  "capacities of members, then of zones, are swapped -> as many replicas rotate as must",
  {
    ...THREE_THREES,
    ...members({ "a#A1": 1, "a#A2": 3, "b#B1": 10, "b#B2": 10 }),
    ...assigned("consistent", "item-1#a#A1#0", "item-1#b#B1#1", "item-1#b#B2#2"),
    ...assigned("consistent", "item-2#a#A2#0", "item-2#b#B1#1", "item-2#b#B2#2"),
    ...assigned("consistent", "item-3#a#A2#0", "item-3#b#B1#1", "item-3#b#B2#2"),
  },
  async (world) => {
    const before = world.assigned();
    await world.serve();
    deepEqual(world.assigned(), before);
    await world.put(members({ "a#A1": 3, "a#A2": 1 }));
    await world.serve();
    checkWhole(world);
    deepEqual([loadOf(world, "a#A1"), loadOf(world, "a#A2")], [2, 1]);
    await world.put(members({ "a#A1": 10, "a#A2": 10, "b#B1": 1, "b#B2": 3 }));
    await world.serve();
    checkWhole(world);
    equal(loadOf(world, "b#B1"), 1);
    equal(inOneZone(world, "item-1", "item-2", "item-3"), 0);
  },
);

scenario(
  "a lease ends and with it a whole zone -> items recover in the other",
  { ...ONE_TWO_THREE, ...members({ "a#A1": 4, "a#A2": 2, "a#A3": 1 }) },
  async (world) => {
    const lease = await world.store.grantLease(10, never);
    await world.put(members({ "b#B1": 4 }), lease);
    await world.put(
      assigned("consistent", "item-1#a#A1#0", "item-2#a#A2#1", "item-3#a#A1#2", "item-3#a#A3#0"),
    );
    await world.put(assigned("consistent", "item-2#b#B1#0", "item-3#b#B1#1"), lease);
    const before = world.assigned();
    await world.serve();
    deepEqual(world.assigned(), before);
    await world.agenda.advance(12_000);
    deepEqual(world.mirror.members().length, 3);
    await world.serve();
    checkWhole(world);
    deepEqual(world.membersOf("item-2"), ["a#A1", "a#A2"]);
    deepEqual(world.membersOf("item-3"), ["a#A1", "a#A2", "a#A3"]);
  },
);

scenario(
  "a member joins a zone that is full -> it gets its share when its limit asks for one",
  { ...ONE_TWO_THREE, ...members({ "a#A1": 3, "a#A2": 2, "a#A3": 1 }) },
  async (world) => {
    await world.serve();
    checkWhole(world);
    deepEqual(world.membersOf("item-2"), ["a#A1", "a#A2"]);
    const before = world.assigned();
    await world.put(members({ "a#A4": 1 }));
    await world.serve();
    deepEqual(world.assigned(), before);
    await world.put(members({ "a#A4": 3 }));
    await world.serve();
    checkWhole(world);
    equal(loadOf(world, "a#A4"), 1);
  },
);

const FOUR_ONES = items({ "item-1": 1, "item-2": 1, "item-3": 1, "item-4": 1 });

scenario(
  "two members are exiting -> the others take what they have",
  { ...members({ "a#A2": 4 }), ...FOUR_ONES, ...members({ "a#A1": 4, "b#B1": 4, "b#B2": 4 }) },
  async (world) => {
    await world.serve();
    checkWhole(world);
    await world.put(members({ "a#A1": 4, "b#B1": 4 }, true));
    await world.serve();
    checkWhole(world);
    deepEqual([loadOf(world, "a#A1"), loadOf(world, "b#B1")], [0, 0]);
  },
);

scenario(
  "one of three is exiting, and one item wants three -> it keeps that alone, the others take what they can have",
  {
    ...items({ "item-1": 1, "item-2": 2, "item-3": 3, "item-4": 1 }),
    ...members({ "a#A": 9, "b#B": 9, "c#C": 9 }),
  },
  async (world) => {
    await world.serve();
    checkWhole(world);
    for (const leaving of ["a#A", "b#B"]) {
      await world.put(members({ [leaving]: 9 }, true));
      await world.serve();
      checkWhole(world);
    }
    // Two that leave: the one that began first gives all it can, the other one what the third can have.
    const left = ["item-1", "item-2", "item-3", "item-4"].map((item) => [...world.membersOf(item)].sort());
    deepEqual(left, [["c#C"], ["b#B", "c#C"], ["a#A", "b#B", "c#C"], ["c#C"]]);
  },
);

scenario(
  "the leader is exiting -> it drains itself and ends",
  { ...FOUR_ONES, ...members({ "a#A1": 4, "a#A2": 4, "b#B1": 4 }) },
  async (world) => {
    await world.serve();
    await world.put(members({ "a#A1": 4 }, true));
    let hasEnded = false;
    const running = world.start("a#A1", never, { onIdle: () => void world.markConsistent() }).then(() => {
      hasEnded = true;
    });
    ok(await world.agenda.runUntil(() => hasEnded, world.agenda.nowMs + 10_000));
    await running;
    equal(loadOf(world, "a#A1"), 0);
    checkWhole(world);
  },
);

scenario(
  "assignments whose item is gone -> they are removed, the others stay",
  {
    ...items({ "item-2": 1, "item-5": 2, "item-6": 3 }),
    ...members({ "a#A": 1, "b#B": 2, "c#C": 3 }),
    ...assigned("consistent", "item-1#a#C#0", "item-1#b#B#1", "item-2#c#C#0", "item-3#a#C#0"),
    ...assigned("consistent", "item-4#b#B#0", "item-4#c#C#1", "item-5#b#B#1", "item-5#c#C#0"),
    ...assigned("consistent", "item-6#a#A#0", "item-6#b#B#1", "item-6#c#C#2"),
    ...assigned("consistent", "item-7#a#A#0", "item-7#c#C#0"),
  },
  async (world) => {
    await world.serve("no match");
    deepEqual(world.assigned(), [
      "item-2#c#C#0",
      "item-5#b#B#1",
      "item-5#c#C#0",
      "item-6#a#A#0",
      "item-6#b#B#1",
      "item-6#c#C#2",
    ]);
  },
);

scenario(
  "assignments whose member is gone -> they go at once: with them nothing gets consistent",
  {
    ...items({ "item-1": 1, "item-2": 1 }),
    ...members({ "a#A": 2 }),
    ...assigned("consistent", "item-1#f#dead#0", "item-2#f#dead#0", "item-1#a#A#1"),
  },
  async (world) => {
    await world.serve("no match");
    deepEqual(world.assigned(), ["item-1#a#A#0", "item-2#a#A#0"]);
  },
);
