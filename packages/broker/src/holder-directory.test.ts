import assert from "node:assert/strict";
import { test } from "node:test";
import type { ProcessId } from "@millrace/protocol";
import { KeyspaceHolders, type MemberTable } from "./holder-directory.ts";
import type { Member } from "./journal-table.ts";
import type { HolderCalls, PeerNetwork } from "./peer-network.ts";
import type { Resolution } from "./resolver.ts";

const id = (suffix: string): ProcessId => ({ zone: "z", suffix });
const LOCAL = {} as HolderCalls;
const REMOTE = {} as HolderCalls;

function member(suffix: string, holder: string, createRevision: number): Member {
  const spec = { id: id(suffix), endpoint: `http://${suffix}`, journalLimit: 9, exiting: false, holder };
  return { key: suffix, spec, createRevision, modRevision: createRevision, lease: 1n };
}

function directory(...members: Member[]): KeyspaceHolders {
  const table: MemberTable = {
    member: ({ suffix }) => members.find(({ spec }) => spec.id.suffix === suffix),
    members: () => members,
  };
  const network = { holder: () => REMOTE } as unknown as PeerNetwork;
  return new KeyspaceHolders("mine", table, network, LOCAL);
}

const routed = (...suffixes: string[]): Resolution =>
  ({ header: { route: { members: suffixes.map(id), primary: 0, endpoints: [] } } }) as unknown as Resolution;

test("holders: found by their directory; one that moved to another name is where it was announced last", () => {
  const holders = directory(member("a", "mine", 1), member("b", "other", 2), member("c", "other", 3));
  assert.equal(holders.find("mine")?.calls, LOCAL);
  assert.deepEqual(holders.find("other")?.peer, { id: id("c"), endpoint: "http://c" });
  assert.equal(holders.find("other")?.calls, REMOTE);
  assert.equal(holders.find("gone"), undefined);
});

test("holders: members of a route -> a holder, one that keeps no lists, or nobody that is announced", () => {
  const holders = directory(member("a", "mine", 1), member("go", "", 2));
  const [own, foreign, missing] = holders.members(routed("a", "go", "gone"));
  assert.equal(typeof own === "object" ? own.id : own, "mine");
  assert.equal(foreign, "keeps-no-lists");
  assert.equal(missing, undefined);
  assert.deepEqual([holders.keepsLists(id("a")), holders.keepsLists(id("go"))], [true, false]);
});
