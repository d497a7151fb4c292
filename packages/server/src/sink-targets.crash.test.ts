// Rows in targets outside the warehouse: a platform that loads into a real PostgreSQL, into ClickHouse's HTTP contract
// and into Parquet files is killed again and again, and the sender's book is compared with what each of them has.
//
// The seed of a run is printed; MILLRACE_CRASH_SEED repeats its choices, not its timing.
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { systemRandom } from "@millrace/base";
import { seededRandom } from "@millrace/base/testkit";
import { ClickHouseContract, missingPostgres, PostgresServer } from "@millrace/targets/testkit";
import { Load } from "./test-load.ts";
import { parquetRows } from "./test-parquet-rows.ts";
import { scratch, TestPlatform, until } from "./test-platform.ts";
import { RecordLedger, type StoredRecord } from "./test-record-ledger.ts";
import { atDoor, createSink, createSource, pathColumn } from "./test-streams.ts";

const SEED = process.env["MILLRACE_CRASH_SEED"] ?? String(systemRandom.u32());
const ROUNDS = 4;
const CONNECTIONS = 4;
const COLUMNS = [
  { type: "uuid", name: "id" },
  { type: "datetime", name: "at" },
  ...["connection", "sequence", "check"].map(pathColumn),
  { type: "body", name: "body" },
];
const SELECT = 'SELECT _journal, connection, sequence, "check", octet_length';
const skip = missingPostgres();

let server: PostgresServer;
let clickhouse: ClickHouseContract;
before(async () => {
  clickhouse = await ClickHouseContract.start();
  if (skip === false) server = await PostgresServer.start();
});
after(async () => {
  await clickhouse.stop();
  if (skip === false) await server.stop();
});

function stored(rows: readonly (readonly unknown[])[]): readonly StoredRecord[] {
  return rows.map(([journal, connection, sequence, check, bytes]) => ({
    journal: String(journal),
    connection: Number(connection),
    sequence: Number(sequence),
    check: String(check),
    bodyLength: Number(bytes),
  }));
}

function contractRows(): readonly StoredRecord[] {
  const rows = [...(clickhouse.tables.get("main.rows")?.rows ?? [])];
  const place = (row: (typeof rows)[number]): string =>
    `${row["_journal"]} ${row["_offset"]!.padStart(16, "0")}`;
  rows.sort((a, b) => (place(a) < place(b) ? -1 : 1));
  return stored(
    rows.map(({ _journal, connection, sequence, check, body }) => {
      return [_journal, connection, sequence, check, Buffer.byteLength(body ?? "")];
    }),
  );
}

test("a platform that loads into several targets is killed -> each row once in all of them", { skip }, run);

async function run(t: TestContext): Promise<void> {
  const data = scratch();
  const random = seededRandom(SEED);
  const database = await server.database();
  let platform = await TestPlatform.start(data);
  const sourceUrl = await createSource(platform.endpoints, "s");
  const { host, port, database: name, user, password } = database;
  const login = { host, port, database: name, user, password, sslMode: "disable" };
  const table = { tableId: "main.rows", mapping: { columns: COLUMNS } };
  const sink = (sinkId: string, target: object): Promise<void> =>
    createSink(platform.endpoints, { sourceId: "s", sinkId }, { ...table, ...target });
  await sink("pg", { type: "postgres", connection: login });
  await sink("ch", { type: "clickhouse", connection: clickhouse.connection });
  await sink("files", { type: "parquet", connection: { url: "file:///lake/" } });
  const ledger = new RecordLedger(SEED, CONNECTIONS);
  for (let round = 0; round < ROUNDS; round++) {
    const { endpoints } = platform;
    const options = {
      sourceUrl: atDoor(endpoints, sourceUrl),
      brokerUrl: endpoints.broker,
      connections: CONNECTIONS,
      seed: `${SEED}/${round}`,
    };
    const load = new Load(options, ledger, []);
    await until("the load is under way", 30_000, () => load.answers > 100);
    await sleep(random.below(1500));
    if (random.below(2) === 0) await platform.killGroup();
    else await platform.killPid();
    await load.stop();
    platform = await TestPlatform.start(data);
  }
  const files = join(data, "tables", "lake", "main", "rows");
  const inPostgres = async (): Promise<readonly StoredRecord[]> =>
    stored(await server.run(database, `${SELECT}(body) FROM main.rows ORDER BY _journal, _offset`));
  const inClickHouse = (): Promise<readonly StoredRecord[]> => Promise.resolve(contractRows());
  const inFiles = async (): Promise<readonly StoredRecord[]> =>
    stored(await parquetRows(files, `${SELECT}(encode(body)) FROM $table ORDER BY _journal, _offset`));
  for (const [where, rows] of Object.entries({ inPostgres, inClickHouse, inFiles })) {
    const missing = async (): Promise<readonly string[]> => ledger.violations(await rows(), true);
    await until(`${where}: all is loaded`, 60_000, async () => (await missing()).length === 0, 500).catch(
      async () => assert.deepEqual(await missing(), [], where),
    );
  }
  await platform.stop();
  const { acknowledged, unknown } = ledger.counts();
  t.diagnostic(`seed ${SEED}: ${ROUNDS} kills, ${acknowledged} acknowledged, ${unknown} unknown`);
  assert.ok(acknowledged > ROUNDS * 100);
}
