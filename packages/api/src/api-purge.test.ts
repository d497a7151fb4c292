import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";
import { never, systemClock, WireError } from "@millrace/base";
import { ApiHarness, at, FLIGHTS, SINK, SINKS, SOURCES, type Json } from "./api-testkit.ts";

const SOURCE = `${SOURCES}/flights`;
const KEY = { projectId: 1, branchId: 1, sourceId: "flights" };
const LOOK_MS = 10;
const DONE = "Source and its destination tables and bucket have been deleted.";

let api: ApiHarness;
let dropped: string[];
/** Lets a drop that hangs end. */
let goOn = (): void => {};
beforeEach(async () => {
  api = new ApiHarness();
  await api.open();
  dropped = [];
  api.drop = (tableId) => {
    dropped.push(tableId);
    return Promise.resolve();
  };
  await api.change("POST", SOURCES, FLIGHTS);
  await api.change("POST", SINKS, SINK);
});
afterEach(() => {
  goOn();
  return api.close();
});

/** The task, once it has ended. */
async function ended(method: "DELETE" | "PUT" | "POST", url: string, body?: unknown): Promise<Json> {
  const { status, body: task } = await api.call(method, url, body);
  assert.equal(status, 202, JSON.stringify(task));
  return finished(task);
}

async function finished(task: Json): Promise<Json> {
  const path = new URL(String(task["url"])).pathname;
  for (let last = task; ; last = await api.get(path)) {
    if (last["isFinished"] === true) return last;
    await systemClock.sleep(LOOK_MS, never);
  }
}

describe("API: DELETE with cascade=true", () => {
  test("source, sinks and versions are gone, tables removed, and the ID begins anew at version 1", async () => {
    await api.change("PATCH", SOURCE, { name: "Second" });
    await api.change("PATCH", `${SINKS}/flights`, { name: "Second" });
    const task = await ended("DELETE", `${SOURCE}?cascade=true`);
    assert.deepEqual([task["type"], task["status"], task["result"]], ["api.delete.source", "success", DONE]);
    assert.equal(at(task, "outputs", "sourceId"), "flights");
    assert.deepEqual(dropped, ["main.flights"]);
    assert.deepEqual(at(await api.get(SOURCES), "sources"), []);
    assert.deepEqual(at(await api.get(`${SOURCES}/deleted`), "sources"), []);
    for (const url of [SOURCE, `${SOURCE}/versions`, SINKS])
      assert.equal((await api.call("GET", url)).status, 404);
    await api.change("POST", SOURCES, FLIGHTS);
    assert.deepEqual(at(await api.get(SINKS), "sinks"), []);
    assert.deepEqual(at(await api.get(`${SINKS}/deleted`), "sinks"), []);
    await api.change("POST", SINKS, SINK);
    for (const url of [SOURCE, `${SINKS}/flights`]) {
      const { version } = await api.get(url);
      assert.deepEqual(
        [at(version, "number"), at(version, "description")?.toString().slice(0, 4)],
        [1, "New "],
      );
      assert.equal((at(await api.get(`${url}/versions`), "versions") as Json[]).length, 1);
    }
  });

  test("a deleted source -> is purged too; one that is not there -> 404", async () => {
    await api.change("DELETE", SOURCE);
    assert.equal((await ended("DELETE", `${SOURCE}?cascade=true`))["status"], "success");
    assert.deepEqual(dropped, ["main.flights"]);
    const { status, body } = await api.call("DELETE", `${SOURCE}?cascade=true`);
    assert.deepEqual([status, body["error"]], [404, "stream.api.sourceNotFound"]);
    assert.equal(body["message"], 'Source "flights" not found in the branch.');
  });

  test("a table that cannot be removed -> the task says which and why, with its outputs; the ID is free", async () => {
    api.drop = () => Promise.reject(new WireError("INVALID_ARGUMENT", "it is not ours"));
    const task = await ended("DELETE", `${SOURCE}?cascade=true`);
    const expected =
      "source deleted, but some destination resources could not be removed: duckdb main.flights: it is not ours";
    assert.deepEqual([task["status"], task["error"]], ["error", expected]);
    assert.equal(at(task, "outputs", "sourceId"), "flights");
    assert.equal((await api.call("GET", SOURCE)).status, 404);
    await api.change("POST", SOURCES, FLIGHTS);
    await api.change("POST", SINKS, SINK);
  });

  test("undelete, delete, create, another purge while it runs -> say what is going on", async () => {
    const gate = new Promise<void>((resolve) => (goOn = resolve));
    api.drop = () => gate;
    const first = await api.call("DELETE", `${SOURCE}?cascade=true`);
    assert.equal(first.body["isFinished"], false);
    const again = await api.call("DELETE", `${SOURCE}?cascade=true`);
    assert.deepEqual([again.status, again.body["error"]], [404, "stream.api.sourceNotFound"]);
    const undelete = await api.call("PUT", `${SOURCE}/undelete`);
    assert.deepEqual([undelete.status, undelete.body["error"]], [404, "stream.api.deletedSourceNotFound"]);
    assert.equal(undelete.body["message"], 'Deleted source "flights" not found in the branch.');
    const create = await api.call("POST", SOURCES, FLIGHTS);
    assert.deepEqual([create.status, create.body["error"]], [409, "stream.api.resourceLocked"]);
    assert.ok(
      String(create.body["message"]).includes(String(first.body["taskId"])),
      String(create.body["message"]),
    );
    goOn();
    assert.equal((await finished(first.body))["status"], "success");
    await api.change("POST", SOURCES, FLIGHTS);
  });

  test("a source that comes back between the two steps -> nothing is removed, and the task says so", async () => {
    const { repository } = api;
    const by = { type: "system" } as const;
    const change = repository.changeSource.bind(repository);
    repository.changeSource = async (key, command, who, signal) => {
      const outcome = await change(key, command, who, signal);
      if (command.kind === "delete") await change(KEY, { kind: "undelete" }, by, never);
      return outcome;
    };
    const task = await ended("DELETE", `${SOURCE}?cascade=true`);
    const expected = "The source was undeleted meanwhile: nothing of it has been removed.";
    assert.deepEqual([task["status"], task["error"]], ["error", expected]);
    assert.deepEqual(dropped, []);
    assert.equal((await api.get(`${SINKS}/flights`))["name"], SINK.name);
  });
});
