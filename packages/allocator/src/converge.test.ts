import { deepEqual, equal, throws } from "node:assert/strict";
import { test } from "node:test";
import { text } from "@millrace/base";
import type { StoreOp, TxnRequest } from "@millrace/metadata";
import { gather, type Checkpoint, type RevisionCompare } from "./checkpoints.ts";
import { converge, type Plan } from "./converge.ts";
import { saysConsistent, scenarioKeys, snapshotOfValues } from "./scenario-keyspace.ts";
import type { Solution } from "./solver.ts";
import { leaderOf, stateOf } from "./state.ts";

type Values = Readonly<Record<string, string>>;

/** Plans with the desired members of each item given by name; each key was put at a revision of its own, from 1. */
function plan(values: Values, desired: Readonly<Record<string, readonly string[]>>): Plan {
  const rooted = Object.fromEntries(Object.entries(values).map(([key, value]) => [`/root/${key}`, value]));
  const state = stateOf(snapshotOfValues(rooted));
  const rows = state.items.map(({ id }) =>
    (desired[id] ?? [])
      .map((name) => state.members.findIndex((member) => member.name === name))
      .sort((a, b) => a - b),
  );
  const begin = Int32Array.from([0, ...rows.map((_, at) => rows.slice(0, at + 1).flat().length)]);
  const members = Int32Array.from(rows.flat());
  const none = { placed: members.length, inOneZone: 0, aboveShare: 0, added: 0, removed: 0 };
  const solution: Solution = { begin, members, ...none };
  const leader = leaderOf(state.members);
  return converge(state, solution, { keys: scenarioKeys, isConsistent: saysConsistent, leader });
}

const opText = (op: StoreOp): string => {
  if (op.kind !== "put") return `${op.kind} ${op.key.slice("/root/".length)}`;
  return `put ${op.key.slice("/root/".length)} "${text(op.value)}"`;
};
const compareText = (compare: RevisionCompare): string => {
  const bound = compare.target === "version" ? compare.version : compare.revision;
  const range = compare.end === undefined ? "" : "*";
  return `${compare.target} ${compare.key.slice("/root/".length)}${range} ${compare.op} ${bound}`;
};
const opsOf = ({ txns }: Plan): string[] => txns.flatMap(({ success }) => success.map(opText));
const comparesOf = ({ txns }: Plan): string[] =>
  txns.flatMap(({ compare }) => compare.map((one) => compareText(one as RevisionCompare)));

const ONE = { "items/item": '{"R":1}' };
/** Loads rise with the number: member n takes 6 - n. */
const FIVE = Object.fromEntries([1, 2, 3, 4, 5].map((n) => [`members/zone#m${n}`, `{"R":${6 - n}}`]));

test("converge: everything as desired -> nothing", () => {
  const values = { ...ONE, ...FIVE, "assign/item#zone#m2#0": "" };
  deepEqual(plan(values, { item: ["zone#m2"] }).txns, []);
});

test("converge: removals -> by descending load, as long as enough consistent ones are left", () => {
  const values = {
    ...ONE,
    ...FIVE,
    "assign/item#zone#m1#0": "",
    "assign/item#zone#m2#1": "consistent",
    "assign/item#zone#m3#2": "",
    "assign/item#zone#m4#3": "consistent",
    "assign/item#zone#m5#4": "",
  };
  const made = plan(values, {});
  deepEqual(
    opsOf(made),
    [5, 4, 3].map((n) => `delete assign/item#zone#m${n}#${n - 1}`),
  );
  deepEqual(comparesOf(made), [
    "mod members/zone#m1 = 2",
    "mod items/item = 1",
    ...[5, 4, 3].map((n) => `mod assign/item#zone#m${n}#${n - 1} = ${n + 6}`),
    "mod assign/item#zone#m2#1 = 8", // what the removals rest on
  ]);
});

test("converge: a member that is not there -> its assignment goes at once, alone, and there is a primary", () => {
  const values = {
    "items/item": '{"R":2}',
    ...FIVE,
    "assign/item#zone#ghost#0": "",
    "assign/item#zone#m1#1": "",
    "assign/item#zone#m2#2": "",
    "assign/item#zone#m3#3": "",
  };
  const made = plan(values, { item: ["zone#m1", "zone#m2"] });
  deepEqual(opsOf(made), [
    "delete assign/item#zone#ghost#0",
    "delete assign/item#zone#m1#1",
    'put assign/item#zone#m1#0 ""',
  ]);
  deepEqual(
    made.lost.map(({ member }) => member),
    ["zone#ghost"],
  );
});

