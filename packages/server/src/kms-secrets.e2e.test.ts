// Secrets at rest under a key management service, on real platforms: one process over its lives, moves from a key file
// and back, and all components of an installation that start at the same moment on one etcd.
import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { never } from "@millrace/base";
import { keyOf } from "@millrace/metadata";
import { etcdClient } from "./test-cluster.ts";
import { ask, post } from "./test-http.ts";
import { KMS_ENVIRONMENT, KMS_REGION, refused, TestKms } from "./test-kms-server.ts";
import { scratch, TestPlatform, until } from "./test-platform.ts";
import { clusterOfFile } from "./test-stream-cluster.ts";
import { atDoor, createStream, pathColumn, waitForRows } from "./test-streams.ts";

const openCluster = clusterOfFile();

function flagsOf(kms: TestKms, ...keys: readonly string[]): readonly string[] {
  const place = ["--encryption.kms-endpoint", kms.url, "--encryption.kms-region", KMS_REGION];
  return ["--encryption.provider", "aws-kms", "--encryption.kms-key", keys.join(","), ...place];
}

async function started(data: string, flags: readonly string[]): Promise<TestPlatform> {
  const platform = TestPlatform.launch(data, flags, undefined, KMS_ENVIRONMENT);
  await platform.ready();
  return platform;
}

/** @returns what a start that must fail says */
async function refusal(data: string, flags: readonly string[]): Promise<string> {
  const platform = TestPlatform.launch(data, flags, undefined, KMS_ENVIRONMENT);
  const exit = await platform.ended(60_000);
  assert.ok(exit.code !== null && exit.code > 0, platform.stderr);
  return platform.stderr;
}

