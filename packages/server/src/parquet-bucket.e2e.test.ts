// Records that come over HTTP, as Parquet files by day in a bucket on MinIO: each is one row there, also when a load is
// done again because its end could not be noted, because an answer was lost, or because the platform was killed in it.
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { after, test } from "node:test";
import { concatBytes, never, silentLogger, systemClock, systemRandom } from "@millrace/base";
import { peerProgram } from "@millrace/base/testkit";
import { openStores, type ObjectStore } from "@millrace/stores";
import { BUCKET, FaultProxy, startMinio, type ProxyFault, type StoreServer } from "@millrace/stores/testkit";
import { ask } from "./test-http.ts";
import { parquetRows } from "./test-parquet-rows.ts";
import { scratch, TestPlatform, until } from "./test-platform.ts";
import { atDoor, createSink, createSource, pathColumn } from "./test-streams.ts";

const LIMIT_MS = 60_000;
const BATCH = 500;
const TABLE = "lake/orders/";
const DAY = /^lake\/orders\/dt=(\d{4}-\d\d-\d\d)\/[^/]+\.parquet$/;
const ENDS = /_millrace\/ends\//;
const COMMITS = /_millrace\/commits\//;
const DATA = /\.parquet(?:\?|$)/;

interface Strike {
  readonly fault: ProxyFault;
  readonly which: RegExp;
  /** Whether files of rows are put once more: not when the loaded end is there. */
  readonly repeats: boolean;
}

/** In the order in which a load puts them. */
const STRIKES: readonly Strike[] = [
  { fault: "lose-answer", which: DATA, repeats: true },
  { fault: "lose-answer", which: COMMITS, repeats: true },
  { fault: "refuse", which: ENDS, repeats: true },
  { fault: "lose-answer", which: ENDS, repeats: false },
];

const minio = peerProgram("minio");

let server: StoreServer | undefined;
let proxy: FaultProxy | undefined;
let platform: TestPlatform | undefined;
after(async () => {
  await platform?.killGroup();
  await proxy?.close();
  await server?.stop();
});

test(
  "sent over HTTP -> rows by day in the bucket, each once, however often a load is done",
  { skip: minio.missing },
  run,
);

async function run(): Promise<void> {
  server = await startMinio(minio.path);
  proxy = new FaultProxy(server.address);
  const address = await proxy.listen();
  const data = scratch();
  platform = await TestPlatform.start(data);
  const { endpoints } = platform;
  const source = await createSource(endpoints, "orders");
  const columns = [
    { type: "uuid", name: "id" },
    { type: "datetime", name: "at" },
    ...["n", "text"].map(pathColumn),
  ];
  await createSink(
    endpoints,
    { sourceId: "orders", sinkId: "orders" },
    {
      type: "parquet",
      tableId: "lake.orders",
      connection: { url: `s3://${BUCKET}/rows/?endpoint=${address}` },
      mapping: { columns },
    },
  );
  const bucket = openBucket(server.address);
  let sent = 0;
  const send = async (): Promise<void> => {
    const lines = Array.from({ length: BATCH }, (_, i) =>
      JSON.stringify({ n: sent + i, text: `é "${sent + i}"` }),
    );
    const headers = { "content-type": "application/x-ndjson" };
    const url = atDoor(platform!.endpoints, source);
    const answer = await ask(url, { method: "POST", body: lines.join("\n"), headers });
    assert.equal(answer.status, 200, answer.text);
    sent += BATCH;
  };
  const areThere = async (): Promise<void> => {
    let found = 0;
    await until(
      () => `${sent} rows are in the bucket: ${found}`,
      LIMIT_MS,
      async () => {
        found = await checkedRows(bucket, sent);
        return found === sent;
      },
      200,
    );
  };
  await send();
  await areThere();
  assert.ok(!putAgain(proxy, 0), "nothing was put twice so far");

  for (const { fault, which, repeats } of STRIKES) {
    const begin = proxy.requests.length;
    const struck = strike(proxy, fault, which);
    await send();
    const isStruck = (): boolean => (repeats ? putAgain(proxy!, begin) : struck.count > 0);
    await until(`${fault} of ${String(which)}, and a repeated load`, LIMIT_MS, isStruck);
    proxy.script = undefined;
    await areThere();
  }

  const struck = strike(proxy, "refuse", ENDS);
  await send();
  await until("a load has put all but its end", LIMIT_MS, () => struck.count > 0);
  await platform.killGroup();
  proxy.script = undefined;
  const begin = proxy.requests.length;
  platform = await TestPlatform.start(data);
  const before = new Set(filesPut(proxy, 0, begin));
  const isRepeated = (): boolean => filesPut(proxy!, begin).some((path) => before.has(path));
  await until("the load is done again", LIMIT_MS, isRepeated);
  await areThere();
  await send();
  await areThere();
  await platform.stop();
  assert.equal(await checkedRows(bucket, sent), sent);
}

/**
 * From now on nothing that matches is put, or nobody hears that it is.
 * @returns how many tries of a load there were so far that has put rows since: the load before may still put its end
 */
function strike(proxy: FaultProxy, fault: ProxyFault, which: RegExp): { readonly count: number } {
  const struck = { count: 0 };
  const begin = proxy.requests.length;
  proxy.script = ({ method, path }) => {
    if (method !== "PUT" || !which.test(path)) return undefined;
    if (filesPut(proxy, begin).length > 0) struck.count++;
    return fault;
  };
  return struck;
}

/** Files of rows, once for each time that they were put. @param begin of the requests, to `end` */
function filesPut({ requests }: FaultProxy, begin: number, end?: number): readonly string[] {
  const puts = requests.slice(begin, end).filter(({ method, path }) => method === "PUT" && DATA.test(path));
  return puts.map(({ path }) => path);
}

function putAgain(proxy: FaultProxy, begin: number): boolean {
  const files = filesPut(proxy, begin);
  return new Set(files).size < files.length;
}

/** As those see it who read the table, not through the proxy. */
function openBucket(address: string): ObjectStore {
  const ports = { clock: systemClock, random: systemRandom, logger: silentLogger, root: scratch() };
  return openStores({ ...ports, env: process.env }).open(`s3://${BUCKET}/rows/?endpoint=${address}`);
}

/** Reads the table as a Hive table. @returns its rows, of which none may stand twice or be another than was sent */
async function checkedRows(bucket: ObjectStore, sent: number): Promise<number> {
  const folder = scratch();
  const days = new Set<string>();
  for await (const { path } of bucket.list(TABLE, never)) {
    if (path.startsWith(`${TABLE}_millrace/`)) continue;
    const [, day] = DAY.exec(path) ?? [];
    assert.ok(day !== undefined, path);
    days.add(day);
    const parts: Uint8Array[] = [];
    for await (const part of bucket.get(path, {}, never)) parts.push(part);
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), concatBytes(parts));
  }
  const query = `SELECT n, text, CAST(dt AS VARCHAR), strftime("at", '%Y-%m-%d'), id FROM $table`;
  const rows = days.size === 0 ? [] : await parquetRows(join(folder, TABLE), query);
  const numbers = new Set<number>();
  const ids = new Set<string>();
  for (const [n, text, dt, day, id] of rows) {
    assert.deepEqual([text, dt], [`é "${String(n)}"`, day]);
    assert.ok(days.has(String(dt)));
    numbers.add(Number(n));
    ids.add(String(id));
  }
  assert.deepEqual([numbers.size, ids.size], [rows.length, rows.length], "no row stands twice");
  assert.ok([...numbers].every((n) => n >= 0 && n < sent));
  return rows.length;
}
