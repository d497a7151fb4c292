// DELETE of a source with cascade=true on real processes: nothing of it is left in etcd, journals, stores and tables,
// and its ID begins anew; also when the process that was asked is killed, and when two are asked at once.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { Endpoints } from "./endpoints.ts";
import { ask, post } from "./test-http.ts";
import { BIN, scratch, TestPlatform, until } from "./test-platform.ts";
import { clusterOfFile } from "./test-stream-cluster.ts";
import {
  atDoor,
  createSink,
  createStream,
  finished,
  listJournals,
  pathColumn,
  sourcesUrl,
  sql,
  waitForRows,
} from "./test-streams.ts";

type Json = Readonly<Record<string, unknown>>;

const LETTERS = [{ key: "storage.level.local.deadLetters.enabled", value: true }];
const DONE = "Source and its destination tables and bucket have been deleted.";
const PURGED_MS = 120_000;
const DATA_MS = 180_000;

const openCluster = clusterOfFile();

async function json(url: string): Promise<Json> {
  const answer = await ask(url);
  assert.equal(answer.status, 200, answer.text);
  return answer.json();
}

/** The task of an answer, once it has ended. */
async function ended(endpoints: Endpoints, answer: Awaited<ReturnType<typeof ask>>): Promise<Json> {
  assert.equal(answer.status, 202, answer.text);
  let task: Json = answer.json();
  const path = new URL(String(task["url"])).pathname;
  await until("the task has ended", PURGED_MS, async () => {
    task = await json(endpoints.api + path);
    return task["isFinished"] === true;
  });
  return task;
}

function purge(endpoints: Endpoints, id: string): ReturnType<typeof ask> {
  return ask(`${sourcesUrl(endpoints)}/${id}?cascade=true`, { method: "DELETE" });
}

/** A source with records of three kinds: rows, a dead letter, and rows of a second sink. */
async function fill(endpoints: Endpoints, id: string): Promise<string> {
  const url = await createStream(endpoints, id, [pathColumn("n")]);
  const settings = await ask(`${sourcesUrl(endpoints)}/${id}/settings`, {
    method: "PATCH",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ settings: LETTERS }),
  });
  await finished(endpoints, settings);
  const table = { type: "duckdb", tableId: `${id}_only.second`, mapping: { columns: [pathColumn("n")] } };
  await createSink(endpoints, { sourceId: id, sinkId: "second" }, table);
  for (let n = 0; n < 5; n++) assert.equal((await post(atDoor(endpoints, url), { n })).status, 200);
  assert.equal((await post(atDoor(endpoints, url), { other: 1 })).status, 200);
  await waitForRows(endpoints, `main.${id}`, 5);
  await waitForRows(endpoints, `${id}_only.second`, 5);
  return url;
}

async function journals(endpoints: Endpoints, prefix: string): Promise<readonly string[]> {
  const names = (await listJournals(endpoints)).map(({ spec }) => spec.name);
  return names.filter((name) => name.startsWith(prefix));
}

async function tables(endpoints: Endpoints): Promise<readonly string[]> {
  const rows = await sql(endpoints, "select schema_name || '.' || table_name as t from duckdb_tables()");
  return rows.map(({ t }) => String(t));
}

/** Files below `root` whose path says that they are of a sink of `id`. */
function filesOf(root: string, id: string): readonly string[] {
  const found = readdirSync(root, { recursive: true, encoding: "utf8" });
  return found.filter((path) => path.includes(`1/1/${id}/`) && statSync(join(root, path)).isFile());
}

/** Records go into a source of the same ID that has nothing of the one before. */
async function again(endpoints: Endpoints, id: string, old: string): Promise<void> {
  assert.equal((await post(atDoor(endpoints, old), { n: 0 })).status, 404);
  const url = await createStream(endpoints, id, [pathColumn("n")]);
  for (const path of [id, `${id}/sinks/${id}`]) {
    const { version } = await json(`${sourcesUrl(endpoints)}/${path}`);
    assert.equal((version as Json)["number"], 1);
  }
  for (const n of [100, 101]) assert.equal((await post(atDoor(endpoints, url), { n })).status, 200);
  await waitForRows(endpoints, `main.${id}`, 2);
  assert.deepEqual(await sql(endpoints, `select n from main.${id} order by n`), [{ n: "100" }, { n: "101" }]);
  assert.deepEqual(await journals(endpoints, `stream/1/1/${id}`), [`stream/1/1/${id}/${id}.1/p000`]);
  const { totalCount } = (await json(`${sourcesUrl(endpoints)}/${id}/sinks/${id}/dead-letters`))[
    "page"
  ] as Json;
  assert.equal(totalCount, 0);
}