test("converge: only members that are not there -> their assignments go, and others come", () => {
  const values = { ...ONE, ...FIVE, "assign/item#zone#ghost#7": "" };
  deepEqual(opsOf(plan(values, { item: ["zone#m2"] })), [
    'put assign/item#zone#m2#8 ""',
    "delete assign/item#zone#ghost#7",
  ]);
});

test("converge: an item that wants nothing -> all its assignments go, consistent or not", () => {
  const values = {
    "items/item": '{"R":0}',
    ...FIVE,
    "assign/item#zone#m1#0": "",
    "assign/item#zone#m2#1": "consistent",
  };
  equal(opsOf(plan(values, {})).length, 2);
});

test("converge: the most loaded is the last consistent one -> nothing goes", () => {
  const values = { ...ONE, ...FIVE, "assign/item#zone#m1#0": "", "assign/item#zone#m2#1": "consistent" };
  const made = plan(values, {});
  deepEqual(opsOf(made), []);
  equal(made.waiting, 1);
});

test("converge: the primary goes -> a consistent one with the fewest primaries for its size is promoted", () => {
  const values = {
    ...ONE,
    "items/zzzz-2": '{"R":1}',
    "items/zzzz-3": '{"R":1}',
    "members/zone#m0": '{"R":1}',
    "members/zone#m1": '{"R":5}',
    "members/zone#m2": '{"R":2}',
    "members/zone#m3": '{"R":3}',
    "assign/item#zone#m0#0": "",
    "assign/item#zone#m1#1": "", // no primaries, but not consistent
    "assign/item#zone#m2#2": "consistent",
    "assign/item#zone#m3#3": "consistent",
    "assign/zzzz-2#zone#m2#0": "",
    "assign/zzzz-3#zone#m3#0": "",
  };
  const desired = { item: ["zone#m1", "zone#m2", "zone#m3"], "zzzz-2": ["zone#m2"], "zzzz-3": ["zone#m3"] };
  deepEqual(opsOf(plan(values, desired)), [
    "delete assign/item#zone#m0#0",
    "delete assign/item#zone#m3#3",
    'put assign/item#zone#m3#0 "consistent"',
  ]);
});

test("converge: no primary, and nobody consistent but one -> that one, with its value and nothing seen since", () => {
  const values = {
    "items/item": '{"R":3}',
    "members/zone#m0": '{"R":3}',
    "members/zone#m1": '{"R":1}',
    "members/zone#m2": '{"R":1}',
    "assign/item#zone#m0#1": "",
    "assign/item#zone#m1#2": "consistent",
    "assign/item#zone#m2#3": "",
  };
  const made = plan(values, { item: ["zone#m0", "zone#m1", "zone#m2"] });
  deepEqual(opsOf(made), ["delete assign/item#zone#m1#2", 'put assign/item#zone#m1#0 "consistent"']);
  deepEqual(comparesOf(made), [
    "mod members/zone#m0 = 2",
    "mod assign/item#* < 8",
    "mod assign/item#zone#m1#2 = 6",
  ]);
});

test("converge: a primary that is not consistent -> stays primary", () => {
  const values = {
    "items/item": '{"R":2}',
    ...FIVE,
    "assign/item#zone#m1#0": "",
    "assign/item#zone#m2#1": "consistent",
  };
  deepEqual(opsOf(plan(values, { item: ["zone#m1", "zone#m2"] })), []);
});

test("converge: additions -> after the last slot, where there is room, under the member as it was seen", () => {
  const values = {
    ...ONE,
    "items/zzzz": '{"R":1}',
    "members/zone#m0": '{"R":1}',
    "members/zone#m1": '{"R":1}',
    "members/zone#m2": '{"R":2}',
    "members/zone#m3": '{"R":2}',
    "assign/item#zone#m3#7": "",
    "assign/zzzz#zone#m1#0": "",
    "assign/zzzz#zone#m2#1": "",
  };
  const made = plan(values, { item: ["zone#m0", "zone#m1", "zone#m2"], zzzz: ["zone#m1", "zone#m2"] });
  deepEqual(opsOf(made).slice(0, 2), ['put assign/item#zone#m0#8 ""', 'put assign/item#zone#m2#9 ""']);
  deepEqual(comparesOf(made).slice(0, 4), [
    "mod members/zone#m0 = 3", // the leader, who gets an item too: once
    "mod assign/item#* < 10",
    "mod members/zone#m2 = 5",
    "mod assign/item#zone#m3#7 = 7",
  ]);
  equal(made.blocked, 1);
});

