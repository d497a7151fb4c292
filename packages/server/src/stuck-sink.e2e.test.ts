// Sinks that do not get on, on a real platform: who may not write into a partition, a table that refuses its rows, and
// a partition whose bytes are gone. What cannot become a row is not taken, and what is wrong is said where it belongs.
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { openEngine } from "@millrace/warehouse/testkit";
import { ask, begin, post } from "./test-http.ts";
import { scratch, TestPlatform, until } from "./test-platform.ts";
import { atDoor, createStream, pathColumn, sql, waitForRows } from "./test-streams.ts";

const data = scratch();
const COLUMNS = [pathColumn("n"), { type: "uuid", name: "id" }] as const;
const PARTITION = "stream/1/1/whole/whole/p000";

let platform: TestPlatform;
let url = "";

before(async () => {
  platform = await TestPlatform.start(data);
  url = await createStream(platform.endpoints, "whole", COLUMNS);
  assert.equal((await post(url, { n: 1 })).status, 200);
  await waitForRows(platform.endpoints, "main.whole", 1);
});
after(() => platform.stop());

/** Changes the database while no platform runs. */
async function whileStopped(...statements: readonly string[]): Promise<void> {
  await platform.stop();
  const engine = await openEngine({
    file: join(data, "warehouse", "warehouse.duckdb"),
    stagingDir: `${data}/staging/`,
    tempDir: join(data, "tmp"),
    memoryBytes: 256 * 2 ** 20,
    threads: 1,
  });
  const connection = await engine.connect();
  for (const statement of statements) await connection.run(statement);
  connection.closeSync();
  engine.closeSync();
  platform = await TestPlatform.start(data);
}

function readyPages(): Promise<readonly { status: number; text: string }[]> {
  const { broker, api, "http-source": httpSource } = platform.endpoints;
  const pages = [broker, api, httpSource].map(async (door) => {
    const { status, text } = await ask(`${door}/readyz`);
    return { status, text };
  });
  return Promise.all(pages);
}

test("a PUT to a partition journal -> 403 and why, by any spelling, and its records go on", async () => {
  for (const path of [PARTITION, `${PARTITION};x=1`, PARTITION.replace("whole", "%77hole")]) {
    const refused = await ask(`${platform.endpoints.broker}/${path}`, { method: "PUT", body: "garbage\n" });
    assert.deepEqual([refused.status, refused.headers["x-error-code"]], [403, "FORBIDDEN"], refused.text);
    assert.match(refused.text, /^journal stream\/1\/1\/whole\/whole\/p000 holds the records of a sink/);
  }
  assert.equal((await ask(`${platform.endpoints.broker}/${PARTITION}`)).status, 206);
  assert.equal((await post(url, { n: 2 })).status, 200);
  await waitForRows(platform.endpoints, "main.whole", 2);
});

test("two sinks of different columns on one table -> 400 for the second, also in another case", async () => {
  const sinks = `${platform.endpoints.api}/v1/branches/default/sources/whole/sinks`;
  const columns = [{ type: "body", name: "id" }, pathColumn("n")];
  for (const tableId of ["main.whole", "MAIN.Whole"]) {
    const table = { type: "duckdb", tableId, mapping: { columns } };
    const { status, text } = await post(sinks, { type: "table", name: "second", table });
    assert.equal(status, 400, text);
    assert.ok(
      text.includes('do not match expected: \\"id\\" is UUID in the table and would be VARCHAR'),
      text,
    );
  }
  assert.equal((await post(url, { n: 3 })).status, 200);
  await waitForRows(platform.endpoints, "main.whole", 3);
});

