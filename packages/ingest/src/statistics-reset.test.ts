import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { utf8 } from "@millrace/base";

import { withoutReset } from "./statistics-reset.ts";
import { decodeReset } from "./storage-codec.ts";
import type { SinkReset, Statistics } from "./storage-entities.ts";
import { kindOfKey, resetKey } from "./storage-keys.ts";

const KEY = { projectId: 1, branchId: 1, sourceId: "s", sinkId: "k" };
const AT = "2026-01-01T00:00:05.000Z";

function some(recordsCount: number): Statistics {
  return {
    firstRecordAt: "2026-01-01T00:00:01.000Z",
    lastRecordAt: "2026-01-01T00:00:09.000Z",
    recordsCount,
    uncompressedSize: 10 * recordsCount,
    compressedSize: recordsCount,
  };
}
const reset = (records: number): SinkReset => ({ ...KEY, at: AT, statistics: some(records) });

describe("statistics that were cleared", () => {
  test("what had been accepted is taken off where it has come furthest first", () => {
    const rest = withoutReset({ target: some(4), staging: some(3), local: some(2) }, reset(6));
    assert.deepEqual(
      [rest.target?.recordsCount, rest.staging?.recordsCount, rest.local?.recordsCount],
      [0, 1, 2],
    );
    assert.deepEqual(rest.staging, { ...some(1), firstRecordAt: AT });
    assert.deepEqual(rest.local, some(2));
  });

  test("more was taken off than there is -> nothing, never less", () => {
    const rest = withoutReset({ target: some(4), local: some(2) }, reset(100));
    assert.deepEqual([rest.target?.recordsCount, rest.local?.recordsCount], [0, 0]);
    assert.deepEqual(withoutReset({ target: some(4) }, undefined), { target: some(4) });
  });

  test("stored as it was first written", () => {
    assert.equal(resetKey(KEY), "stream/storage/stats/target/1/1/s/k/~reset");
    assert.equal(kindOfKey(resetKey(KEY)), "reset");
    const golden =
      '{"projectId":1,"branchId":1,"sourceId":"s","sinkId":"k","at":"2026-01-01T00:00:05.000Z","statistics":' +
      '{"firstRecordAt":"2026-01-01T00:00:01.000Z","lastRecordAt":"2026-01-01T00:00:09.000Z",' +
      '"recordsCount":6,"uncompressedSize":60,"compressedSize":6}}';
    assert.deepEqual(decodeReset(utf8(golden), "reset"), reset(6));
    assert.throws(() => decodeReset(utf8(golden.replace("05.000Z", "5Z")), "reset"), { code: "CORRUPT" });
  });
});
