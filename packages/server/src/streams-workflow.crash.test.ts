// The whole way from a request to a row: two processes of each component and one warehouse, on etcd and a bucket on
// MinIO, sinks of four partitions, secrets sealed. Senders repeat each request with its key until it is acknowledged;
// meanwhile processes are killed, stopped, paused and started again, etcd and MinIO are killed and come back, and
// mappings change, letters are replayed, versions rolled back, sink and source disabled and enabled. Then each sink has
// to have what the book says: the acknowledged records without the dead letters, each once, by the mapping that was in
// force; and once the letters of one sink are replayed, those too.
//
// The seed of a run is printed; MILLRACE_CRASH_SEED repeats its choices, not their timing.
// MILLRACE_CRASH_STREAM_RECORDS makes it longer; it says how far it is then.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { systemRandom } from "@millrace/base";
import { peerProgram, seededRandom } from "@millrace/base/testkit";
import { EtcdProcess, etcdProgram } from "@millrace/metadata/testkit";
import { BUCKET, startMinio, type StoreServer } from "@millrace/stores/testkit";
import { etcdClient, releaseCluster } from "./test-cluster.ts";
import { scratch } from "./test-platform.ts";
import { csvRows } from "./test-record-rows.ts";
import { StreamCluster } from "./test-stream-cluster.ts";
import { shuffled, StreamStorm } from "./test-stream-storm.ts";
import { createSink, createSource, waitForLoaded, type Row } from "./test-streams.ts";
import { WorkflowBook, type Configuration, type SinkStory, type WorkflowRow } from "./test-workflow-book.ts";
import { columnsOf, WorkflowChanges } from "./test-workflow-changes.ts";
import { WorkflowLoad } from "./test-workflow-load.ts";

const RECORDS_CI = 100_000;
const RECORDS = Number(process.env["MILLRACE_CRASH_STREAM_RECORDS"] ?? RECORDS_CI);
const SEED = process.env["MILLRACE_CRASH_SEED"] ?? String(systemRandom.u32());
const CONNECTIONS = 6;
const BATCH_MAX = 240;
const PAUSE_MS = 250;
/** Records between two changes of the configuration. */
const BETWEEN_CHANGES = 1000;
/** What is sent while a change is under way may have met two mappings. At least so many of all have met one. */
const CERTAIN_SHARE = 1 / 10;
/** Misfortunes that may be under way at the same time. */
const HANDS = 2;
/** Longest time without an acknowledgement: two brokers that are paused past their leases, and what follows. */
const STALLED_MS = 180_000;
const LOADED_MS = 180_000;
const LOOK_MS = 100;
const PROGRESS_MS = 30_000;
const LETTERS_PAGE = 100;

const SOURCE = "work";
/** Its configuration changes. */
const CHANGING = "changing";
/** Its does not. */
const STEADY = "steady";
const FIRST: Configuration = { tag: 0, isEnabled: true, isMended: false };
const PLACE = { source: SOURCE, sink: CHANGING };
const SINKS = `/v1/branches/default/sources/${SOURCE}/sinks`;

const minio = peerProgram("minio");
const skip = etcdProgram.missing === false ? minio.missing : etcdProgram.missing;

let store: StoreServer | undefined;
let cluster: StreamCluster | undefined;

after(async () => {
  await releaseCluster();
  await cluster?.close();
  await store?.stop();
});

test(
  "two of each component, misfortunes and changes -> each record is one row, by its mapping",
  { skip },
  run,
);

async function run(t: TestContext): Promise<void> {
  await workflow(t).catch((error: unknown) => {
    throw new Error(`seed ${SEED}: ${String(error)}`, { cause: error });
  });
}

