// Keys of many partitions in little memory: what a reader lets go of it reads again, and drops the same rows.
import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { never, silentLogger } from "@millrace/base";
import { Agenda, settle, SimulatedClock } from "@millrace/base/testkit";

import { keyHash } from "./idempotency-key.ts";
import { KEY_BYTES, KeyMemory, PartitionKeys } from "./partition-keys.ts";
import { Fixture } from "./pipeline-fixture.ts";

const KEYS = ["a", "b", "c"].map(keyHash);
const PARTITIONS = 3;

/** Of a reader. */
async function keyBytes(world: Fixture): Promise<number> {
  await world.agenda.advance(100);
  return world.metrics.gauge("millrace_storage_key_bytes", "").value();
}

function windowsRead(world: Fixture): number {
  return world.metrics.counter("millrace_storage_key_windows_read_total", "").value();
}

describe("keys of partitions", () => {
  for (const [what, keyBytesMax, reads] of [
    ["in memory", 1e9, 0],
    ["of which memory takes one partition's", KEYS.length * KEY_BYTES, 2 * PARTITIONS],
    ["of which memory takes none", 0, 2 * PARTITIONS],
  ] as const) {
    test(`keys ${what} -> repeated ones are no rows, whichever partition's turn it is`, async () => {
      const world = await Fixture.open();
      const sink = world.sink({ partitions: PARTITIONS });
      await world.during(world.pipeline({ reader: { keyBytesMax } }));
      for (let round = 0; round < 3; round++) {
        for (let n = 0; n < PARTITIONS; n++) {
          await world.append(sink, n, KEYS.length, 10, KEYS);
          assert.ok((await keyBytes(world)) <= Math.max(keyBytesMax, KEYS.length * KEY_BYTES));
          // Rows without keys need no window.
          await world.append(sink, n, 1);
          await world.agenda.advance(100);
        }
      }
      const rows = PARTITIONS * (KEYS.length + 3);
      await world.until(() => world.rows().length === rows);
      await world.agenda.advance(60_000);
      assert.equal(world.rows().length, rows);
      assert.equal(windowsRead(world), reads);
      assert.equal(world.metrics.counter("millrace_storage_duplicate_records_total", "").value(), 18);
    });
  }

  test("a reader that starts -> reads keys of the partitions to which one comes, and of no other", async () => {
    const world = await Fixture.open();
    const sink = world.sink({ partitions: PARTITIONS });
    const first = await world.during(world.pipeline());
    for (let n = 0; n < PARTITIONS; n++) await world.append(sink, n, KEYS.length, 10, KEYS);
    await world.until(() => world.rows().length === PARTITIONS * KEYS.length);
    await world.during(first.close());
    const before = windowsRead(world);
    await world.during(world.pipeline());
    for (let n = 0; n < PARTITIONS; n++) await world.append(sink, n, 1);
    await world.until(() => world.rows().length === PARTITIONS * (KEYS.length + 1));
    assert.equal(windowsRead(world), before);
    await world.append(sink, 1, KEYS.length, 10, KEYS);
    await world.agenda.advance(60_000);
    assert.equal(windowsRead(world), before + 1);
    assert.equal(world.rows().length, PARTITIONS * (KEYS.length + 1));
  });

  test("reads of windows -> four at a time, also behind one that failed or was given up", async () => {
    const memory = new KeyMemory(0, { keyBytes: { set: () => {} }, keyWindowsRead: { add: () => {} } });
    const clock = new SimulatedClock(new Agenda());
    const ends: ((failed: boolean) => void)[] = [];
    const read = (signal = never): Promise<void> =>
      memory.read(
        (reading) =>
          new Promise((resolve, reject) => {
            reading.addEventListener("abort", () => reject(reading.reason as Error));
            ends.push((failed) => (failed ? reject(new Error("gone")) : resolve()));
          }),
        clock,
        signal,
      );
    const leaving = new AbortController();
    const [first, second, third, fourth] = [read(), read(), read(), read()];
    const left = read(leaving.signal);
    const [sixth, seventh] = [read(), read()];
    await settle();
    assert.equal(ends.length, 4);
    leaving.abort(new Error("it leaves"));
    await assert.rejects(left, /it leaves/);
    ends[0]!(true);
    await assert.rejects(first, /gone/);
    ends[1]!(false);
    await second;
    await settle();
    assert.equal(ends.length, 6);
    const slow = { code: "UNAVAILABLE", message: /could not be read within 60000 ms/ };
    const late = [third, fourth, sixth, seventh].map((each) => assert.rejects(each, slow));
    await clock.agenda.advance(60_000);
    await Promise.all(late);
    const next = read();
    await settle();
    ends.at(-1)!(false);
    await next;
  });

  test("a window that is not in memory -> says where it began, until it is behind for good", async () => {
    const world = await Fixture.open();
    const { journals: transport, clock } = world;
    const memory = new KeyMemory(1e9, { keyBytes: { set: () => {} }, keyWindowsRead: { add: () => {} } });
    const ports = { transport, clock, logger: silentLogger, memory };
    const bounds = { bytes: 1000, ms: 1000, keys: 10 };
    const keys = new PartitionKeys(ports, "j", { offset: 500, keysBegin: 100 }, bounds);
    const plain = (begin: number): Parameters<typeof keys.kept>[0] => ({ ...FRAME, begin, end: begin + 10 });
    assert.equal(keys.isMissingFor(plain(500)), false);
    keys.kept(plain(500));
    keys.kept(plain(1500));
    assert.equal(keys.begin, 100);
    keys.kept(plain(1501));
    assert.equal(keys.begin, undefined);
  });
});

const FRAME = {
  producer: "0".repeat(16),
  sequence: 1,
  sinkVersion: 1,
  acceptedAtMs: 1,
  begin: 0,
  end: 10,
  bodyBegin: 0,
  count: 1,
  rowLengths: Uint32Array.of(1),
  keys: undefined,
  body: new Uint8Array(1),
};
