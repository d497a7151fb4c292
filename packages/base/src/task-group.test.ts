import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { test } from "node:test";
import { settle } from "./simulated-ports.ts";
import { Gate, waitUntil } from "./gate.ts";
import { abortScope, never } from "./abort.ts";
import { TaskGroup } from "./task-group.ts";

test("task group: one task fails -> the others are aborted, and the failure is told once", async () => {
  const failures: string[] = [];
  const group = new TaskGroup("g", (task) => failures.push(task));
  let aborted = false;
  group.spawn("waits", (signal) => new Gate().next(signal).catch(() => void (aborted = true)));
  group.spawn("fails", () => Promise.reject(new Error("no")));
  await settle();
  await group.close();
  assert.deepEqual(failures, ["fails"]);
  assert.ok(aborted);
});

test("gate: a waiter checks its condition after each opening", async () => {
  const gate = new Gate();
  let value = 0;
  const done = waitUntil(gate, () => value === 2, never);
  for (value = 1; value < 3; value++) {
    gate.open();
    await Promise.resolve();
    if (value === 2) break;
  }
  await done;
});

test("abort scope: the parent's abort reaches the child until it is disposed", () => {
  const parent = new AbortController();
  const kept = abortScope(parent.signal);
  const disposed = abortScope(parent.signal);
  disposed.dispose();
  parent.abort(new Error("over"));
  assert.ok(kept.signal.aborted);
  assert.equal(disposed.signal.aborted, false);
});

test("never: listeners are not kept, however many wait", () => {
  for (let i = 0; i < 1000; i++) never.addEventListener("abort", () => assert.fail("it never aborts"));
  assert.deepEqual(getEventListeners(never, "abort"), []);
});
