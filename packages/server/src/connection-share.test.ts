import assert from "node:assert/strict";
import { test } from "node:test";
import { connectionBounds, descriptorLimit } from "./connection-share.ts";

test("connections: of the usual limits -> a quarter stays for files, and a setting below its share counts", () => {
  assert.deepEqual(connectionBounds(1024, 10_000), { source: 460, other: 153 });
  assert.deepEqual(connectionBounds(1024, 100), { source: 100, other: 153 });
  assert.deepEqual(connectionBounds(1_048_576, 10_000), { source: 10_000, other: 10_000 });
  assert.deepEqual(connectionBounds(undefined, 10_000), { source: 10_000, other: 10_000 });
});

test("connections: of any limit -> files have their part of it", () => {
  for (const limit of [110, 128, 256, 512, 1024, 4096, 65_536]) {
    const { source, other } = connectionBounds(limit, 1_000_000);
    assert.ok(source + 2 * other <= limit - 64, `${limit}`);
    assert.ok(source >= 8 && other >= 8);
  }
});

test("descriptors: what the kernel says -> the soft limit, or none", () => {
  const line = (soft: string): string =>
    `Limit      Soft Limit   Hard Limit   Units\nMax open files   ${soft}   4096   files\n`;
  assert.equal(descriptorLimit(line("1024")), 1024);
  assert.equal(descriptorLimit(line("unlimited")), undefined);
  assert.equal(descriptorLimit(""), undefined);
});
