// Dead letters on a real platform: bad records are taken, shown, and become rows once the mapping is mended, each once,
// also when the platform is killed amid the replay.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { ask, post } from "./test-http.ts";
import { scratch, TestPlatform, until } from "./test-platform.ts";
import { atDoor, sql, waitForRows } from "./test-streams.ts";

type Json = Readonly<Record<string, unknown>>;

const SOURCES = "/v1/branches/default/sources";
const SINK = `${SOURCES}/bad/sinks/bad`;
const KEPT = { settings: [{ key: "storage.level.local.deadLetters.enabled", value: true }] };
const LETTERS = 30_000;

let platform: TestPlatform;
let url = "";
before(async () => {
  platform = await TestPlatform.start(scratch());
});
after(() => platform.stop());

async function call(method: string, path: string, body?: unknown): Promise<{ status: number; body: Json }> {
  const content =
    body === undefined ? {} : { body: JSON.stringify(body), headers: { "content-type": "application/json" } };
  const answer = await ask(platform.endpoints.api + path, { method, ...content });
  return { status: answer.status, body: answer.json() };
}

async function change(method: string, path: string, body?: unknown): Promise<Json> {
  const answer = await call(method, path, body);
  assert.equal(answer.status, 202, JSON.stringify(answer.body));
  let task = answer.body;
  await until("the task has finished", 120_000, async () => {
    if (task["isFinished"] !== true) task = (await call("GET", new URL(String(task["url"])).pathname)).body;
    return task["isFinished"] === true;
  });
  assert.equal(task["status"], "success", JSON.stringify(task));
  return task;
}

const mapping = (path: string): Json => ({
  columns: [{ type: "path", name: "n", path, rawString: true }],
});

async function counted(): Promise<unknown> {
  const { body } = await call("GET", `${SINK}/statistics/total`);
  return (body["deadLetters"] as Json | undefined)?.["count"];
}

describe("dead letters of a platform", () => {
  test("the source says so: bad records are taken, counted and listed; others become rows", async () => {
    await change("POST", SOURCES, { type: "http", name: "bad", sourceId: "bad" });
    const table = { type: "duckdb", tableId: "main.bad", mapping: mapping("wrong.place") };
    await change("POST", `${SOURCES}/bad/sinks`, { type: "table", name: "bad", sinkId: "bad", table });
    const { body: source } = await call("GET", `${SOURCES}/bad`);
    url = (source["http"] as { url: string }).url;
    assert.equal((await post(url, { n: 1 })).status, 422);
    assert.equal(await counted(), undefined);
    await change("PATCH", `${SOURCES}/bad/settings`, KEPT);
    assert.equal((await post(url, { n: 1 })).status, 200);
    assert.equal((await post(url, { wrong: { place: "fine" } })).status, 200);
    assert.equal((await post(url, { n: 2, x: "y".repeat(9000) })).status, 200);
    await waitForRows(platform.endpoints, "main.bad", 1);
    assert.equal(await counted(), 2);

    const { body: list } = await call("GET", `${SINK}/dead-letters?limit=1`);
    const [first] = list["deadLetters"] as Json[];
    const page = list["page"] as Json;
    assert.deepEqual([page["totalCount"], page["lastId"]], [2, first!["id"]]);
    assert.deepEqual([first!["body"], first!["statusCode"], first!["attempts"]], ['{"n":1}', 422, 1]);
    const { body: next } = await call("GET", `${SINK}/dead-letters?afterId=${String(page["lastId"])}`);
    const [second, third] = next["deadLetters"] as Json[];
    assert.equal(third, undefined);
    assert.deepEqual([second!["isCut"], String(second!["body"]).length], [true, 4096]);
    const { body: whole } = await call("GET", `${SINK}/dead-letters/${String(second!["id"])}`);
    assert.equal(String(whole["body"]).length, Number(whole["bodyBytes"]));
    for (const id of ["7-0", "x", `${String(second!["id"])}9`]) {
      const { status, body } = await call("GET", `${SINK}/dead-letters/${id}`);
      assert.deepEqual([status, body["error"]], [404, "stream.api.deadLetterNotFound"]);
    }
    assert.equal((await call("GET", `${SINK}/dead-letters?afterId=7-0`)).status, 400);
  });

  test("replayed with the mapping as it was -> refused again; mended -> rows, and none is left", async () => {
    const task = await change("POST", `${SINK}/dead-letters/replay`);
    const { replayed, refused } = task["outputs"] as Json;
    assert.deepEqual([replayed, refused, await counted()], [0, 2, 2]);
    const { body: list } = await call("GET", `${SINK}/dead-letters`);
    assert.deepEqual(
      (list["deadLetters"] as Json[]).map((letter) => letter["attempts"]),
      [2, 2],
    );
    await change("PATCH", SINK, { table: { mapping: mapping("n") } });
    assert.equal((await post(url, { n: 3 })).status, 200);
    const mended = await change("POST", `${SINK}/dead-letters/replay`);
    assert.match(String(mended["result"]), /: 2 became rows, 0 were refused again\.$/);
    await waitForRows(platform.endpoints, "main.bad", 4);
    const rows = await sql(platform.endpoints, "select n from main.bad order by n");
    assert.deepEqual(
      rows.map((row) => row["n"]),
      ["1", "2", "3", "fine"],
    );
    assert.equal(await counted(), 0);
  });

  test("nobody but the platform appends to their journal", async () => {
    const answer = await ask(`${platform.endpoints.broker}/stream/1/1/bad/bad/dead-letters`, {
      method: "PUT",
      body: "x",
    });
    assert.equal(answer.status, 403);
  });

  test("killed amid the replay, twice -> each letter is one row", async () => {
    await change("PATCH", SINK, { table: { mapping: mapping("m") } });
    const lines = Array.from({ length: LETTERS }, (_, i) => `{"n":${1000 + i}}\n`).join("");
    const headers = { "content-type": "application/x-ndjson" };
    const sent = await ask(atDoor(platform.endpoints, url), { method: "POST", body: lines, headers });
    assert.equal(sent.json()["accepted"], LETTERS);
    assert.equal(await counted(), LETTERS);
    await change("PATCH", SINK, { table: { mapping: mapping("n") } });
    const { data } = platform;
    for (let left = LETTERS, life = 0; life < 2; life++) {
      await until("the lock of the task before is free", 60_000, async () => {
        const { status } = await call("POST", `${SINK}/dead-letters/replay`);
        return status === 202;
      });
      const before = left;
      await until("some are replayed", 30_000, async () => (left = Number(await counted())) < before);
      await platform.killGroup();
      platform = await TestPlatform.start(data);
    }
    await until("the lock of the task that died is free", 60_000, async () => {
      const { status } = await call("POST", `${SINK}/dead-letters/replay`);
      return status === 202;
    });
    await until("none is left", 60_000, async () => (await counted()) === 0);
    await waitForRows(platform.endpoints, "main.bad", 4 + LETTERS, 60_000);
    const [row] = await sql(platform.endpoints, "select count(distinct n) as n from main.bad");
    assert.equal(Number(row!["n"]), 4 + LETTERS);
  });
});
