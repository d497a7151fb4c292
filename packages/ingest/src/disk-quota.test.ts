import assert from "node:assert/strict";
import { test } from "node:test";

import { silentLogger, systemClock, type LogFields, type Logger } from "@millrace/base";

import { DiskQuotas } from "./disk-quota.ts";

const SINK = { projectId: 1, branchId: 1, sourceId: "s", sinkId: "k" };

interface Fixture {
  quotas: DiskQuotas;
  nowMs: number;
  sinkBytes: number;
  allBytes: number;
  asked: number;
  letterBytes: number;
  allLetterBytes: number;
  lettersRefused: number;
  readonly logged: LogFields[];
}

const LETTERS = { letterBytes: 0, allLetterBytes: 0, lettersRefused: 0 };

function fixture(allBytesMax = 0): Fixture {
  const made: Omit<Fixture, "quotas"> = {
    nowMs: 0,
    sinkBytes: 0,
    allBytes: 0,
    asked: 0,
    ...LETTERS,
    logged: [],
  };
  const f = made as Fixture;
  const logger: Logger = { ...silentLogger, warn: (_event, fields = {}) => void f.logged.push(fields) };
  f.quotas = new DiskQuotas({
    allBytesMax,
    clock: { ...systemClock, monotonicMs: () => f.nowMs },
    logger,
    letters: {
      bytes: () => f.letterBytes,
      get allBytes() {
        return f.allLetterBytes;
      },
      onRefused: () => void f.lettersRefused++,
    },
    use: {
      sinkBytes: () => {
        f.asked++;
        return f.sinkBytes;
      },
      allBytes: () => f.allBytes,
    },
  });
  return f;
}

test("a sink up to its quota -> takes records; beyond -> 507 with both sizes; less again -> takes them", () => {
  const f = fixture();
  const quota = f.quotas.of(SINK, 1024)!;
  f.sinkBytes = 1024;
  assert.equal(quota.refusal(), undefined);
  f.sinkBytes = 2048;
  f.nowMs += 200;
  assert.deepEqual(quota.refusal(), {
    status: 507,
    name: "insufficientStorage",
    message: "Records of 2KB wait for the table of the sink, its quota is 1KB.",
    retryAfter: 5,
  });
  f.sinkBytes = 0;
  f.nowMs += 200;
  assert.equal(quota.refusal(), undefined);
});

test("many records -> what waits is asked for now and then, and logged once in five minutes", () => {
  const f = fixture();
  const quota = f.quotas.of(SINK, 1)!;
  f.sinkBytes = 2;
  for (let i = 0; i < 1000; i++) {
    assert.notEqual(quota.refusal(), undefined);
    f.nowMs += 1;
  }
  assert.equal(f.asked, 5);
  assert.deepEqual(
    f.logged.map(({ sink }) => sink),
    ["1/1/s/k"],
  );
  f.nowMs = 5 * 60_000;
  quota.refusal();
  assert.equal(f.logged.length, 2);
});

test("all sinks together -> 507 for each of them, also for those without a quota", () => {
  const f = fixture(10);
  const quota = f.quotas.of(SINK, 0)!;
  assert.equal(quota.refusal(), undefined);
  f.allBytes = 11;
  assert.equal(quota.refusal(), undefined);
  f.nowMs += 1000;
  assert.equal(
    quota.refusal()?.message,
    "Records of 11B wait for the tables of all sinks, their quota is 10B.",
  );
  assert.equal(f.asked, 0);
});

test("nothing bounds a sink -> nothing to ask", () => {
  assert.equal(fixture().quotas.of(SINK, 0), undefined);
});

test("dead letters beyond twice their size -> 507 with both; less again -> taken", () => {
  const f = fixture();
  const quota = f.quotas.ofLetters(SINK, { sizeBytes: 1024, bytesMax: 0 });
  f.letterBytes = 2048;
  assert.equal(quota.refusal(), undefined);
  f.letterBytes = 3072;
  assert.deepEqual(quota.refusal(), {
    status: 507,
    name: "insufficientStorage",
    message: "The record cannot be mapped, and dead letters of 3KB are kept, at most 2KB.",
    retryAfter: 60,
  });
  assert.deepEqual([f.lettersRefused, f.logged.length], [1, 1]);
  f.letterBytes = 0;
  assert.equal(quota.refusal(), undefined);
});

test("quotas: dead letters count for themselves with what waits, and keep out no record", () => {
  const f = fixture(100 * 1024);
  const letters = f.quotas.ofLetters(SINK, { sizeBytes: 1e9, bytesMax: 4096 });
  const records = f.quotas.of(SINK, 4096)!;
  f.sinkBytes = 3072;
  f.letterBytes = 2048;
  assert.match(letters.refusal()!.message, /of the sink take 5KB, its quota is 4KB\.$/);
  assert.equal(records.refusal(), undefined);
  f.letterBytes = 0;
  assert.equal(letters.refusal(), undefined);
  f.allBytes = 60 * 1024;
  f.allLetterBytes = 50 * 1024;
  f.nowMs += 1000;
  assert.match(letters.refusal()!.message, /of all sinks take 110KB, their quota is 100KB\.$/);
  assert.equal(records.refusal(), undefined);
});
