import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { readOffsets, retireOffsets, writeOffsets } from "./offsets-file.ts";

test("offsets file: written, read, retired -> the same offsets, and no half-written file", (t) => {
  const dir = mkdtempSync(join(tmpdir(), "millrace-offsets-"));
  t.after(() => rmSync(dir, { recursive: true }));
  const path = join(dir, "offsets.json");
  const offsets = new Map([
    ["b/c", 7],
    ["a/b", 0],
  ]);
  writeOffsets(path, offsets);
  assert.equal(readFileSync(path, "utf8"), '{"a/b":0,"b/c":7}\n');
  assert.deepEqual(readOffsets(path), new Map([...offsets].reverse()));
  retireOffsets(path);
  writeOffsets(path, new Map());
  assert.deepEqual(readdirSync(dir).sort(), ["offsets.json", "offsets.json.previous"]);
  assert.throws(() => readOffsets(join(dir, "none")), { code: "ENOENT" });
  for (const bad of [
    "",
    "[]",
    "null",
    '{"a/b":-2}',
    '{"a/b":1.5}',
    '{"a/b":"1"}',
    '{"a/b":9007199254740992}',
  ]) {
    writeFileSync(path, bad);
    assert.throws(() => readOffsets(path), /expected \{"journal": offset, …\}$/, bad);
  }
});