async function workflow(t: TestContext): Promise<void> {
  const beganMs = performance.now();
  const say = (what: string): void => {
    const line = `${Math.round((performance.now() - beganMs) / 1000)} s: ${what}`;
    t.diagnostic(line);
    if (RECORDS > RECORDS_CI) process.stderr.write(`${line}\n`);
  };
  say(`seed ${SEED}, ${RECORDS} records, etcd ${EtcdProcess.version()}`);
  store = await startMinio(minio.path);
  cluster = await openCluster(store.address);
  const endpoints = cluster.endpoints();
  const path = new URL(await createSource(endpoints, SOURCE)).pathname;
  const book = new WorkflowBook(SEED, FIRST);
  const etcd = await etcdClient(cluster.etcd);
  const random = (what: string): ReturnType<typeof seededRandom> => seededRandom(`${SEED}/${what}`);
  const changes = new WorkflowChanges(cluster, etcd, PLACE, book.history, random("changes"));
  await changes.perform("PATCH", `/v1/branches/default/sources/${SOURCE}/settings`, {
    settings: [{ key: "storage.level.local.deadLetters.enabled", value: true }],
  });
  for (const sinkId of [CHANGING, STEADY]) {
    const mapping = { columns: columnsOf(FIRST.tag, FIRST.isMended) };
    await createSink(
      endpoints,
      { sourceId: SOURCE, sinkId },
      { type: "duckdb", tableId: `main.${sinkId}`, mapping },
    );
  }
  say("every process is ready");

  const doors = cluster.all("http-source").map(({ url }) => url + path);
  const options = { doors, connections: CONNECTIONS, recordsMax: BATCH_MAX, pauseMs: PAUSE_MS, seed: SEED };
  const load = new WorkflowLoad(options, book);
  const storm = new StreamStorm(cluster, store, random("storm"));
  const how = (): string =>
    `${book.acknowledged} of ${book.sent} records acknowledged; ${load.describe()}; ` +
    `${storm.describe()}; ${changes.describe()}`;
  await cluster.told(() => struck({ book, load, storm, changes, random: random("pauses"), how, say }));
  say(`the storm is over: ${how()}`);
  assert.deepEqual(load.problems, []);
  await storm.end();
  await load.stop();
  assert.equal(book.acknowledged, book.sent);

  const steady: SinkStory = { met: () => [FIRST], replays: () => [] };
  await cluster.told(() => loaded(CHANGING));
  await cluster.told(() => loaded(STEADY));
  say("everything is loaded");
  assert.deepEqual(book.faults(await rowsOf(CHANGING, true), book.story, false), []);
  assert.deepEqual(book.letterFaults(await lettersOf(changes, CHANGING), book.story), []);
  const steadyRows = await rowsOf(STEADY, false);
  assert.deepEqual(book.faults(steadyRows, steady, false), []);
  assert.deepEqual(book.letterFaults(await lettersOf(changes, STEADY), steady), []);
  assert.equal(steadyRows.length, book.acknowledged - book.count("bad"));

  const replay = await changes.mendAndReplay();
  await cluster.told(() => loaded(CHANGING));
  const mended = await rowsOf(CHANGING, true);
  assert.deepEqual(book.faults(mended, book.story, true), []);
  assert.deepEqual([replay["refused"], await lettersOf(changes, CHANGING)], [0, []]);
  assert.equal((await rowsOf(STEADY, false)).length, steadyRows.length);
  say(
    `${book.acknowledged} records acknowledged, of which ${book.certain} met one configuration alone; ` +
      `${steadyRows.length} rows of ${STEADY}, ${mended.length} of ${CHANGING}, ${String(replay["replayed"])} replayed`,
  );
  assert.ok(book.certain > book.acknowledged * CERTAIN_SHARE, "many records met one configuration alone");

  const ends = shuffled(cluster.nodes, random("end"));
  for (const node of ends) await cluster.told(() => node.stop());
  say("every process has stopped");
}

