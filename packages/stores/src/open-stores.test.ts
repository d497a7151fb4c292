import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { MetricsRegistry, never, systemClock, utf8, WireError } from "@millrace/base";
import { seededRandom } from "@millrace/base/testkit";
import { openStores } from "./open-stores.ts";
import { rewriteKey } from "./store-url.ts";

const stores = openStores({ root: "/nowhere", clock: systemClock, random: seededRandom("open") });

test("open: the same URL -> the same instance", () => {
  assert.equal(stores.open("file:///a/"), stores.open("file:///a/"));
  assert.notEqual(stores.open("file:///a/"), stores.open("file:///b/"));
});

test("open: for once -> an instance of its own, unless there is one", () => {
  const once = stores.open("file:///once/", "once");
  assert.notEqual(stores.open("file:///once/", "once"), once);
  const kept = stores.open("file:///once/");
  assert.equal(stores.open("file:///once/", "once"), kept);
});

test("open: any number for once -> none takes the place of one that is kept", () => {
  const few = openStores({ root: "/nowhere", clock: systemClock, random: seededRandom("few") });
  for (let i = 0; i < 10_001; i++) few.open(`file:///${i}/`, "once");
  assert.equal(few.open("file:///a/"), few.open("file:///a/"));
});

test("open: what is wrong with a URL is said", () => {
  const cases: [string, string][] = [
    ["s3:///prefix/", "missing bucket (s3:///prefix/)"],
    ["s3://bucket/prefix", "path component doesn't end in '/' (/prefix)"],
    ["s3://bucket/a//b/", "invalid object path (a//b): must be a clean path"],
    ["s3://bucket/?bucket=2", 'parsing store URL arguments: schema: invalid path "bucket"'],
    ["gs://bucket/?profile=x", 'parsing store URL arguments: schema: invalid path "profile"'],
    ["azure://container/?acl=x", 'parsing store URL arguments: schema: invalid path "acl"'],
    ["azure-ad://tenant/account/", "missing storage container (azure-ad://tenant/account/)"],
    ["azure-ad://tenant/account/container/?x=1", 'parsing store URL arguments: schema: invalid path "x"'],
    ["constructor://x/", "invalid scheme (constructor)"],
    ["fragments/", "not absolute (fragments/)"],
    ["file:///fragments", "path component doesn't end in '/' (/fragments)"],
    ["file:///a%zz/", 'parse "file:///a%zz/": invalid URL escape "%zz"'],
    ["file://host/a/", "file scheme cannot have host (file://host/a/)"],
    ["file:///a/../b/", "invalid object path (a/../b): leaves the store"],
    ["file:///a//b/", "invalid object path (a//b): must be a clean path"],
    ["file:///a/?what=1", 'parsing store URL arguments: schema: invalid path "what"'],
    [
      "file:///a/?x=1&find=2&y=3",
      'parsing store URL arguments: schema: invalid path "x" (and 1 other error)',
    ],
  ];
  for (const [url, message] of cases) {
    assert.throws(
      () => stores.open(url),
      (error) => {
        assert.ok(error instanceof WireError, String(error));
        assert.equal(error.code, "INVALID_ARGUMENT");
        assert.equal(error.message, message);
        return true;
      },
    );
  }
});

test("open: every kind, with the arguments that it has, in any case, before anything is there", () => {
  for (const url of [
    "s3://bucket/",
    "s3://bucket/a/?PROFILE=p&endpoint=http://127.0.0.1:1&acl=a&storageclass=s&sse=aws:kms&ssekmskeyid=k&Region=r",
    "gs://bucket/prefix/?FIND=a&replace=b",
    "azure://container/",
    "azure-ad://tenant/account/container/",
    "azure-ad://tenant/account/container/deep/prefix/?find=a",
  ]) {
    assert.equal(stores.open(url).url, url);
  }
});

test("open: credentials that the environment lacks -> FORBIDDEN at the first use, which says them", async () => {
  const cases: [string, RegExp][] = [
    ["azure://container/", /AZURE_ACCOUNT_NAME and AZURE_ACCOUNT_KEY must be set for azure:\/\/ URLs/],
    ["azure-ad://tenant/account/container/", /AZURE_CLIENT_ID and AZURE_CLIENT_SECRET must be set/],
  ];
  for (const [url, message] of cases) {
    await assert.rejects(
      () => stores.open(url).head("a", never),
      (error) => {
        assert.ok(error instanceof WireError, String(error));
        assert.equal(error.code, "FORBIDDEN");
        assert.match(error.message, message);
        return true;
      },
    );
  }
});

test("fileOnly: every URL is the root, whatever its bucket, prefix and arguments", async (t) => {
  const root = await mkdtemp(join(tmpdir(), "millrace-file-only-"));
  t.after(() => rm(root, { recursive: true }));
  const ports = { root, clock: systemClock, random: seededRandom("file-only"), fileOnly: true };
  const all = openStores(ports);
  for (const [index, url] of ["s3://b/deep/?nonsense=1", "gs://b/", "file:///other/"].entries()) {
    await all.open(url).put(`j/${index}`, once("1"), {}, never);
    assert.ok(existsSync(join(root, `j/${index}`)), url);
  }
});

test("metrics: operations by store and outcome, bytes put, objects listed", async (t) => {
  const root = await mkdtemp(join(tmpdir(), "millrace-metered-"));
  t.after(() => rm(root, { recursive: true }));
  const metrics = new MetricsRegistry();
  const clock = systemClock;
  const store = openStores({ root, clock, random: seededRandom("metered"), metrics }).open("file:///");
  await store.put("a", once("123"), { contentEncoding: "gzip" }, never);
  await assert.rejects(async () => {
    for await (const _ of store.get("b", {}, never)) break;
  });
  for await (const _ of store.list("", never));
  for await (const _ of store.get("a", {}, never)) break;
  const rendered = metrics.render();
  for (const line of [
    'gazette_store_operation_total{store="file:///",operation="put",status="success"} 1',
    'gazette_store_operation_total{store="file:///",operation="get",status="error"} 1',
    'gazette_store_operation_total{store="file:///",operation="get",status="success"} 1',
    'gazette_store_put_bytes_total{store="file:///",encoding="gzip"} 3',
    'gazette_store_list_items_count_count{store="file:///"} 1',
  ]) {
    assert.ok(rendered.includes(line), `${line} in\n${rendered}`);
  }
});

test("metrics: a store that is opened for once -> leaves no figures", async (t) => {
  const root = await mkdtemp(join(tmpdir(), "millrace-stores-"));
  t.after(() => rm(root, { recursive: true }));
  const metrics = new MetricsRegistry();
  const ports = { root, clock: systemClock, random: seededRandom("once"), metrics };
  const store = openStores(ports).open("file:///", "once");
  await store.put("a", once("123"), {}, never);
  assert.ok(!metrics.render().includes("file:///"));
});

async function* once(content: string): AsyncGenerator<Uint8Array> {
  yield await Promise.resolve(utf8(content));
}

test("rewriteKey: the first occurrence only; an empty find changes nothing", () => {
  assert.equal(rewriteKey("a/b/a/b", { find: "a/", replace: "x" }), "xb/a/b");
  assert.equal(rewriteKey("a/b", { find: "c", replace: "x" }), "a/b");
  assert.equal(rewriteKey("a/b", { find: "", replace: "x" }), "a/b");
});
