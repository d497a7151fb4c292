// Dead letters on processes apart: two doors take them, either API shows them, and a replay that one of them does makes
// each a row, once, through a broker and a warehouse of other processes.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ask, post, type Answer } from "./test-http.ts";
import { until } from "./test-platform.ts";
import { clusterOfFile, type TestNode } from "./test-stream-cluster.ts";
import { createStream, finished, pathColumn, sourcesUrl, sql, waitForRows } from "./test-streams.ts";

type Json = Readonly<Record<string, unknown>>;

const RECORDS = 12;
const REPLAYED_MS = 60_000;

const openCluster = clusterOfFile();

function patch(url: string, body: unknown): Promise<Answer> {
  const headers = { "content-type": "application/json" };
  return ask(url, { method: "PATCH", headers, body: JSON.stringify(body) });
}

test("doors in two processes, replays in two others -> every letter is counted, and is one row", async () => {
  const cluster = await openCluster({ counts: { "http-source": 2, api: 2 } });
  const [first, second] = [cluster.endpoints(0), cluster.endpoints(1)];
  const path = new URL(await createStream(first, "bad", [pathColumn("n")])).pathname;
  const sink = (i: number): string => `${sourcesUrl(cluster.endpoints(i))}/bad/sinks/bad`;
  const settings = [{ key: "storage.level.local.deadLetters.enabled", value: true }];
  await finished(first, await patch(`${sink(0)}/settings`, { settings }));
  for (let n = 0; n < RECORDS; n++) {
    const door: TestNode = cluster.all("http-source")[n % 2]!;
    assert.equal((await post(door.url + path, { wrong: n })).status, 200);
    assert.equal((await post(door.url + path, { n: `good ${n}` })).status, 200);
  }
  await waitForRows(first, "main.bad", RECORDS);
  for (const { api } of [first, second]) {
    const answer = await ask(`${api}/v1/branches/default/aggregation/sources`);
    const [source] = (answer.json() as { sources: { sinks: { statistics: Json }[] }[] }).sources;
    const counted = source!.sinks[0]!.statistics["deadLetters"] as Json;
    assert.equal(counted["count"], RECORDS, answer.text);
  }
  const mapping = { columns: [{ ...pathColumn("n"), path: "wrong", defaultValue: "none" }] };
  await finished(second, await patch(sink(1), { table: { mapping } }));
  const replays = await Promise.all([0, 1].map((i) => post(`${sink(i)}/dead-letters/replay`, {})));
  const taken = replays.filter(({ status }) => status === 202);
  assert.ok(taken.length >= 1, JSON.stringify(replays));
  assert.ok(
    replays.every(({ status }) => status === 202 || status === 409),
    JSON.stringify(replays),
  );
  let replayed = 0;
  for (const answer of taken) {
    let task: Json = answer.json();
    await until("the replay has ended", REPLAYED_MS, async () => {
      task = (await ask(second.api + new URL(String(task["url"])).pathname)).json();
      return task["isFinished"] === true;
    });
    assert.equal(task["status"], "success", JSON.stringify(task));
    replayed += Number((task["outputs"] as Json)["replayed"]);
  }
  assert.equal(replayed, RECORDS);
  await waitForRows(first, "main.bad", 2 * RECORDS);
  const rows = await sql(first, "select n from main.bad where n not like 'good%'");
  assert.deepEqual(
    new Set(rows.map(({ n }) => Number(n))),
    new Set(Array.from({ length: RECORDS }, (_, n) => n)),
  );
  const left = (await ask(`${sink(1)}/statistics/total`)).json() as { deadLetters: Json };
  assert.equal(left.deadLetters["count"], 0);
});
