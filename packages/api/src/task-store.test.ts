import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";

import { Gate, MetricsRegistry, never, silentLogger, WireError } from "@millrace/base";
import { Agenda, seededRandom, settle, SimulatedClock } from "@millrace/base/testkit";
import type { CoordinationStore } from "@millrace/metadata";
import { openMemoryStore } from "@millrace/metadata/testkit";

import { lockKey } from "./task-lock.ts";
import { TaskStore, type TaskRecord, type TaskSuccess } from "./task-store.ts";

const REQUEST = { projectId: 1, type: "api.create.source", objectKey: "1/flights" } as const;
const DONE: TaskSuccess = { result: "Done.", outputs: { sourceId: "flights" } };
const HOUR_MS = 3_600_000;

let agenda: Agenda;
let store: CoordinationStore;
let tasks: TaskStore;
let metrics: MetricsRegistry;

function open(): TaskStore {
  const clock = new SimulatedClock(agenda);
  metrics = new MetricsRegistry();
  return new TaskStore({ store, clock, random: seededRandom("tasks"), logger: silentLogger, metrics });
}

async function start(work: () => Promise<TaskSuccess>): Promise<TaskRecord> {
  let record: TaskRecord | undefined;
  void tasks.start(REQUEST, work, 1000, never).then((started) => {
    if (started.kind === "started") record = started.record;
  });
  await agenda.runUntil(() => record !== undefined, agenda.nowMs + 5000);
  assert.ok(record !== undefined);
  return record;
}

beforeEach(async () => {
  agenda = new Agenda();
  store = await openMemoryStore(new SimulatedClock(agenda), seededRandom("store"));
  tasks = open();
});
afterEach(() => tasks.close());

