import assert from "node:assert/strict";
import { test } from "node:test";
import { newJournalSpec, type JournalSpec } from "@millrace/protocol";
import { notSuspended } from "./not-suspended.ts";

const NOW_MS = 1_700_000_000_500;

function spec(flushIntervalMs: number, stores: readonly string[] = ["file:///"]): JournalSpec {
  const plain = newJournalSpec({ name: "a/one" });
  return { ...plain, fragment: { ...plain.fragment, flushIntervalMs, stores } };
}

for (const [what, flushMs, ageSeconds, want] of [
  [
    "no flush interval, an hour old",
    0,
    3600,
    "its newest fragment is 1h0m1s old, and must be 24h0m0s, as it has no flush_interval; " +
      "try again in 23h0m0s, or with --force",
  ],
  [
    "a flush interval",
    3_600_000,
    600,
    "its newest fragment is 10m1s old, and must be 1h0m0s, its flush_interval; " +
      "try again in 50m0s, or with --force",
  ],
  [
    "a fragment of the brokers' disks",
    3_600_000,
    undefined,
    "its newest bytes are in no store yet; try again once they are persisted, or with --force",
  ],
] as const) {
  test(`not suspended: ${what} -> what it waits for, and how long`, () => {
    const modTime = ageSeconds === undefined ? 0 : Math.floor(NOW_MS / 1000) - ageSeconds;
    assert.equal(notSuspended(spec(flushMs), { modTime }, NOW_MS), `not suspended: ${want}`);
  });
}

test("not suspended: a journal without stores -> no time helps", () => {
  const text = notSuspended(spec(0, []), { modTime: 0 }, NOW_MS);
  assert.equal(text, "not suspended: it has content and no store; with --force it is");
});
