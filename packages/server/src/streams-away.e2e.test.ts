// Processes that start while others are away: a door takes records as soon as there is a broker, whoever else is
// missing; readers and coordinators say what they wait for, and go on when it is back.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ask, post } from "./test-http.ts";
import { until } from "./test-platform.ts";
import { clusterOfFile, type Role, type TestNode } from "./test-stream-cluster.ts";
import { createSink, createStream, pathColumn, waitForRows } from "./test-streams.ts";

const BACK_MS = 120_000;
const BEHIND: readonly Role[] = ["storage-reader", "storage-coordinator", "http-source"];

const openCluster = clusterOfFile();

/** What nobody has read is known, and grows old, where nothing was appended all the same. */
async function lagGrows(coordinator: string, api: string): Promise<void> {
  const statistics = `${api}/v1/branches/default/sources/away/sinks/away/statistics/total`;
  const lag = async (): Promise<{ seconds: number; bytes: number }> =>
    ((await ask(statistics)).json() as { lag: { seconds: number; bytes: number } }).lag;
  const shown = async (name: string): Promise<number> => {
    const { text } = await ask(`${coordinator}/metrics`);
    const found = new RegExp(`^millrace_storage_backlog_${name}\\{target="duckdb"\\} (\\S+)$`, "m").exec(
      text,
    );
    return Number(found?.[1]);
  };
  await until("what waits is known, and grows old", BACK_MS, async () => {
    const { seconds, bytes } = await lag();
    return bytes > 0 && seconds > 0 && (await shown("bytes")) > 0 && (await shown("seconds")) > 1;
  });
}

test("started while the warehouse, then the broker is away -> records are taken, rows come later", async () => {
  const cluster = await openCluster();
  const all = (role: Role): TestNode => cluster.all(role)[0]!;
  const endpoints = cluster.endpoints();
  const url = await createStream(endpoints, "away", [pathColumn("n")]);
  const table = { type: "duckdb", tableId: "main.new", mapping: { columns: [pathColumn("n")] } };
  assert.equal((await post(url, { n: 0 })).status, 200);
  await waitForRows(endpoints, "main.away", 1);
  // A sink whose partition does not exist when the warehouse goes.
  await createSink(endpoints, { sourceId: "away", sinkId: "new" }, table);
  for (const role of [...BEHIND, "warehouse"] as const) await all(role).kill();
  for (const role of BEHIND) await all(role).start();
  await cluster.told(async () => {
    for (const role of BEHIND) {
      await until(`${role} says what is missing`, BACK_MS, async () => {
        const { status, text } = await ask(`${all(role).url}/readyz`);
        return (
          status === 200 &&
          text.includes("degraded: no warehouse is there (component warehouse, on this etcd)")
        );
      });
    }
    for (let n = 1; n < 6; n++) {
      const answer = await post(url, { n });
      assert.equal(answer.status, 200, answer.text);
    }
    await lagGrows(all("storage-coordinator").url, endpoints.api);
    await all("warehouse").start();
    await waitForRows(endpoints, "main.away", 6, BACK_MS);
    await waitForRows(endpoints, "main.new", 5, BACK_MS);
    for (const role of [...BEHIND, "broker"] as const) await all(role).kill();
    for (const role of BEHIND) all(role).launch();
    for (const role of BEHIND) {
      await until(`${role} waits for a broker`, BACK_MS, async () => {
        const answer = await ask(`${all(role).url}/readyz`).catch(() => undefined);
        return (
          answer?.status === 503 &&
          answer.text.includes("no broker is there (component broker, on this etcd)")
        );
      });
    }
    assert.equal((await post(url, { n: 6 })).status, 503);
    await all("broker").start();
    for (const role of BEHIND) await all(role).ready();
    await until("records are taken again", BACK_MS, async () => (await post(url, { n: 7 })).status === 200);
    await waitForRows(endpoints, "main.new", 6, BACK_MS);
  });
});
