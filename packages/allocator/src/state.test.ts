import { deepEqual, equal } from "node:assert/strict";
import { test } from "node:test";
import { snapshotOfValues } from "./scenario-keyspace.ts";
import { isSameProblem, leaderOf, stateOf, type AllocatorState } from "./state.ts";

const FIXTURE = {
  "/root/items/item-1": '{"R":2}',
  "/root/items/item-two": '{"R":1}',
  "/root/members/us-west#baz": '{"R":3}',
  "/root/members/us-east#bar": '{"R":1}',
  "/root/members/us-east#foo": '{"R":2}',
  "/root/assign/item-1#us-east#foo#1": "consistent",
  "/root/assign/item-1#us-west#baz#0": "consistent",
  "/root/assign/item-missing#us-west#baz#0": "",
  "/root/assign/item-two#missing#member#2": "",
  "/root/assign/item-two#us-east#bar#0": "consistent",
  "/root/assign/item-two#us-west#baz#1": "",
};

const state = (values: Readonly<Record<string, string>>): AllocatorState => stateOf(snapshotOfValues(values));

test("state: a keyspace -> zones, slots, counts, and what belongs to nobody", () => {
  const { zones, itemSlots, memberSlots, totals, primaries, begin, memberOf, dead } = state(FIXTURE);
  deepEqual(zones, ["us-east", "us-west"]);
  deepEqual([itemSlots, memberSlots], [3, 6]);
  deepEqual([...totals], [1, 1, 2]);
  deepEqual([...primaries], [1, 0, 1]);
  deepEqual([...begin], [0, 2, 5]);
  deepEqual([...memberOf], [1, 2, -1, 0, 2]);
  deepEqual(
    dead.map((all) => all.map(({ key }) => key)),
    [["/root/assign/item-missing#us-west#baz#0"]],
  );
});

test("state: a zone whose members take nothing -> is none", () => {
  deepEqual(state({ ...FIXTURE, "/root/members/us-west#baz": '{"R":0}' }).zones, ["us-east"]);
});

test("state: leader -> the member that was created first, of several the first in key order", () => {
  const { members } = state(FIXTURE);
  equal(members[leaderOf(members)]!.name, "us-west#baz");
  equal(leaderOf(members.map((member) => ({ ...member, createRevision: 7 }))), 0);
  equal(leaderOf([]), -1);
});

test("state: same problem -> only who wants and who takes how much counts", () => {
  const before = state(FIXTURE);
  const { "/root/assign/item-1#us-east#foo#1": _, ...fewer } = FIXTURE;
  equal(isSameProblem(before, state(fewer)), true);
  for (const [key, value] of [
    ["/root/items/item-1", '{"R":3}'],
    ["/root/items/item-3", '{"R":0}'],
    ["/root/members/us-east#foo", '{"R":3}'],
    ["/root/members/us-east#foo", '{"R":2,"E":true}'],
    ["/root/members/us-east#new", '{"R":0}'],
  ] as const) {
    equal(isSameProblem(before, state({ ...FIXTURE, [key]: value })), false, `${key} ${value}`);
  }
});

/** Items by what they want; members by age, with their limits, `!` after those that exit. */
const SHEDDING: readonly (readonly [
  name: string,
  wants: readonly number[],
  limits: readonly string[],
  left: readonly number[],
])[] = [
  ["room for all -> both shed all they have", [1, 1], ["5!", "5!", "5", "5", "5"], [0, 0, 5, 5, 5]],
  [
    "replication of three -> a third member keeps what wants three",
    [3, 2, 1, 3],
    ["10!", "10!", "10", "10"],
    [0, 2, 10, 10],
  ],
  ["more wanted than there are members -> kept by each", [3, 1], ["10!", "10"], [1, 10]],
  ["more items want it than it takes -> keeps its limit", [2, 2, 2], ["2!", "5"], [2, 5]],
  [
    "little excess -> the oldest first, the last one in part",
    [1, 1, 1, 1, 1],
    ["3!", "3!", "3!", "3"],
    [0, 0, 2, 3],
  ],
  ["overloaded -> nobody sheds", [1, 1, 1, 1, 1], ["2!", "2"], [2, 2]],
  ["nobody exits -> nobody sheds", [1], ["2", "2"], [2, 2]],
  ["alone -> keeps what there is", [1, 1], ["5!"], [2]],
];

for (const [name, wants, limits, left] of SHEDDING) {
  test(`shed capacity: ${name}`, () => {
    const items = wants.map((R, at) => [`/root/items/item-${at}`, JSON.stringify({ R })]);
    const members = limits.map((limit, at) => [
      `/root/members/zone#m${at}`,
      JSON.stringify({ R: Number.parseInt(limit, 10), E: limit.endsWith("!") }),
    ]);
    deepEqual([...state(Object.fromEntries([...items, ...members])).capacity], left);
  });
}

test("shed capacity: as Gazette's leader does -> whole members, as long as one item wants so many", () => {
  const items = { "/root/items/a": '{"R":3}', "/root/items/b": '{"R":1}' };
  const members = ["m0", "m1", "m2", "m3"].map((name, at) => [
    `/root/members/z#${name}`,
    `{"R":5,"E":${at < 2}}`,
  ]);
  const snapshot = snapshotOfValues({ ...items, ...Object.fromEntries(members) });
  deepEqual([...stateOf(snapshot, "by-member").capacity], [0, 5, 5, 5]);
  deepEqual([...stateOf(snapshot).capacity], [0, 1, 5, 5]);
});

test("a member that is out: does not lead, and does not count among those who keep theirs", () => {
  const items = { "/root/items/one": '{"R":3}' };
  const members = [0, 1, 2, 3].map((at) => [`/root/members/zone#m${at}`, `{"R":5,"E":${at === 1}}`]);
  const snapshot = snapshotOfValues({ ...items, ...Object.fromEntries(members) });
  deepEqual([...stateOf(snapshot).capacity], [5, 0, 5, 5]);
  const [first, ...others] = snapshot.members;
  const withOut = { ...snapshot, members: [{ ...first!, limit: 0, isOut: true }, ...others] };
  deepEqual([leaderOf(withOut.members), ...stateOf(withOut).capacity], [1, 0, 1, 5, 5]);
  deepEqual([...stateOf(withOut, "by-member").capacity], [0, 5, 5, 5]);
});
