import assert from "node:assert/strict";
import { test } from "node:test";
import { never, systemClock } from "@millrace/base";
import { ApiClient, type ApiAnswer, type ApiRequest } from "./api-client.ts";
import { allPages, taskEnd } from "./api-tasks.ts";

function client(...answers: readonly ApiAnswer[]): { api: ApiClient; sent: ApiRequest[] } {
  const sent: ApiRequest[] = [];
  const api = new ApiClient((request) => {
    const answer = answers[sent.push(request) - 1];
    assert.ok(answer !== undefined, "one answer for each request");
    return Promise.resolve(answer);
  });
  return { api, sent };
}

const ok = (value: unknown): ApiAnswer => ({ status: 200, body: JSON.stringify(value) });

test("call: path, query and body as the document has them; what is not given is not sent", async () => {
  const { api, sent } = client(ok({}), ok({}), ok({}), ok({}));
  await api.call("listSources", { branchId: "default", afterId: "a/b&c" }, never);
  await api.call("getTask", { taskId: "api.create.source/1/x/2026 é" }, never);
  await api.call("createSource", { branchId: "default", body: { type: "http", name: "N" } }, never);
  const raw = { branchId: "default", sourceId: "s?", body: "n=1", contentType: "text/plain" };
  await api.call("testSource", raw, never);
  assert.deepEqual(sent, [
    { method: "GET", path: "/v1/branches/default/sources?afterId=a%2Fb%26c" },
    { method: "GET", path: "/v1/tasks/api.create.source/1/x/2026%20%C3%A9" },
    {
      method: "POST",
      path: "/v1/branches/default/sources",
      contentType: "application/json",
      body: '{"type":"http","name":"N"}',
    },
    {
      method: "POST",
      path: "/v1/branches/default/sources/s%3F/test",
      contentType: "text/plain",
      body: "n=1",
    },
  ]);
});

test("call: refusals -> the status's code, the text and the name; a proxy's page -> as it is", async () => {
  const body = JSON.stringify({ statusCode: 404, error: "stream.api.sourceNotFound", message: "No." });
  const { api } = client(
    { status: 404, body },
    { status: 503, body: "busy\n" },
    { status: 418, body: "" },
    { status: 200, body: "<html>" },
  );
  const ask = (): Promise<unknown> => api.call("listTokens", {}, never);
  const facts = { error: "stream.api.sourceNotFound", status: 404 };
  await assert.rejects(ask(), { code: "NOT_FOUND", message: "No.", facts });
  await assert.rejects(ask(), { message: "busy", facts: { status: 503 } });
  await assert.rejects(ask(), { code: "INTERNAL", message: "HTTP status 418" });
  await assert.rejects(ask(), { code: "INTERNAL", message: "the answer with status 200 is not JSON" });
});

test("task: asked for until it is finished; its error is thrown", async () => {
  const task = { taskId: "t/1", type: "x", url: "u", status: "processing", createdAt: "c" } as const;
  const running = { ...task, isFinished: false };
  const clock = { ...systemClock, sleep: () => Promise.resolve() };
  const done = { ...task, isFinished: true, result: "Done." };
  const { api, sent } = client(ok(running), ok(done));
  let waits = 0;
  const end = await taskEnd({ api, clock, onWait: () => waits++ }, running, never);
  assert.deepEqual([end.result, sent.length, waits], ["Done.", 2, 2]);
  const failed = { ...task, isFinished: true, error: "Refused." };
  await assert.rejects(taskEnd({ api, clock }, failed, never), {
    code: "UNPROCESSABLE",
    message: "Refused.",
  });
});

test("pages: asked for behind the last ID until all are there, or a page is empty", async () => {
  const pages: Record<string, { page: { lastId: string; totalCount: number }; items: string[] }> = {
    "": { page: { lastId: "b", totalCount: 3 }, items: ["a", "b"] },
    b: { page: { lastId: "c", totalCount: 3 }, items: ["c"] },
  };
  const read = (afterId: string) => Promise.resolve(pages[afterId]!);
  assert.deepEqual(await allPages(read, ({ items }) => items), ["a", "b", "c"]);
  pages["b"] = { page: { lastId: "", totalCount: 3 }, items: [] };
  assert.deepEqual(await allPages(read, ({ items }) => items), ["a", "b"], "one was deleted meanwhile");
});
