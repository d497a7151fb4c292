import assert from "node:assert/strict";
import { test } from "node:test";
import { WireError } from "@millrace/base";
import { UnsyncedCommits } from "./unsynced-commits.ts";

function open(): { commits: UnsyncedCommits; add: (end: number) => void; told: string[] } {
  const commits = new UnsyncedCommits();
  const told: string[] = [];
  const add = (end: number): void =>
    commits.add(end, (failure) => told.push(`${end} ${failure?.code ?? "synced"}`));
  return { commits, add, told };
}

test("unsynced commits: each is told when all below its end is synced, in order; at once when it is already", () => {
  const { commits, add, told } = open();
  for (const end of [3, 5, 5, 9]) add(end);
  commits.synced(2);
  assert.deepEqual(told, []);
  commits.synced(5);
  commits.synced(4);
  assert.deepEqual(told, ["3 synced", "5 synced", "5 synced"]);
  commits.synced(12);
  add(11);
  assert.deepEqual(told.slice(3), ["9 synced", "11 synced"]);
});

test("unsynced commits: the pipeline breaks -> what is not synced fails, and so does what comes", () => {
  const { commits, add, told } = open();
  for (const end of [3, 5]) add(end);
  commits.synced(3);
  commits.broken(new WireError("UNAVAILABLE", "it broke"));
  add(7);
  assert.deepEqual(told, ["3 synced", "5 UNAVAILABLE", "7 UNAVAILABLE"]);
});
