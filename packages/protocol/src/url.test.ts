import assert from "node:assert/strict";
import { test } from "node:test";
import { parseFragmentStore, validateFragmentStore } from "./fragment-store.ts";
import { parseUrl } from "./go-url.ts";
import { dialAddress, validateEndpoint } from "./process.ts";
import { refusal } from "./refusal-testkit.ts";

test("URLs: split as Go splits them", () => {
  const cases: readonly (readonly [
    url: string,
    scheme: string,
    host: string,
    path: string,
    query: string,
  ])[] = [
    ["http://host:1234/path?query", "http", "host:1234", "/path", "query"],
    ["s3://bucket/sub/../path/?a=b#frag", "s3", "bucket", "/sub/../path/", "a=b"],
    ["file:///mnt/path/", "file", "", "/mnt/path/", ""],
    ["file:/mnt", "file", "", "/mnt", ""],
    ["S3://Bucket", "s3", "Bucket", "", ""],
    ["mailto:someone", "mailto", "", "", ""],
    ["/a%20b/c", "", "", "/a b/c", ""],
    ["a/b:c", "", "", "a/b:c", ""],
    ["http://user:pw@[::1]:80/", "http", "[::1]:80", "/", ""],
    ["s3://a:1:2/%C3%A9/#frag\n", "s3", "a:1:2", "/é/", ""],
    ["", "", "", "", ""],
  ];
  for (const [url, scheme, host, path, rawQuery] of cases) {
    assert.deepEqual(parseUrl(url), { scheme, host, path, rawQuery }, url);
  }
});

test("URLs: refusals read as Go's", () => {
  const cases: readonly (readonly [url: string, reason: string])[] = [
    [":/bad/url", "missing protocol scheme"],
    [":gar: :bage:", "missing protocol scheme"],
    ["a:b\n", "net/url: invalid control character in URL"],
    ["1a:b", "first path segment in URL cannot contain colon"],
    ["/a%zz", 'invalid URL escape "%zz"'],
    ["/a%4", 'invalid URL escape "%4"'],
    ["http://h:x/", 'invalid port ":x" after host'],
    ["http://[::1/", "missing ']' in host"],
    ["http://%zz@a/", 'invalid URL escape "%zz"'],
    ["http://a b@c/", "net/url: invalid userinfo"],
    ["http://a[::1]/", "invalid IP-literal"],
    ["http://[x]/", "invalid IP-literal"],
    ["http://a%20b/", 'invalid URL escape "%20"'],
    ["a#%zz", 'invalid URL escape "%zz"'],
    ["http://a b/", 'invalid character " " in host name'],
  ];
  for (const [url, reason] of cases)
    assert.ok(
      refusal(() => parseUrl(url)).endsWith(`: ${reason}`),
      refusal(() => parseUrl(url)),
    );
  assert.equal(
    refusal(() => parseUrl(":/bad/url")),
    'parse ":/bad/url": missing protocol scheme',
  );
});

test("stores: truth table", () => {
  const cases: readonly (readonly [store: string, text: string])[] = [
    ["s3://my-bucket/?query", ""],
    ["s3://my-bucket/subpath/?query", ""],
    ["azure://bucket/", ""],
    ["azure-ad://tenant/account/container/path/", ""],
    ["file:///mnt/path/?query", ""],
    ["s3://my-bucket", "path component doesn't end in '/' ()"],
    ["s3://my-bucket/subpath?query", "path component doesn't end in '/' (/subpath)"],
    ["file:///mnt/path", "path component doesn't end in '/' (/mnt/path)"],
    ["foobar://baz/", "invalid scheme (foobar)"],
    ["/baz/bing/", "not absolute (/baz/bing/)"],
    ["gs:///baz/bing/", "missing bucket (gs:///baz/bing/)"],
    ["file://host/mnt/path/", "file scheme cannot have host (file://host/mnt/path/)"],
    ["azure-ad:///account/container/", "missing tenant ID (azure-ad:///account/container/)"],
    ["azure-ad://tenant//", "missing storage account (azure-ad://tenant//)"],
    ["azure-ad://tenant/account/", "missing storage container (azure-ad://tenant/account/)"],
    ["azure-ad://tenant", "missing storage account (azure-ad://tenant)"],
    [":garbage: :garbage:", 'parse ":garbage: :garbage:": missing protocol scheme'],
  ];
  for (const [store, text] of cases)
    assert.equal(
      refusal(() => validateFragmentStore(store)),
      text,
      store,
    );
  const { host, path, rawQuery } = parseFragmentStore("s3://bucket/sub/path/?query");
  assert.deepEqual([host, path, rawQuery], ["bucket", "/sub/path/", "query"]);
});

test("endpoints: truth table and dial addresses", () => {
  assert.equal(
    refusal(() => validateEndpoint("http://host:1234/path?query")),
    "",
  );
  assert.equal(
    refusal(() => validateEndpoint("/baz/bing")),
    "not absolute: /baz/bing",
  );
  assert.equal(
    refusal(() => validateEndpoint("http:///baz/bing")),
    "missing host: http:///baz/bing",
  );
  assert.equal(
    refusal(() => validateEndpoint(":garbage: :garbage:")),
    'parse ":garbage: :garbage:": missing protocol scheme',
  );
  const addresses = {
    "http://host:1234/path?query": "host:1234",
    "http://host/path": "host:80",
    "https://host/path": "host:443",
    "https://[::1]": "[::1]:443",
    "grpc://host": "host",
    "unix://some-host/a/path": "unix:///a/path",
  };
  for (const [endpoint, address] of Object.entries(addresses)) assert.equal(dialAddress(endpoint), address);
});