async function openCluster(address: string): Promise<StreamCluster> {
  const keys = join(scratch(), "keys");
  writeFileSync(keys, `${randomBytes(32).toString("base64")}\n`, { mode: 0o600 });
  const at = (folder: string): string => `s3://${BUCKET}/${folder}/?endpoint=${address}`;
  return StreamCluster.open({
    counts: {
      broker: 2,
      "storage-reader": 2,
      "storage-coordinator": 2,
      "http-source": 2,
      api: 2,
    },
    flags: [
      ...["--journal.store", at("journals"), "--staging.store", at("staging")],
      ...["--stream.partitions", "4", "--stream.replication", "2"],
      ...["--encryption.provider", "aes", "--encryption.key-file", keys],
    ],
  });
}

interface Struggle {
  readonly book: WorkflowBook;
  readonly load: WorkflowLoad;
  readonly storm: StreamStorm;
  readonly changes: WorkflowChanges;
  readonly random: ReturnType<typeof seededRandom>;
  readonly how: () => string;
  readonly say: (what: string) => void;
}

/** Misfortunes and changes until enough is acknowledged and each of them has come once. */
async function struck({ book, load, storm, changes, random, how, say }: Struggle): Promise<void> {
  let isFailed = false;
  const isOver = (): boolean =>
    isFailed || (book.acknowledged >= RECORDS && storm.rounds > 0 && changes.rounds > 0);
  const watch = async (): Promise<void> => {
    let last = 0;
    let lastMs = performance.now();
    let saidMs = lastMs;
    for (; !isOver(); await sleep(LOOK_MS)) {
      const nowMs = performance.now();
      if (book.acknowledged > last) {
        last = book.acknowledged;
        lastMs = nowMs;
      }
      if (nowMs - lastMs > STALLED_MS) assert.fail(`nothing was acknowledged for ${STALLED_MS} ms: ${how()}`);
      if (nowMs - saidMs < PROGRESS_MS) continue;
      saidMs = nowMs;
      say(how());
    }
  };
  const hand = async (): Promise<void> => {
    for (; !isOver(); await sleep(random.below(1000))) await storm.strike();
  };
  const change = async (): Promise<void> => {
    while (!isOver()) {
      await changes.change();
      // Records that meet what is now in force, and nothing else.
      const enough = book.acknowledged + BETWEEN_CHANGES + random.below(BETWEEN_CHANGES);
      while (!isOver() && book.acknowledged < enough) await sleep(LOOK_MS);
    }
  };
  const supervision = storm.supervise();
  const all = Promise.all([watch(), change(), ...Array.from({ length: HANDS }, hand)]);
  try {
    await Promise.race([all, supervision.then(() => all)]);
  } catch (error) {
    isFailed = true;
    load.abort();
    storm.abort();
    throw new Error(`${how()}: ${String(error)}`, { cause: error });
  }
}

function loaded(sink: string): Promise<void> {
  return waitForLoaded(cluster!.endpoints(), `main.${sink}`, LOADED_MS);
}

/** @param hasExtra whether mappings of it ever had that column */
async function rowsOf(sink: string, hasExtra: boolean): Promise<readonly WorkflowRow[]> {
  const query = `select id, "check", tag, ${hasExtra ? "extra" : "null"} from main.${sink}`;
  const lines = await csvRows(cluster!.endpoints(), query);
  return lines.map(([id, check = "", tag, extra = ""]) => ({
    id: Number(id),
    check,
    tag: Number(tag),
    extra,
  }));
}

/** Ids of the records that wait as letters. */
async function lettersOf(changes: WorkflowChanges, sink: string): Promise<readonly number[]> {
  const ids: number[] = [];
  for (let afterId = ""; ;) {
    const page = await changes.get(`${SINKS}/${sink}/dead-letters?limit=${LETTERS_PAGE}&afterId=${afterId}`);
    const letters = page["deadLetters"] as readonly Row[];
    if (letters.length === 0) return ids;
    for (const { body, isCut } of letters) {
      // A list shows the first 4 KiB of a body; what says who it is stands in front.
      const [, id] = /^\{"id":(\d+),/.exec(String(body)) ?? [];
      assert.ok(id !== undefined, `${String(isCut)} ${String(body).slice(0, 100)}`);
      ids.push(Number(id));
    }
    afterId = String(letters.at(-1)!["id"]);
  }
}
