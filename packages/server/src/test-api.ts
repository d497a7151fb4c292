// Requests to the configuration API of a platform, and what tests expect of the answers.
import assert from "node:assert/strict";
import type { Endpoints } from "./endpoints.ts";
import { ask } from "./test-http.ts";
import { until } from "./test-platform.ts";

export type Json = Readonly<Record<string, unknown>>;
export type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";

/** What stands at a path of members; undefined when nothing does. */
export const at = (value: unknown, ...path: string[]): unknown =>
  path.reduce<unknown>((inner, name) => (inner as Json | undefined)?.[name], value);

export const ids = (list: unknown, name: string): unknown[] => (list as Json[]).map((one) => one[name]);

export interface TestApi {
  readonly call: (method: Method, path: string, body?: unknown) => Promise<{ status: number; body: Json }>;
  /** What a GET answers with 200. */
  readonly get: (path: string) => Promise<Json>;
  /** The task of a change, once it has succeeded. */
  readonly change: (method: Method, path: string, body?: unknown) => Promise<Json>;
  /** The text of a refusal with this status and name. */
  readonly refused: (
    method: Method,
    path: string,
    body: unknown,
    status: number,
    error: string,
  ) => Promise<string>;
}

/** @param endpoints asked for with each request: ports of another life are others */
export function testApi(endpoints: () => Endpoints): TestApi {
  async function call(method: Method, path: string, body?: unknown): Promise<{ status: number; body: Json }> {
    const content =
      body === undefined
        ? {}
        : { body: JSON.stringify(body), headers: { "content-type": "application/json" } };
    const answer = await ask(endpoints().api + path, { method, ...content });
    return { status: answer.status, body: answer.json() };
  }

  async function get(path: string): Promise<Json> {
    const { status, body } = await call("GET", path);
    assert.equal(status, 200, JSON.stringify(body));
    return body;
  }

  async function change(method: Method, path: string, body?: unknown): Promise<Json> {
    const answer = await call(method, path, body);
    assert.equal(answer.status, 202, JSON.stringify(answer.body));
    let task = answer.body;
    await until("the task has finished", 30_000, async () => {
      if (task["isFinished"] !== true) task = await get(new URL(String(task["url"])).pathname);
      return task["isFinished"] === true;
    });
    assert.equal(task["status"], "success", JSON.stringify(task));
    return task;
  }

  async function refused(
    method: Method,
    path: string,
    body: unknown,
    status: number,
    error: string,
  ): Promise<string> {
    const answer = await call(method, path, body);
    assert.deepEqual(
      [answer.status, answer.body["error"]],
      [status, `stream.api.${error}`],
      JSON.stringify(answer.body),
    );
    return String(answer.body["message"]);
  }

  return { call, get, change, refused };
}
