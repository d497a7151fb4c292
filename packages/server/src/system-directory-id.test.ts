import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { WireError } from "@millrace/base";
import { seededRandom } from "@millrace/base/testkit";
import { DIRECTORY_ID_FILE } from "./data-layout.ts";
import { directoryId } from "./system-directory-id.ts";

test("directory id: made once, another one elsewhere, and never in place of one that cannot be read", () => {
  const [one, two] = ["one", "two"].map(() => mkdtempSync(join(tmpdir(), "directory-id-"))) as [
    string,
    string,
  ];
  try {
    const random = seededRandom("ids");
    const id = directoryId(one, random);
    assert.match(id, /^[0-9a-f]{32}$/);
    assert.equal(directoryId(one, random), id);
    assert.notEqual(directoryId(two, random), id);
    writeFileSync(join(one, DIRECTORY_ID_FILE), "");
    const isCorrupt = (error: unknown): boolean => error instanceof WireError && error.code === "CORRUPT";
    assert.throws(() => directoryId(one, random), isCorrupt);
    assert.equal(readFileSync(join(one, DIRECTORY_ID_FILE), "utf8"), "");
  } finally {
    for (const path of [one, two]) rmSync(path, { recursive: true });
  }
});