describe("tasks", () => {
  test("start: the duration is what lies between creation and end", async () => {
    const clock = new SimulatedClock(agenda);
    const record = await start(async () => {
      await clock.sleep(250, never);
      return DONE;
    });
    const tookMs = Date.parse(record.finishedAt!) - Date.parse(record.createdAt);
    assert.ok(tookMs >= 250, String(tookMs));
    assert.equal(record.durationMs, tookMs);
  });

  test("start: work that is done in time -> finished, and its record says the same", async () => {
    const record = await start(() => Promise.resolve(DONE));
    assert.deepEqual([record.status, record.result, record.outputs], ["success", DONE.result, DONE.outputs]);
    assert.match(
      record.taskId,
      /^api\.create\.source\/1\/flights\/2026-01-01T00:00:0\d\.\d{3}Z_[0-9a-z]{5}$/,
    );
    assert.deepEqual(await tasks.get(1, record.taskId, never), record);
    assert.equal(await tasks.get(2, record.taskId, never), undefined);
  });

  test("start: work that takes longer -> processing, later finished", async () => {
    const gate = new Gate();
    const record = await start(async () => {
      await gate.next(never);
      return DONE;
    });
    assert.deepEqual([record.status, record.finishedAt], ["processing", undefined]);
    const { type } = REQUEST;
    const running = metrics.gauge("millrace_api_running_tasks", "");
    const seconds = metrics.histogram("millrace_api_task_seconds", "", []);
    assert.deepEqual([running.value({ type }), seconds.count({ type, outcome: "success" })], [1, 0]);
    gate.open();
    for (let i = 0; i < 10; i++) await settle();
    assert.equal((await tasks.get(1, record.taskId, never))?.status, "success");
    assert.deepEqual([running.value({ type }), seconds.count({ type, outcome: "success" })], [0, 1]);
  });

  test("start: work that fails -> its text for what a user did, nothing of our own mistakes", async () => {
    const refused = await start(() => Promise.reject(new WireError("CONFLICT", "It exists.")));
    assert.deepEqual([refused.status, refused.error], ["error", "It exists."]);
    const broken = await start(() => Promise.reject(new Error("secret detail")));
    assert.deepEqual([broken.status, broken.error], ["error", "Unknown error"]);
  });

  test("get: the process died under the work -> failed once its time is over", async () => {
    const record = await start(() => new Promise(() => undefined));
    tasks = open();
    assert.equal((await tasks.get(1, record.taskId, never))?.status, "processing");
    await agenda.advance(5 * 60_000);
    const late = await tasks.get(1, record.taskId, never);
    assert.deepEqual([late?.status, late?.error, late?.durationMs], ["error", "Task timed out.", 300_000]);
  });

  test("start: another task works on the object -> locked by it, until it has ended", async () => {
    const gate = new Gate();
    const first = await start(async () => {
      await gate.next(never);
      return DONE;
    });
    const again = { ...REQUEST, type: "api.update.source" } as const;
    const locked = await tasks.start(again, () => Promise.resolve(DONE), 1000, never);
    assert.deepEqual(locked, { kind: "locked", by: first.taskId });
    const other = { ...REQUEST, objectKey: "1/other" } as const;
    assert.equal((await tasks.start(other, () => Promise.resolve(DONE), 1000, never)).kind, "started");
    gate.open();
    for (let i = 0; i < 20; i++) await settle();
    assert.equal((await tasks.start(again, () => Promise.resolve(DONE), 1000, never)).kind, "started");
  });

  test("get: the process stopped under the work -> interrupted, and its lock is free", async () => {
    const record = await start(() => new Promise(() => undefined));
    await tasks.close();
    tasks = open();
    const found = await tasks.get(1, record.taskId, never);
    assert.deepEqual([found?.status, found?.error], ["error", "Task was interrupted."]);
    assert.equal((await tasks.start(REQUEST, () => Promise.resolve(DONE), 1000, never)).kind, "started");
  });

  test("get: the process died under the work -> interrupted once the lease of its lock has ended", async () => {
    const record = await start(() => new Promise(() => undefined));
    const key = lockKey(1, REQUEST.objectKey);
    const { kvs } = await store.range({ key }, never);
    assert.ok(kvs[0] !== undefined && kvs[0].lease !== 0n);
    await store.revokeLease(kvs[0].lease, never);
    const found = await tasks.get(1, record.taskId, never);
    assert.deepEqual([found?.status, found?.error], ["error", "Task was interrupted."]);
  });

  test("work that never ends -> failed after five minutes, its lock is free", async () => {
    const record = await start(() => new Promise(() => undefined));
    await agenda.advance(5 * 60_000 + 1000);
    const found = await tasks.get(1, record.taskId, never);
    assert.deepEqual([found?.status, found?.error], ["error", "Task timed out."]);
    assert.equal((await tasks.start(REQUEST, () => Promise.resolve(DONE), 1000, never)).kind, "started");
  });

  test("clean-up: success goes after an hour, failures after two days", async () => {
    const good = await start(() => Promise.resolve(DONE));
    const bad = await start(() => Promise.reject(new WireError("CONFLICT", "no")));
    assert.equal(await tasks.cleanUp(never), 0);
    await agenda.advance(HOUR_MS);
    assert.equal(await tasks.cleanUp(never), 1);
    assert.equal(await tasks.get(1, good.taskId, never), undefined);
    assert.equal((await tasks.get(1, bad.taskId, never))?.status, "error");
    await agenda.advance(47 * HOUR_MS);
    assert.equal(await tasks.cleanUp(never), 1);
  });

  test("a record that cannot be read -> listed and cleaned up without it", async () => {
    const key = "stream/task/1/api.create.source/1/broken/2026";
    const value = new TextEncoder().encode("no task");
    await store.txn({ compare: [], success: [{ kind: "put", key, value }] }, never);
    const good = await start(() => Promise.resolve(DONE));
    const listed = await tasks.newest(1, 10, never);
    assert.deepEqual(
      listed.map(({ taskId }) => taskId),
      [good.taskId],
    );
    await agenda.advance(HOUR_MS);
    assert.equal(await tasks.cleanUp(never), 1);
    assert.equal((await store.range({ key }, never)).kvs.length, 1);
  });
});
