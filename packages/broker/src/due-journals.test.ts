import assert from "node:assert/strict";
import { test } from "node:test";
import { DueJournals } from "./due-journals.ts";

function addAll(due: DueJournals, isAwaited: boolean, journals: readonly string[]): void {
  for (const journal of journals) due.add({ journal, isAwaited });
}

function takeAll(due: DueJournals): string[] {
  const taken: string[] = [];
  for (let next = due.take(); next !== undefined; next = due.take()) taken.push(next.journal);
  return taken;
}

test("due journals: those that appends wait for come before the ones with a new route, each in its order", () => {
  const due = new DueJournals();
  addAll(due, false, ["a", "b", "c"]);
  addAll(due, true, ["y", "x"]);
  assert.deepEqual(takeAll(due), ["y", "x", "a", "b", "c"]);
  assert.equal(due.isEmpty, true);
});

test("due journals: awaited and with a new route -> taken once, among the awaited", () => {
  const due = new DueJournals();
  addAll(due, false, ["a", "b", "c"]);
  addAll(due, true, ["c"]);
  addAll(due, false, ["c"]);
  assert.deepEqual(takeAll(due), ["c", "a", "b"]);
});

test("due journals: taken, and added again as it was -> as urgent as before", () => {
  const due = new DueJournals();
  addAll(due, true, ["a"]);
  const taken = due.take();
  addAll(due, false, ["b"]);
  assert.ok(taken !== undefined);
  due.add(taken);
  assert.equal(due.isEmpty, false);
  assert.deepEqual(takeAll(due), ["a", "b"]);
});