test("converge: a new item -> its primary is where there are the fewest, the others in order", () => {
  const values = {
    "items/a": '{"R":2}',
    "items/b": '{"R":2}',
    "members/zone#m0": '{"R":2}',
    "members/zone#m1": '{"R":2}',
  };
  const made = plan(values, { a: ["zone#m0", "zone#m1"], b: ["zone#m0", "zone#m1"] });
  deepEqual(opsOf(made), [
    'put assign/a#zone#m0#0 ""',
    'put assign/a#zone#m1#1 ""',
    'put assign/b#zone#m1#0 ""',
    'put assign/b#zone#m0#1 ""',
  ]);
});

test("converge: an item that is to have one assignment -> says so from the start, others do not", () => {
  const values = { ...ONE, "items/two": '{"R":2}', ...FIVE };
  const state = stateOf(
    snapshotOfValues(Object.fromEntries(Object.entries(values).map(([k, v]) => [`/root/${k}`, v]))),
  );
  const begin = Int32Array.from([0, 1, 3]);
  const members = Int32Array.from([2, 0, 1]);
  const solution = { begin, members, placed: 3, inOneZone: 0, aboveShare: 0, added: 3, removed: 0 };
  const valueOfOnly = ({ name }: { readonly name: string }): Uint8Array =>
    new TextEncoder().encode(`only ${name}`);
  const options = { keys: scenarioKeys, isConsistent: saysConsistent, leader: 0, valueOfOnly };
  deepEqual(opsOf(converge(state, solution, options)), [
    'put assign/item#zone#m3#0 "only zone#m3"',
    'put assign/two#zone#m1#0 ""',
    'put assign/two#zone#m2#1 ""',
  ]);
});

test("converge: room that the same pass gives up -> is taken in it", () => {
  const values = {
    "items/a": '{"R":0}',
    "items/b": '{"R":1}',
    "members/zone#m0": '{"R":1}',
    "assign/a#zone#m0#0": "consistent",
  };
  deepEqual(opsOf(plan(values, { b: ["zone#m0"] })), [
    "delete assign/a#zone#m0#0",
    'put assign/b#zone#m0#0 ""',
  ]);
});

test("converge: gaps between slots -> one is closed at a time, with its value", () => {
  const values = {
    "items/item": '{"R":4}',
    ...FIVE,
    "assign/item#zone#m1#0": "",
    "assign/item#zone#m2#1": "",
    "assign/item#zone#m3#3": "consistent",
    "assign/item#zone#m4#5": "consistent",
  };
  const made = plan(values, { item: ["zone#m1", "zone#m2", "zone#m3", "zone#m4"] });
  deepEqual(opsOf(made), ["delete assign/item#zone#m3#3", 'put assign/item#zone#m3#2 "consistent"']);
});

test("converge: a member that has an item twice -> keeps one of them", () => {
  const values = {
    ...ONE,
    ...FIVE,
    "assign/item#zone#m1#0": "consistent",
    "assign/item#zone#m1#1": "consistent",
  };
  deepEqual(opsOf(plan(values, { item: ["zone#m1"] })), ["delete assign/item#zone#m1#1"]);
});

test("converge: assignments without an item -> go if the item has not come again; any number of them", () => {
  const dead = Object.fromEntries(Array.from({ length: 70 }, (_, n) => [`assign/gone#zone#m1#${n}`, ""]));
  const made = plan({ ...FIVE, ...dead }, {});
  equal(opsOf(made).length, 70);
  equal(comparesOf(made).filter((one) => one === "create items/gone = 0").length, made.txns.length);
});

const compare = (key: string): RevisionCompare => ({ target: "mod", key, op: "=", revision: 1 });
const del = (key: string): StoreOp => ({ kind: "delete", key });
const checkpoint = (name: string, ops: number): Checkpoint => ({
  compare: [compare(`c${name}`)],
  ops: Array.from({ length: ops }, () => del(name)),
});
const shape = (txns: readonly TxnRequest[]): string[] =>
  txns.map(
    ({ compare: all, success }) =>
      `${all.map(({ key }) => key).join("")}:${success.map((op) => (op as { key: string }).key).join("")}`,
  );

test("gather: checkpoints -> whole, in order, within bounds, each transaction with the fixed compares", () => {
  deepEqual(gather([compare("F")], [], 3), []);
  const some = [
    checkpoint("a", 1),
    checkpoint("b", 1),
    checkpoint("c", 2),
    checkpoint("c", 1),
    checkpoint("d", 3),
  ];
  deepEqual(shape(gather([compare("F")], some, 3)), ["Fcacb:ab", "Fcc:ccc", "Fcd:ddd"]);
  throws(() => gather([compare("F")], [checkpoint("a", 4)], 3), /a checkpoint fits/);
});
