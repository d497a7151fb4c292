import assert from "node:assert/strict";
import { test } from "node:test";
import { bearsToken, equalSecret } from "./bearer-token.ts";

const TOKEN = "0123456789abcdef";
for (const [name, header, expected] of [
  ["the token", `Bearer ${TOKEN}`, true],
  ["another case of the scheme", `bearer ${TOKEN}`, true],
  ["no header", undefined, false],
  ["a prefix of it", "Bearer 0123456789abcde", false],
  ["more than it", `Bearer ${TOKEN}0`, false],
  ["another scheme", `Basic ${TOKEN}`, false],
] as const) {
  test(`bearer token: ${name} -> ${expected ? "accepted" : "refused"}`, () => {
    assert.equal(bearsToken(header, TOKEN), expected);
  });
}

test("bearer token: none is needed -> everyone is accepted", () => {
  assert.ok(bearsToken(undefined, ""));
});

test("equal secret: empty against something -> unequal", () => {
  assert.equal(equalSecret("", "x"), false);
});
