// Exactly once from the client to the row: a client that sends each record with a key until it is acknowledged, while
// the platform is killed again and again, and then everything once more.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ask } from "./test-http.ts";
import { scratch, TestPlatform } from "./test-platform.ts";
import { atDoor, createStream, pathColumn, sql, waitForLoaded } from "./test-streams.ts";

const LIVES = 5;
const SINGLES = 40;
const BATCHES = 10;
const BATCH_RECORDS = 20;
const TABLE = "main.keyed";

interface Sent {
  readonly key: string;
  readonly records: readonly string[];
}

/** What a client sends in one life of the platform: records alone, and batches. */
function requestsOf(life: number): readonly Sent[] {
  const singles = Array.from({ length: SINGLES }, (_, i) => {
    return { key: `single-${life}-${i}`, records: [`${life}-${i}`] };
  });
  const batches = Array.from({ length: BATCHES }, (_, i) => {
    const records = Array.from({ length: BATCH_RECORDS }, (_each, n) => `${life}-${i}-${n}`);
    return { key: `batch-${life}-${i}`, records };
  });
  return [...singles, ...batches];
}

/** @returns whether it was acknowledged */
async function send(url: string, { key, records }: Sent): Promise<boolean> {
  const lines = records.map((id) => `{"id":"${id}"}`);
  const isBatch = key.startsWith("batch");
  const headers = {
    "content-type": isBatch ? "application/x-ndjson" : "application/json",
    "idempotency-key": key,
  };
  try {
    return (await ask(url, { method: "POST", body: lines.join("\n"), headers })).status === 200;
  } catch {
    return false;
  }
}

test("records with keys, sent until they are acknowledged, over kills and restarts -> a row each", async () => {
  const data = scratch();
  let platform = await TestPlatform.start(data);
  const source = await createStream(platform.endpoints, "keyed", [pathColumn("id")]);
  const all: Sent[] = [];
  let waiting: Sent[] = [];
  for (let life = 0; life < LIVES; life++) {
    const requests = requestsOf(life);
    all.push(...requests);
    waiting.push(...requests);
    const url = atDoor(platform.endpoints, source);
    // Some at the same time; the platform dies under them when a part of them is answered.
    let answered = 0;
    const dying = { isOver: false, end: Promise.resolve() };
    const unsent = await Promise.all(
      waiting.map(async (one) => {
        const isTaken = await send(url, one);
        if (++answered >= requests.length / 2 && !dying.isOver) {
          dying.isOver = true;
          dying.end = platform.killGroup();
        }
        return isTaken ? [] : [one];
      }),
    );
    await dying.end;
    // Those that heard nothing, and some that did.
    waiting = [...unsent.flat(), ...requests.filter((_, i) => i % 3 === 0)];
    platform = await TestPlatform.start(data);
  }
  const url = atDoor(platform.endpoints, source);
  for (const one of all) assert.ok(await send(url, one), one.key);
  await waitForLoaded(platform.endpoints, TABLE);
  const wanted = all.flatMap(({ records }) => records);
  const [counts] = await sql(
    platform.endpoints,
    `select count(*) as n, count(distinct id) as ids from ${TABLE}`,
  );
  assert.deepEqual([Number(counts?.["n"]), Number(counts?.["ids"])], [wanted.length, wanted.length]);
  await platform.stop();
});
