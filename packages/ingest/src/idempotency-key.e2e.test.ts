// Keys of requests at the door, over real sockets: which keys rows get, and in which partition they stand.
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { gzipSync } from "node:zlib";

import { DoorHarness } from "./http-source-testkit.ts";
import { batchKeyHash, keyedPartition, keyHash } from "./idempotency-key.ts";
import { KeyWindow } from "./key-window.ts";

const RECORD = '{"origin":"MCI"}';
const KEY = "8e03978e-40d5-43e8-bc93-6894a57f9324";

let door: DoorHarness;
afterEach(() => door.close());

function keys(): unknown[] {
  return door.frames.frames("flights/0").map((frame) => frame.keys);
}

/** Rows that a reader makes. */
function kept(): number {
  const window = new KeyWindow();
  return door.frames
    .frames("flights/0")
    .flatMap((frame) => window.kept(frame))
    .reduce((sum, { count }) => sum + count, 0);
}

test("a record that is sent again with its key -> the same answer, the same key, one row", async () => {
  door = await new DoorHarness().open();
  const headers = { "Idempotency-Key": KEY };
  for (let i = 0; i < 3; i++) {
    const answer = await door.post(RECORD, headers);
    assert.deepEqual([answer.status, answer.body], [200, "OK"]);
  }
  await door.post(RECORD);
  await door.post(RECORD, { "idempotency-key": "other" });
  assert.deepEqual(keys(), [[keyHash(KEY)], [keyHash(KEY)], [keyHash(KEY)], undefined, [keyHash("other")]]);
  assert.equal(kept(), 3);
});

test("a batch that is sent again, of which a record was refused -> a row for each that can be mapped", async () => {
  door = await new DoorHarness().open();
  const body = `${RECORD}\n{}\n${RECORD}\n`;
  const headers = { "Content-Type": "application/x-ndjson", "Idempotency-Key": KEY };
  const first = await door.post(body, headers);
  const again = await door.post(gzipSync(body), { ...headers, "Content-Encoding": "gzip" });
  assert.deepEqual([again.status, again.body], [first.status, first.body]);
  const expected = [batchKeyHash(KEY, 0), batchKeyHash(KEY, 2)];
  assert.deepEqual(keys(), [expected, expected]);
  assert.equal(kept(), 2);
  // The array of the same records is the same batch.
  assert.equal((await door.post(`[${RECORD},{},${RECORD}]`, { "Idempotency-Key": KEY })).status, 200);
  assert.equal(kept(), 2);
});

test("a batch of more records than one step takes, others in between -> each its own key", async () => {
  door = await new DoorHarness().open();
  const body = `${RECORD}\n`.repeat(9000);
  const headers = { "Content-Type": "application/x-ndjson", "Idempotency-Key": KEY };
  await Promise.all([
    door.post(body, headers),
    door.post(RECORD),
    door.post(RECORD, { "Idempotency-Key": "x" }),
  ]);
  const rows = door.frames.frames("flights/0").flatMap((frame) => frame.keys ?? [undefined]);
  const wanted = Array.from({ length: 9000 }, (_, i) => batchKeyHash(KEY, i));
  assert.deepEqual(
    rows.filter((key) => key !== undefined && key !== keyHash("x")),
    wanted,
  );
  assert.equal(rows.filter((key) => key === keyHash("x")).length, 1);
});

test("what is no key -> 400, nothing is taken; two keys -> 400", async () => {
  door = await new DoorHarness().open();
  for (const key of ["a b", "\u00e9", "k".repeat(256)]) {
    const answer = await door.post(RECORD, { "Idempotency-Key": key });
    assert.equal(answer.status, 400);
    assert.match(
      answer.body,
      /"The idempotency key of \d+ characters is none, expected 1 to 255 visible characters\."/,
    );
  }
  const twice = await door.post(RECORD, { "Idempotency-Key": "a", "idempotency-key": "a" });
  assert.equal(twice.status, 400);
  assert.equal(door.frames.journals.size, 0);
});

test("keys -> spread over the keyed partitions, equal ones to the same", () => {
  const hashes = Array.from({ length: 1000 }, (_, i) => keyHash(String(i)));
  const counts = [0, 0, 0, 0];
  for (const hash of hashes) {
    const n = keyedPartition(hash, 4);
    assert.equal(keyedPartition(hash, 4), n);
    assert.equal(keyedPartition(hash, 1), 0);
    counts[n]!++;
  }
  for (const count of counts) assert.ok(count > 200 && count < 300, String(counts));
  assert.equal(new Set(hashes).size, 1000);
});