function filesWith(directory: string, text: string): string[] {
  const entries = readdirSync(directory, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return files.filter((file) => readFileSync(file).includes(text));
}

test("secrets: a KMS -> sealed on disk, opened by the next life; away -> what runs goes on, no start", async () => {
  const kms = await TestKms.start();
  const arn = kms.addKey("one", "millrace");
  const data = scratch();
  const flags = flagsOf(kms, "alias/millrace");
  let platform = await started(data, flags);
  const url = await createStream(platform.endpoints, "sealed", [pathColumn("n")]);
  const secret = url.slice(url.lastIndexOf("/") + 1);
  assert.equal((await post(url, { n: 1 })).status, 200);
  kms.refusals.set("one", refused("KMSInternalException", 500));
  const second = await createStream(platform.endpoints, "more", [pathColumn("n")]);
  assert.equal((await post(second, { n: 1 })).status, 200);
  await platform.stop();
  assert.deepEqual(filesWith(data, secret), []);

  const away = await refusal(data, flags);
  assert.match(away, new RegExp(`data key [0-9a-f]{16}, wrapped by ${arn}: 500 KMSInternalException`));
  kms.refusals.set("one", refused("DisabledException"));
  assert.match(
    await refusal(data, flags),
    /no data key from aws-kms key alias\/millrace: 400 Disabled.*enable the key/,
  );
  kms.refusals.clear();

  platform = await started(data, flags);
  assert.equal((await post(atDoor(platform.endpoints, url), { n: 2 })).status, 200);
  await waitForRows(platform.endpoints, "main.sealed", 2);
  await platform.stop();
  const made = kms.asked.filter(({ operation }) => operation === "GenerateDataKey");
  assert.equal(made.length, 2, "the first, and the one that was refused");
});

test("secrets: from a key file to a KMS and back -> sources stay known; without one of them -> no start", async () => {
  const kms = await TestKms.start();
  kms.addKey("one");
  const data = scratch();
  const file = join(scratch(), "keys");
  writeFileSync(file, `${Buffer.from("1".repeat(32)).toString("base64")}\n`, { mode: 0o600 });
  const ofFile = ["--encryption.key-file", file];
  const [provider, , ...ofKms] = flagsOf(kms, "one");
  const urls: string[] = [];
  const steps: [name: string, flags: readonly string[]][] = [
    ["file", [provider!, "aes", ...ofFile]],
    ["both", [provider!, "aes", ...ofFile, ...ofKms]],
    ["service", [...flagsOf(kms, "one"), ...ofFile]],
    ["back", [provider!, "aes", ...ofFile, ...ofKms]],
  ];
  for (const [name, flags] of steps) {
    const platform = await started(data, flags);
    urls.push(await createStream(platform.endpoints, name, [pathColumn("n")]));
    for (const url of urls) assert.equal((await post(atDoor(platform.endpoints, url), { n: 1 })).status, 200);
    await platform.stop();
  }
  const withoutKms = await refusal(data, [provider!, "aes", ...ofFile]);
  assert.match(withoutKms, /source\/1\/1\/service is sealed with key [0-9a-f]{16}, which neither/);
  const withoutFile = await refusal(data, flagsOf(kms, "one"));
  assert.match(
    withoutFile,
    /source\/1\/1\/(?:file|both|back) is sealed with key [0-9a-f]{16}, which neither/,
  );
});

test("secrets: all components start at once with a KMS -> one wrapped key; another key -> two, all open", async () => {
  const kms = await TestKms.start();
  const [one, two] = [kms.addKey("one"), kms.addKey("two")];
  const counts = { "http-source": 2 };
  const cluster = await openCluster({ counts, flags: flagsOf(kms, one), environment: KMS_ENVIRONMENT });
  await cluster.told(async () => {
    const store = await etcdClient(cluster.etcd);
    const wrappedBy = async (): Promise<string[]> => {
      const [kv] = (await store.range({ key: keyOf("/millrace/pipeline/data-keys") }, never)).kvs;
      return (JSON.parse(Buffer.from(kv!.value).toString()) as { keys: { by: string }[] }).keys.map(
        ({ by }) => by,
      );
    };
    assert.deepEqual(await wrappedBy(), [one]);
    const url = await createStream(cluster.endpoints(), "together", [pathColumn("n")]);
    for (const i of [0, 1]) {
      const door = atDoor(cluster.endpoints(i), url);
      await until("the door knows it", 10_000, async () => (await post(door, { n: i })).status === 200);
    }
    await waitForRows(cluster.endpoints(), "main.together", 2);

    const [api] = cluster.all("api");
    await api!.stop();
    const flags = [
      ...["--etcd.address", cluster.etcd.address, "--api.listen", "127.0.0.1:0"],
      ...["--http-source.public-url", cluster.endpoints()["http-source"]],
    ];
    const stranger = TestPlatform.launch(scratch(), flags, ["serve", "api"], KMS_ENVIRONMENT);
    assert.notEqual((await stranger.ended(60_000)).code, 0);
    assert.match(stranger.stderr, /are sealed with key [0-9a-f]{16}, which this process does not have/);
    // A warehouse opens no secrets: what it is refused for without any key is its directory.
    const tables = ["--etcd.address", cluster.etcd.address, "--broker.file-root", scratch()];
    const other = TestPlatform.launch(
      scratch(),
      [...tables, "--work.listen", "127.0.0.1:0"],
      ["serve", "warehouse"],
    );
    assert.notEqual((await other.ended(60_000)).code, 0);
    assert.match(other.stderr, /the tables of this etcd are in the warehouse of the data directory/);
    const changed = TestPlatform.launch(
      api!.data,
      [...flags, ...flagsOf(kms, two, one)],
      ["serve", "api"],
      KMS_ENVIRONMENT,
    );
    await changed.ready();
    assert.deepEqual(await wrappedBy(), [one, two]);
    const source = await ask(`${changed.endpoints.api}/v1/branches/default/sources/together`);
    assert.equal(source.status, 200, source.text);
    assert.ok(source.text.includes(url.slice(url.lastIndexOf("/") + 1)));
    await changed.stop();
  });
});
