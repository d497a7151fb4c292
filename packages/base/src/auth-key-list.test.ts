import assert from "node:assert/strict";
import { test } from "node:test";
import { parseAuthKeys } from "./auth-key-list.ts";

test("auth keys: commas and white space between them -> in order; AA== is none of them", () => {
  assert.deepEqual(parseAuthKeys(" c2VjcmV0,\n AA== b3RoZXI=,"), {
    keys: ["c2VjcmV0", "b3RoZXI="],
    allowsMissing: true,
  });
  assert.equal(parseAuthKeys("c2VjcmV0").allowsMissing, false);
});

for (const [text, message] of [
  ["", "at least one key must be provided"],
  ["AA==", "at least one key must be provided"],
  ["c2VjcmV0 c2Vj*", "failed to decode key at index 1: illegal base64 data"],
  ["c2VjcmV", "failed to decode key at index 0: illegal base64 data"],
] as const) {
  test(`auth keys: ${JSON.stringify(text)} -> refused without showing it`, () => {
    assert.throws(() => parseAuthKeys(text), { code: "INVALID_ARGUMENT", message });
  });
}
