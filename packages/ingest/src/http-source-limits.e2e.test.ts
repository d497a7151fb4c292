// Limits of a source and quotas of its sinks, over real sockets.
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";

import { systemClock } from "@millrace/base";

import { DoorHarness, type RawAnswer } from "./http-source-testkit.ts";

let door: DoorHarness;
let nowMs = 0;
const clock = { ...systemClock, monotonicMs: () => nowMs };
const RECORD = '{"origin":"MCI"}';
const QUOTA = "storage.level.local.quota";

afterEach(() => door.close());

const nameOf = ({ body }: RawAnswer): unknown => (JSON.parse(body) as { error?: unknown }).error;

test("records a second: one after the other, in batches -> taken while something is left, then 429", async () => {
  door = await new DoorHarness().open({ clock, sourceSettings: { "source.limit.records": 4 } });
  const first = await door.post(RECORD);
  assert.deepEqual([first.status, first.headers["ratelimit"]], [200, '"records";r=3;t=1']);
  assert.equal(first.headers["ratelimit-policy"], '"records";q=4;w=1;qu="records"');
  // More than is left: taken whole, and paid for by the next ones.
  const batch = await door.post(`[${Array(11).fill(RECORD).join(",")}]`);
  assert.deepEqual([batch.status, batch.headers["ratelimit"]], [200, '"records";r=0;t=3']);
  for (const body of [RECORD, `[${RECORD}]`]) {
    const refused = await door.post(body);
    assert.deepEqual([refused.status, nameOf(refused)], [429, "stream.in.rateLimited"]);
    assert.deepEqual(
      [refused.headers["retry-after"], refused.headers["ratelimit"]],
      ["3", '"records";r=0;t=3'],
    );
    assert.match(refused.body, /at most 4 records in a second/);
  }
  nowMs += 3000;
  assert.equal((await door.post(RECORD)).status, 200);
  assert.equal(door.frames.rows("flights/0").length, 13);
});

test("bytes a second, of which another process has half -> 429 when the share is used", async () => {
  const sourceSettings = { "source.limit.bytes": `${4 * RECORD.length}B` };
  door = await new DoorHarness().open({ clock, share: () => 1 / 2, sourceSettings });
  for (let i = 0; i < 2; i++) assert.equal((await door.post(RECORD)).status, 200);
  const refused = await door.post(RECORD);
  assert.deepEqual([refused.status, refused.headers["retry-after"]], [429, "1"]);
  assert.equal(refused.headers["ratelimit-policy"], `"bytes";q=${2 * RECORD.length};w=1;qu="content-bytes"`);
});

test("OTLP: a limit -> 429 with its delay, before the body is looked at", async () => {
  door = await new DoorHarness().open({ clock, type: "otlp", sourceSettings: { "source.limit.records": 1 } });
  const body = '{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"severityText":"a"}]}]}]}';
  const path = `${door.path}/v1/logs`;
  await door.post(body, {}, path);
  const refused = await door.post("no request", {}, path);
  assert.deepEqual([refused.status, refused.headers["retry-after"]], [429, "1"]);
  assert.equal(nameOf(refused), "stream.in.rateLimited");
  assert.equal(refused.headers["ratelimit"], '"records";r=0;t=1');
});

test("no limits -> no such headers", async () => {
  door = await new DoorHarness().open();
  const { headers } = await door.post(RECORD);
  assert.deepEqual([headers["ratelimit"], headers["ratelimit-policy"]], [undefined, undefined]);
});

test("a sink beyond its quota -> 507 of that sink, for a record and a batch; others take it", async () => {
  let waiting = 0;
  door = await new DoorHarness().open({
    clock,
    sinks: [{ settings: { [QUOTA]: "1KB" } }, { sinkId: "other" }],
    diskUse: { sinkBytes: ({ sinkId }) => (sinkId === "flights" ? waiting : 1e9), allBytes: () => 0 },
  });
  assert.equal((await door.post(RECORD)).status, 200);
  waiting = 4096;
  nowMs += 1000;
  const refused = await door.post(RECORD);
  assert.deepEqual([refused.status, refused.headers["retry-after"]], [507, "5"]);
  assert.match(refused.body, /Written to 1\/2 sinks/);
  assert.match(refused.body, /Records of 4KB wait for the table of the sink, its quota is 1KB\./);
  const batch = await door.post(`[${RECORD},${RECORD}]`);
  assert.deepEqual([batch.status, nameOf(batch)], [507, "stream.in.insufficientStorage"]);
  waiting = 0;
  nowMs += 1000;
  assert.equal((await door.post(RECORD)).status, 200);
  assert.equal(door.frames.rows("flights/0").length, 2);
  assert.equal(door.frames.rows("other/0").length, 3);
});
