// A source's limits over several doors: each process takes its share, and the share follows who is there.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ask, post, type Answer } from "./test-http.ts";
import { until } from "./test-platform.ts";
import { clusterOfFile, type TestNode } from "./test-stream-cluster.ts";
import { createStream, finished, pathColumn, sourcesUrl, waitForRows } from "./test-streams.ts";

const RECORDS = 20;
const BYTES = 1024 * 1024;
/** So many that a door has paid for them long after the test. */
const BATCH = 20_000;
const SHARES_MS = 120_000;

const openCluster = clusterOfFile();

test("a source's limits over two doors -> half of them each, all of them for the one that is left", async () => {
  const cluster = await openCluster({ counts: { "http-source": 2 }, flags: ["--distribution.ttl", "5s"] });
  const endpoints = cluster.endpoints();
  const path = new URL(await createStream(endpoints, "limited", [pathColumn("n")])).pathname;
  const settings = [
    { key: "source.limit.records", value: RECORDS },
    { key: "source.limit.bytes", value: "1MB" },
  ];
  const headers = { "content-type": "application/json" };
  const body = JSON.stringify({ settings });
  const url = `${sourcesUrl(endpoints)}/limited/settings`;
  await finished(endpoints, await ask(url, { method: "PATCH", headers, body }));
  const [first, second] = cluster.all("http-source") as [TestNode, TestNode];
  let taken = 0;
  /** One record, or the refusal for what the door has taken before. */
  const send = async (door: TestNode): Promise<Answer> => {
    const answer = await post(door.url + path, { n: taken });
    if (answer.status === 200) taken++;
    else assert.equal(answer.status, 429, answer.text);
    return answer;
  };
  let policy = "none";
  const hasShare = async (door: TestNode, share: number): Promise<boolean> => {
    policy = String((await send(door)).headers["ratelimit-policy"]);
    const [records, bytes] = [Math.floor(RECORDS * share), Math.floor(BYTES * share)];
    return policy === `"records";q=${records};w=1;qu="records", "bytes";q=${bytes};w=1;qu="content-bytes"`;
  };
  for (const door of [first, second])
    await until(
      () => `${door.name} has half of it: ${policy}`,
      SHARES_MS,
      () => hasShare(door, 1 / 2),
      500,
    );

  // Taken whole, and paid for by those who come after it: at this door alone.
  const lines = Array.from({ length: BATCH }, (_, n) => `{"n":"b${n}"}\n`).join("");
  const batch = { method: "POST", headers: { "content-type": "application/x-ndjson" }, body: lines };
  await until(
    "the batch is taken",
    SHARES_MS,
    async () => (await ask(first.url + path, batch)).status === 200,
    500,
  );
  const refused = await send(first);
  assert.equal(refused.status, 429);
  const { error, message } = refused.json();
  assert.deepEqual(
    [error, message],
    [
      "stream.in.rateLimited",
      `The source takes at most ${RECORDS} records in a second ("source.limit.records").`,
    ],
  );
  assert.match(String(refused.headers["retry-after"]), /^[1-9][0-9]*$/);
  await until(
    "the other door takes its share",
    SHARES_MS,
    async () => (await send(second)).status === 200,
    500,
  );
  assert.equal((await send(first)).status, 429);

  await first.kill();
  await until("the door that is left has all of it", SHARES_MS, () => hasShare(second, 1), 500);
  await first.start();
  for (const door of [first, second])
    await until(`${door.name} has half of it again`, SHARES_MS, () => hasShare(door, 1 / 2), 500);
  await waitForRows(endpoints, "main.limited", BATCH + taken, SHARES_MS);
});
