import assert from "node:assert/strict";
import { test } from "node:test";
import { DueJournals } from "./due-journals.ts";

const UNTIL = { awaitedUntilMs: 10_000 };

function addAll(due: DueJournals, isAwaited: boolean, journals: readonly string[]): void {
  for (const journal of journals) due.add(isAwaited ? { journal, ...UNTIL } : { journal });
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

test("due journals: taken, and added again -> as urgent as before, until nobody waits any more", () => {
  for (const [nowMs, expected] of [
    [9999, ["a", "b"]],
    [10_000, ["b", "a"]],
  ] as const) {
    const due = new DueJournals();
    addAll(due, true, ["a"]);
    const taken = due.take();
    addAll(due, false, ["b"]);
    assert.ok(taken !== undefined);
    due.addAgain(taken, nowMs);
    assert.equal(due.isEmpty, false);
    assert.deepEqual(takeAll(due), expected);
  }
});

test("due journals: awaited anew while it is due -> by whoever waits longest", () => {
  const due = new DueJournals();
  for (const awaitedUntilMs of [10_000, 12_000, 11_000]) due.add({ journal: "a", awaitedUntilMs });
  assert.deepEqual(due.take(), { journal: "a", awaitedUntilMs: 12_000 });
});
