// Secrets of sources at rest, on a real platform: sealed in everything that it writes, opened with any of its keys, and
// no start without them.
import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { post } from "./test-http.ts";
import { scratch, TestPlatform } from "./test-platform.ts";
import { atDoor, createStream, pathColumn, waitForRows } from "./test-streams.ts";

const [FIRST, SECOND] = ["1", "2"].map((digit) => Buffer.from(digit.repeat(32)).toString("base64"));

function filesWith(directory: string, text: string): string[] {
  const entries = readdirSync(directory, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return files.filter((file) => readFileSync(file).includes(text));
}

test("secrets: a key -> sealed on disk; another first -> both open; without its key -> no start", async () => {
  const data = scratch();
  const keys = join(scratch(), "keys");
  const flags = ["--encryption.provider", "aes", "--encryption.key-file", keys];
  writeFileSync(keys, `${FIRST}\n`);
  let platform = await TestPlatform.start(data, flags);
  const url = await createStream(platform.endpoints, "sealed", [pathColumn("n")]);
  const secret = url.slice(url.lastIndexOf("/") + 1);
  assert.equal(secret.length, 48);
  assert.equal((await post(url, { n: 1 })).status, 200);
  await platform.stop();
  assert.deepEqual(filesWith(data, secret), []);

  writeFileSync(keys, `${SECOND}\n`);
  assert.match(
    await TestPlatform.refused(data, flags),
    /source\/1\/1\/sealed is sealed with key [0-9a-f]{16}/,
  );
  const neither = /which neither encryption\.key-file has nor encryption\.kms-key unwraps/;
  assert.match(await TestPlatform.refused(data), neither);

  writeFileSync(keys, `${SECOND}\n${FIRST}\n`);
  platform = await TestPlatform.start(data, flags);
  assert.equal((await post(atDoor(platform.endpoints, url), { n: 2 })).status, 200);
  await waitForRows(platform.endpoints, "main.sealed", 2);
  await platform.stop();
  assert.deepEqual(filesWith(data, secret), []);
});
