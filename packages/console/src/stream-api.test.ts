import assert from "node:assert/strict";
import { test } from "node:test";
import { ApiClient, ApiError } from "./api-client.ts";
import { pathOf, StreamApi } from "./stream-api.ts";
import type { Task } from "./stream-definitions.ts";

const SIGNAL = new AbortController().signal;
const TASK: Task = {
  taskId: "api.update.sink/1/a/b/2026_x",
  type: "api.update.sink",
  url: "http://api.test/v1/tasks/api.update.sink/1/a/b/2026_x",
  status: "processing",
  isFinished: false,
  createdAt: "2026-01-01T00:00:00.000Z",
};

/** An API that gives `answers` one after another. */
function apiOf(answers: readonly unknown[]): {
  api: StreamApi;
  asked: string[];
  seen: string[];
  slept: number[];
} {
  const asked: string[] = [];
  const seen: string[] = [];
  const slept: number[] = [];
  const fetch = ((url: string, init: { method?: string } = {}) => {
    asked.push(`${init.method ?? "GET"} ${url}`);
    return Promise.resolve(new Response(JSON.stringify(answers[asked.length - 1])));
  }) as typeof globalThis.fetch;
  const client = new ApiClient({ fetch, token: () => "", onUnauthorised: () => undefined });
  const sleep = (ms: number): Promise<void> => {
    slept.push(ms);
    return Promise.resolve();
  };
  const onTask = (task: Task): void => void seen.push(task.status);
  return { api: new StreamApi(client, "/v1/", { sleep, onTask }), asked, seen, slept };
}

test("change: its task is followed to the end, and told of", async () => {
  const { api, asked, seen, slept } = apiOf([TASK, TASK, { ...TASK, status: "success", isFinished: true }]);
  const done = await api.update({ sourceId: "a", sinkId: "b" }, { name: "x" }, SIGNAL);
  assert.equal(done.status, "success");
  assert.deepEqual(seen, ["processing", "processing", "success"]);
  assert.equal(slept.length, 2);
  assert.deepEqual(asked, [
    "PATCH /v1/branches/default/sources/a/sinks/b",
    `GET /v1/tasks/${TASK.taskId}`,
    `GET /v1/tasks/${TASK.taskId}`,
  ]);
});

test("change: a task that fails -> its error's text", async () => {
  const { api } = apiOf([{ ...TASK, status: "error", isFinished: true, error: "The table is gone." }]);
  await assert.rejects(api.delete({ sourceId: "a" }, SIGNAL), (thrown: unknown) => {
    assert.ok(thrown instanceof ApiError);
    assert.deepEqual([thrown.message, thrown.code], ["The table is gone.", "TASK_FAILED"]);
    return true;
  });
});

test("list: pages are walked to the end, versions come the newest first", async () => {
  const version = (number: number) => ({ number, description: "", at: "", by: { type: "system" } });
  const first = Array.from({ length: 100 }, (_, i) => version(i + 1));
  const { api, asked } = apiOf([
    { versions: first, page: { lastId: "0000000100" } },
    { versions: [version(101)], page: { lastId: "0000000101" } },
  ]);
  const versions = await api.versions({ sourceId: "a" }, SIGNAL);
  assert.deepEqual([versions.length, versions[0]?.number], [101, 101]);
  assert.match(asked[1] ?? "", /afterId=0000000100$/);
});

test("paths: IDs are escaped", () => {
  assert.equal(pathOf({ sourceId: "a/b", sinkId: "c d" }), "branches/default/sources/a%2Fb/sinks/c%20d");
});
