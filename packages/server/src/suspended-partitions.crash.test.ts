// Partitions of sinks that are suspended again and again, to one broker and to none, while records come and the process
// is killed: what was acknowledged is a row, once, and nothing else is.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ask, post } from "./test-http.ts";
import { scratch, TestPlatform } from "./test-platform.ts";
import {
  atDoor,
  createStream,
  headOf,
  listJournals,
  pathColumn,
  sql,
  waitForLoaded,
} from "./test-streams.ts";

const LIVES = 3;
const STREAMS = ["one", "two", "three"];
/** Of each stream in each life; the first that has sent half of them in a life but the last kills the platform. */
const RECORDS = 24;
/** A record, and then one of these: what its partition is suspended to. */
const LEVELS = ["FULL", undefined, "PARTIAL"] as const;

type Level = "FULL" | "PARTIAL";

interface Spec extends Readonly<Record<string, unknown>> {
  readonly name: string;
  readonly suspend: { readonly level: string } | null;
}

/** As a broker writes it, which waits for a quarter of an hour. @returns whether it could: an append may come first */
async function suspend(platform: TestPlatform, id: string, level: Level): Promise<boolean> {
  const { endpoints } = platform;
  const all = await listJournals(endpoints);
  const found = all.find(({ spec }) => spec.name.startsWith(`stream/1/1/${id}/${id}/p`));
  assert.ok(found !== undefined, `the partition of ${id}`);
  const spec = found.spec as unknown as Spec;
  // Whoever is suspended to none has no head to be asked for.
  if (spec.suspend?.level === "FULL") return false;
  const offset = String(await headOf(endpoints, spec.name));
  const change = { expectModRevision: found.modRevision, upsert: { ...spec, suspend: { level, offset } } };
  const answer = await post(`${endpoints.broker}/v1/journals/apply`, { changes: [change] });
  return answer.status === 200 && !answer.text.includes("ETCD_TRANSACTION_FAILED");
}

test("partitions suspended and resumed under records and kills -> a row for each that was acknowledged", async () => {
  const data = scratch();
  let platform = await TestPlatform.start(data);
  const urls = new Map<string, string>();
  for (const id of STREAMS) urls.set(id, await createStream(platform.endpoints, id, [pathColumn("id")]));
  const acknowledged = new Map(STREAMS.map((id) => [id, new Set<string>()]));
  const sent = new Map(STREAMS.map((id) => [id, new Set<string>()]));
  const suspensions = { FULL: 0, PARTIAL: 0 };

  const send = async (id: string, record: string): Promise<void> => {
    sent.get(id)!.add(record);
    const url = atDoor(platform.endpoints, urls.get(id)!);
    const headers = { "content-type": "application/json" };
    const answer = await ask(url, { method: "POST", body: `{"id":"${record}"}`, headers });
    assert.equal(answer.status, 200, answer.text);
    acknowledged.get(id)!.add(record);
  };

  for (let life = 1; life <= LIVES; life++) {
    let dying: Promise<void> | undefined;
    const feed = async (id: string, shift: number): Promise<void> => {
      for (let i = 0; i < RECORDS && dying === undefined; i++) {
        await send(id, `${life}-${i}`);
        if (i === RECORDS / 2 && life < LIVES) dying ??= platform.killGroup();
        const level = LEVELS[(i + shift) % LEVELS.length];
        if (level === undefined) continue;
        // The next record may come while it is being suspended.
        const meanwhile = i % 2 === 0 ? send(id, `${life}-${i}-meanwhile`) : undefined;
        const [isSuspended] = await Promise.all([suspend(platform, id, level), meanwhile]);
        if (isSuspended) suspensions[level]++;
      }
    };
    const feeding = STREAMS.map((id, shift) =>
      feed(id, shift).catch((error: unknown) => {
        if (dying === undefined) throw error;
      }),
    );
    await Promise.all(feeding);
    if (dying === undefined) continue;
    await dying;
    platform = await TestPlatform.start(data);
  }

  assert.ok(suspensions.FULL >= 6 && suspensions.PARTIAL >= 6, JSON.stringify(suspensions));
  for (const id of STREAMS) {
    await send(id, "last");
    await waitForLoaded(platform.endpoints, `main.${id}`);
    const rows = (await sql(platform.endpoints, `select id from main.${id}`)).map((row) => String(row["id"]));
    assert.equal(new Set(rows).size, rows.length, `rows of ${id} that are there twice`);
    const missing = [...acknowledged.get(id)!].filter((record) => !rows.includes(record));
    const strange = rows.filter((record) => !sent.get(id)!.has(record));
    assert.deepEqual({ missing, strange }, { missing: [], strange: [] }, id);
  }
  await platform.stop();
});
