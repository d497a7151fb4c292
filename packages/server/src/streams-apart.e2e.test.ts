// Sources, sinks and tables on processes of their own: two of each component on one etcd, staging and fragments in a
// directory. Each process is killed once while records come in; the sender's book tells which rows there must be.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ask } from "./test-http.ts";
import { DoorLoad } from "./test-door-load.ts";
import { scratch, TestPlatform, until } from "./test-platform.ts";
import { storedRecords, RECORD_COLUMNS } from "./test-record-rows.ts";
import { RecordLedger } from "./test-record-ledger.ts";
import { clusterOfFile, ROLES } from "./test-stream-cluster.ts";
import { countRows, createStream, waitForLoaded } from "./test-streams.ts";

const CONNECTIONS = 4;
/** Records acknowledged between two deaths. */
const BETWEEN = 25;
const GO_ON_MS = 180_000;
const LOADED_MS = 120_000;

const openCluster = clusterOfFile();

test("two processes of each component: each is killed once -> every acknowledged record is one row", async (t) => {
  const cluster = await openCluster({
    counts: { broker: 3, "storage-reader": 2, "storage-coordinator": 2, "http-source": 2, api: 2 },
    flags: ["--stream.replication", "2"],
  });
  for (const node of cluster.nodes) {
    const metrics = await ask(`${node.url}/metrics`);
    assert.equal(metrics.status, 200, node.name);
  }
  const sourceUrl = await createStream(cluster.endpoints(0), "apart", RECORD_COLUMNS);
  assert.ok(sourceUrl.startsWith(cluster.all("http-source")[0]!.url), sourceUrl);
  const ledger = new RecordLedger("apart", CONNECTIONS);
  const path = new URL(sourceUrl).pathname;
  const doors = cluster.all("http-source").map(({ url }) => url + path);
  const load = new DoorLoad({ doors, connections: CONNECTIONS, pauseMs: 5 }, ledger);
  const goOn = async (what: string): Promise<void> => {
    const target = ledger.counts().acknowledged + BETWEEN;
    const isThere = (): boolean => ledger.counts().acknowledged >= target;
    await until(() => `records are taken after ${what}: ${load.describe()}`, GO_ON_MS, isThere, 50);
  };
  const table = "main.apart";
  const loaded = (): Promise<void> =>
    cluster.told(() => waitForLoaded(cluster.endpoints(0), table, LOADED_MS));
  await goOn("the start");
  const hasRows = async (): Promise<boolean> => (await countRows(cluster.endpoints(0), table)) > 0;
  await cluster.told(() => until("there are rows", LOADED_MS, hasRows, 200));
  // The first of each at once, then the second: the others take over.
  for (let i = 0; i < 3; i++) {
    const struck = ROLES.flatMap((role) => cluster.all(role).slice(i, i + 1));
    await Promise.all(struck.map((node) => node.kill()));
    for (const node of struck) node.launch();
    await goOn(`the death of ${struck.map(({ name }) => name).join(", ")}`);
    await Promise.all(struck.map((node) => node.ready()));
  }
  await load.stop();
  await loaded();
  const rows = await storedRecords(cluster.endpoints(0), table);
  t.diagnostic(JSON.stringify(ledger.counts()));
  assert.deepEqual(ledger.violations(rows, true), []);
  // A door that was killed refuses connections; nobody refuses a record.
  const statuses = [...load.answers.keys()].filter((what) => /^[0-9]+$/.test(what));
  assert.deepEqual(
    statuses.filter((status) => !["200", "503"].includes(status)),
    [],
  );
  for (const i of [0, 1]) {
    const statistics = await ask(
      `${cluster.endpoints(i).api}/v1/branches/default/sources/apart/sinks/apart/statistics/total`,
    );
    assert.equal(statistics.status, 200, statistics.text);
    const { levels } = statistics.json() as { levels: { target: { recordsCount: number } } };
    assert.equal(levels.target.recordsCount, rows.length);
  }
  const refusal = await TestPlatform.refused(
    scratch(),
    ["--etcd.address", cluster.etcd.address, "--broker.file-root", scratch()],
    ["serve", "storage-reader"],
  );
  assert.match(refusal, /stage records in another store than file:\/\/\/staging\/ of this one/);
  for (const role of [...ROLES].reverse()) await Promise.all(cluster.all(role).map((node) => node.stop()));
});
