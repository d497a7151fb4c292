import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { decideFailOver, type AssignedJournal, type ClusterMember } from "./early-fail-over.ts";

const member = (id: string, refusedTo = "", more: Partial<ClusterMember> = {}): ClusterMember => ({
  id,
  createRevision: id.charCodeAt(0),
  isDraining: false,
  isOut: false,
  refusedTo: refusedTo.split("").filter((one) => one !== ""),
  ...more,
});
const JOURNALS: readonly AssignedJournal[] = [
  { journal: "shared", assigned: ["a", "c"], holders: ["a", "c"] },
  { journal: "alone", assigned: ["c"], holders: ["c"] },
  { journal: "idle", assigned: ["c"], holders: "not-needed" },
  { journal: "elsewhere", assigned: ["a"], holders: ["a"] },
];
const taken = (self: string, leader: string, ...members: ClusterMember[]): string | undefined =>
  decideFailOver(self, leader, members, JOURNALS)?.member;

test("early fail-over: two report a member -> the leader takes what others hold too, or nobody needs to", () => {
  const members = [member("a"), member("b"), member("c", "ab")];
  const want = { member: "c", journals: ["shared", "idle"], compared: ["a"] };
  assert.deepEqual(decideFailOver("a", "a", members, JOURNALS), want);
  assert.equal(decideFailOver("b", "a", members, JOURNALS), undefined);
});

test("early fail-over: one report of three members -> nothing", () => {
  assert.equal(taken("a", "a", member("a"), member("b"), member("c", "a")), undefined);
});

test("early fail-over: the leader is refused -> the next by create revision, comparing the leader's key too", () => {
  const members = [member("a"), member("b"), member("c", "ab")];
  const want = { member: "c", journals: ["shared", "idle"], compared: ["a", "c"] };
  assert.deepEqual(decideFailOver("a", "c", members, JOURNALS), want);
  assert.equal(decideFailOver("b", "c", members, JOURNALS), undefined);
});

test("early fail-over: of two members -> the leader stays, whoever reports", () => {
  assert.equal(taken("a", "a", member("a", "b"), member("b", "a")), undefined);
  assert.equal(taken("a", "a", member("a"), member("b", "a")), "b");
  assert.equal(taken("b", "a", member("a", "b"), member("b")), undefined);
});

test("early fail-over: draining, one taken already, or alone -> nothing", () => {
  assert.equal(taken("a", "a", member("a"), member("b"), member("c", "ab", { isDraining: true })), undefined);
  const out = member("d", "", { isOut: true });
  assert.equal(taken("a", "a", member("a"), member("b"), member("c", "ab"), out), undefined);
  assert.equal(taken("a", "a", member("a")), undefined);
});

test("early fail-over: any reports -> at most one member decides, never against itself, and half remain", () => {
  const ids = ["a", "b", "c", "d", "e"];
  const cluster = fc
    .integer({ min: 1, max: 5 })
    .chain((n) =>
      fc.tuple(
        fc.constantFrom(...ids.slice(0, n)),
        fc.tuple(
          ...ids.slice(0, n).map((id) => fc.subarray(ids.slice(0, n)).map((to) => member(id, to.join("")))),
        ),
      ),
    );
  fc.assert(
    fc.property(cluster, ([leader, members]) => {
      const decisions = members.flatMap(({ id }) => {
        const decided = decideFailOver(id, leader, members, JOURNALS);
        if (decided !== undefined) assert.notEqual(decided.member, id);
        return decided === undefined ? [] : [decided.member];
      });
      assert.ok(decisions.length <= 1);
      if (decisions.length === 1) assert.ok((members.length - 1) * 2 >= members.length);
    }),
    { numRuns: 1000 },
  );
});