test("a table that refuses its rows -> ready, degraded, said at the sink; SIGTERM does not wait for it", async () => {
  const stuck = await createStream(platform.endpoints, "stuck", COLUMNS);
  await whileStopped("ALTER TABLE main.stuck ALTER COLUMN n TYPE INTEGER");
  assert.equal((await post(atDoor(platform.endpoints, stuck), { n: "no number" })).status, 200);
  await until("readiness says so", 20_000, async () => {
    return (await readyPages()).every(({ text }) => text.includes("degraded: 1 sink fails to load"));
  });
  for (const { status, text } of await readyPages()) assert.equal(status, 200, text);
  const feed = await snapshot();
  assert.deepEqual(feed.unhealthy, []);
  const sinks = feed.sources.flatMap((source) => source.sinks);
  const problems = new Map(sinks.map((sink) => [sink.sinkId, sink.problems]));
  assert.deepEqual(problems.get("whole"), []);
  assert.match(problems.get("stuck")![0]!, /^import into main\.stuck failed: /);
  await lagGrows();
  const beginMs = performance.now();
  await platform.stop();
  const ms = performance.now() - beginMs;
  assert.ok(ms < 10_000, `stopping took ${ms} ms`);
  assert.match(platform.stderr, /"event":"left-for-next-start"/);
  platform = await TestPlatform.start(data);
});

test("a partition that ends before what its table has -> 503 for its records only, no door ready", async () => {
  const lost = await createStream(platform.endpoints, "lost", COLUMNS);
  assert.equal((await post(lost, { n: 1 })).status, 200);
  await waitForRows(platform.endpoints, "main.lost", 1);
  await whileStopped(
    `UPDATE _millrace.loaded SET loaded_end = loaded_end + 1000 WHERE "table" = 'main.lost'`,
  );
  const refused = await post(atDoor(platform.endpoints, lost), { n: 2 });
  assert.equal(refused.status, 503, refused.text);
  assert.match(
    refused.text,
    /ends at offset \d+, but its bytes up to \d+ are in table main\.lost: acknowledged bytes/,
  );
  await until("no door is ready", 20_000, async () =>
    (await readyPages()).every(({ status }) => status === 503),
  );
  for (const { text } of await readyPages())
    assert.match(text, /^1 partition lost acknowledged bytes and takes no/);
  const metrics = await ask(`${platform.endpoints.broker}/metrics`);
  assert.match(metrics.text, /^millrace_storage_lost_partitions 1$/m);
  assert.match((await snapshot()).unhealthy[0]!, /^1 partition lost/);
  assert.equal((await post(atDoor(platform.endpoints, url), { n: 4 })).status, 200);
  await waitForRows(platform.endpoints, "main.whole", 4);
  assert.deepEqual(await sql(platform.endpoints, "select count(*) as n from main.lost"), [{ n: 1 }]);
});

/** What a sink that fails has not loaded grows old: in its statistics, the feed and the metrics. */
async function lagGrows(): Promise<void> {
  const { api } = platform.endpoints;
  const statistics = `${api}/v1/branches/default/sources/stuck/sinks/stuck/statistics/total`;
  const lag = async (): Promise<{ seconds: number; bytes: number }> =>
    (JSON.parse((await ask(statistics)).text) as { lag: { seconds: number; bytes: number } }).lag;
  const shown = async (name: string): Promise<number> => {
    const { text } = await ask(`${api}/metrics`);
    return Number(
      new RegExp(`^millrace_storage_backlog_${name}\\{target="duckdb"\\} (\\S+)$`, "m").exec(text)?.[1],
    );
  };
  const before = [(await lag()).seconds, await shown("seconds")] as const;
  await until("the lag is older", 20_000, async () => {
    return (await lag()).seconds > before[0] && (await shown("seconds")) > before[1] + 1;
  });
  const { bytes } = await lag();
  assert.ok(bytes > 0);
  assert.equal(await shown("bytes"), bytes);
  const sinks = (await snapshot()).sources.flatMap((source) => source.sinks);
  const fed = sinks.find(({ sinkId }) => sinkId === "stuck")!.lag;
  assert.ok(fed.bytes === bytes && fed.ms >= 1000, JSON.stringify(fed));
}

interface Snapshot {
  readonly unhealthy: readonly string[];
  readonly sources: readonly {
    readonly sinks: readonly {
      readonly sinkId: string;
      readonly problems: string[];
      readonly lag: { readonly bytes: number; readonly ms: number };
    }[];
  }[];
}

/** The first that the console's feed sends. */
async function snapshot(): Promise<Snapshot> {
  let text = "";
  for await (const part of await begin(`${platform.endpoints.api}/console/api/feed`)) {
    text += String(part);
    const found = /^event: snapshot\ndata: (.*)\n\n/m.exec(text);
    if (found !== null) return JSON.parse(found[1]!) as Snapshot;
  }
  assert.fail("the feed ended");
}
