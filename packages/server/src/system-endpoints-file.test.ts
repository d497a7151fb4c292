import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { systemRandom } from "@millrace/base";
import { ownDataDirectory } from "./system-data-directory.ts";
import { writeEndpoints } from "./system-endpoints-file.ts";

const scratch = (): string => mkdtempSync(join(tmpdir(), "millrace-endpoints-"));

test("endpoints: no space -> refused by the file's name, nothing is left; with space -> written", () => {
  const path = scratch();
  symlinkSync("/dev/full", join(path, "endpoints.json.new"));
  assert.throws(() => writeEndpoints(path, { pid: 1 }), {
    code: "DISK_FULL",
    message: `no space to write ${join(path, "endpoints.json")}`,
  });
  assert.deepEqual(readdirSync(path), []);
  writeEndpoints(path, { pid: 1 });
  assert.equal(readFileSync(join(path, "endpoints.json"), "utf8"), '{"pid":1}\n');
  rmSync(path, { recursive: true });
});

test("data directory: it cannot be made -> refused by its name", async () => {
  const path = scratch();
  writeFileSync(join(path, "file"), "");
  const inside = join(path, "file", "data");
  await assert.rejects(ownDataDirectory(inside, systemRandom), (error: Error) =>
    error.message.startsWith(`${inside}: `),
  );
  rmSync(path, { recursive: true });
});
