import assert from "node:assert/strict";
import { test } from "node:test";
import { hostPolicy, refuseHost } from "./host-guard.ts";

const loopback = hostPolicy("127.0.0.1", false);

const CASES: readonly [string, string | undefined, string | undefined, RegExp | undefined][] = [
  ["curl on loopback", "127.0.0.1:8080", undefined, undefined],
  ["localhost by name", "LocalHost:8080", undefined, undefined],
  ["IPv6 loopback", "[::1]:8080", undefined, undefined],
  ["rebound DNS name", "evil.example:8080", undefined, /Host "evil\.example:8080"/],
  ["no Host", undefined, undefined, /missing/],
  ["page of the same origin", "localhost:8088", "http://localhost:8088", undefined],
  ["page of another origin", "localhost:8088", "http://evil.example", /Origin/],
  ["page on another port", "localhost:8088", "http://localhost:3000", /Origin/],
  ["opaque origin", "localhost:8088", "null", /Origin/],
];

for (const [name, host, origin, refusal] of CASES) {
  test(`host guard: ${name} -> ${refusal === undefined ? "allowed" : "refused"}`, () => {
    const reason = refuseHost(host, origin, loopback);
    if (refusal === undefined) assert.equal(reason, undefined);
    else assert.match(reason ?? "", refusal);
  });
}

test("host guard: with authentication any host is allowed, a foreign origin is not", () => {
  const policy = hostPolicy("0.0.0.0", true);
  assert.equal(refuseHost("millrace.example", undefined, policy), undefined);
  assert.match(refuseHost("millrace.example", "http://evil.example", policy) ?? "", /Origin/);
});