test("delete-002-cascade-ok: journals, files and tables are gone, the ID begins at version 1", async () => {
  const data = scratch();
  let platform = await TestPlatform.start(data);
  const url = await fill(platform.endpoints, "orders");
  const other = await createStream(platform.endpoints, "other", [pathColumn("n")]);
  for (let n = 0; n < 3; n++)
    assert.equal((await post(atDoor(platform.endpoints, other), { n })).status, 200);
  assert.equal((await journals(platform.endpoints, "stream/1/1/orders")).length, 4);
  assert.deepEqual((await tables(platform.endpoints)).filter((t) => t.includes("orders")).sort(), [
    "main.orders",
    "orders_only.second",
  ]);
  const task = await ended(platform.endpoints, await purge(platform.endpoints, "orders"));
  assert.deepEqual([task["status"], task["result"]], ["success", DONE], JSON.stringify(task));
  assert.deepEqual(
    (await tables(platform.endpoints)).filter((t) => t.includes("orders")),
    [],
  );
  const named = "select schema_name as s from duckdb_schemas() where schema_name like 'orders%'";
  const schemas = await sql(platform.endpoints, named);
  assert.deepEqual(schemas, []);
  const gone = await ask(`${sourcesUrl(platform.endpoints)}/orders`);
  assert.deepEqual([gone.status, gone.json()["error"]], [404, "stream.api.sourceNotFound"]);
  const isGone = async (): Promise<boolean> =>
    (await journals(platform.endpoints, "stream/1/1/orders")).length === 0;
  await until("the journals are gone", DATA_MS, isGone);
  await again(platform.endpoints, "orders", url);
  await waitForRows(platform.endpoints, "main.other", 3);
  // What is left on the disk is that of the next life.
  await until("the files are gone", DATA_MS, () => {
    return Promise.resolve(filesOf(data, "orders").every((path) => path.includes("orders/orders.1/")));
  });
  await platform.killGroup();
  platform = await TestPlatform.start(data);
  await waitForRows(platform.endpoints, "main.orders", 2);
  await waitForRows(platform.endpoints, "main.other", 3);
  await platform.stop();
  const doctor = spawnSync(process.execPath, [BIN, "doctor", "--data", data], {
    encoding: "utf8",
    timeout: DATA_MS,
  });
  assert.equal(doctor.status, 0, doctor.stdout + doctor.stderr);
});

test("two API processes: one purges at a time, and a killed one's purge is finished by others", async () => {
  const cluster = await openCluster({ counts: { "storage-coordinator": 2, api: 2 } });
  const [first, second] = [cluster.endpoints(0), cluster.endpoints(1)];
  const url = await fill(first, "both");
  const answers = await Promise.all([purge(first, "both"), purge(second, "both")]);
  const taken = answers.filter(({ status }) => status === 202);
  const refused = answers.filter(({ status }) => status !== 202);
  assert.equal(taken.length, 1, JSON.stringify(answers));
  const said = refused.map((answer) => answer.json()["error"]);
  assert.ok(
    ["stream.api.resourceLocked", "stream.api.sourceNotFound"].includes(String(said[0])),
    String(said[0]),
  );
  const task = await ended(second, taken[0]!);
  assert.deepEqual([task["status"], task["result"]], ["success", DONE], JSON.stringify(task));
  await again(second, "both", url);

  const killed = await fill(first, "killed");
  // No coordinator goes on while the API dies: what it has begun is all there is.
  for (const node of cluster.all("storage-coordinator")) node.freeze();
  const asked = purge(first, "killed").catch(() => undefined);
  await until("the source is gone", PURGED_MS, async () => {
    return (await ask(`${sourcesUrl(second)}/killed`)).status === 404;
  });
  const isTaken = async (): Promise<boolean> => {
    const list = await json(`${sourcesUrl(second)}/deleted`);
    return !(list["sources"] as Json[]).some(({ sourceId }) => sourceId === "killed");
  };
  await until("it cannot be undeleted", PURGED_MS, isTaken);
  await cluster.all("api")[0]!.kill();
  await asked;
  const undelete = await ask(`${sourcesUrl(second)}/killed/undelete`, { method: "PUT" });
  assert.deepEqual([undelete.status, undelete.json()["error"]], [404, "stream.api.deletedSourceNotFound"]);
  for (const node of cluster.all("storage-coordinator")) node.thaw();
  await until(
    "the journals are gone",
    PURGED_MS,
    async () => (await journals(second, "stream/1/1/killed")).length === 0,
  );
  assert.ok(!(await tables(second)).includes("main.killed"));
  // The lock of the task that died ends with its lease.
  await until("the ID is free", PURGED_MS, async () => {
    const create = await post(sourcesUrl(second), { type: "http", name: "killed", sourceId: "killed" });
    if (create.status !== 202) return false;
    return (await ended(second, create))["status"] === "success";
  });
  const removed = await ended(second, await purge(second, "killed"));
  assert.deepEqual([removed["status"], removed["result"]], ["success", DONE]);
  assert.equal((await post(atDoor(second, killed), { n: 0 })).status, 404);
});
