import assert from "node:assert/strict";
import { test } from "node:test";
import { announcedUrl } from "./announced-url.ts";

for (const [host, url] of [
  ["127.0.0.1", "http://127.0.0.1:81"],
  ["0.0.0.0", "http://node-7:81"],
  ["[::]", "http://node-7:81"],
  ["::1", "http://[::1]:81"],
  ["w.example.com", "http://w.example.com:81"],
] as const) {
  test(`announced URL of ${host}: ${url}`, () =>
    assert.equal(announcedUrl({ host, port: 81 }, "node-7"), url));
}
