import assert from "node:assert/strict";
import { test } from "node:test";
import { WireError, systemClock } from "@millrace/base";
import { seededRandom } from "@millrace/base/testkit";
import { openStores } from "./open-stores.ts";
import { rewriteKey } from "./store-url.ts";

const stores = openStores({ root: "/nowhere", clock: systemClock, random: seededRandom("open") });

test("open: the same URL -> the same instance", () => {
  assert.equal(stores.open("file:///a/"), stores.open("file:///a/"));
  assert.notEqual(stores.open("file:///a/"), stores.open("file:///b/"));
});

test("open: what is wrong with a URL is said", () => {
  const cases: [string, string][] = [
    ["s3://bucket/prefix/", "invalid scheme (s3); supported: file"],
    ["gs://bucket/", "invalid scheme (gs); supported: file"],
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

test("rewriteKey: the first occurrence only; an empty find changes nothing", () => {
  assert.equal(rewriteKey("a/b/a/b", { find: "a/", replace: "x" }), "xb/a/b");
  assert.equal(rewriteKey("a/b", { find: "c", replace: "x" }), "a/b");
  assert.equal(rewriteKey("a/b", { find: "", replace: "x" }), "a/b");
});
