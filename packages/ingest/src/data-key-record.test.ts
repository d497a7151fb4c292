import assert from "node:assert/strict";
import { test } from "node:test";
import { text, utf8 } from "@millrace/base";
import { decodeDataKeys, encodeDataKeys, type DataKeyRecord } from "./data-key-record.ts";

/** Committed: what a store has of this version is read for ever. */
const GOLDEN =
  '{"v":1,"installation":"00112233445566778899aabbccddeeff","keys":[{"id":"72cd6e8422c407fb","provider":"aws-kms",' +
  '"by":"arn:aws:kms:eu-west-1:111122223333:key/1","wrapped":"AQID","at":"2026-11-22T22:00:00.000Z"}]}';

const RECORD: DataKeyRecord = {
  installation: "00112233445566778899aabbccddeeff",
  keys: [
    {
      id: "72cd6e8422c407fb",
      provider: "aws-kms",
      by: "arn:aws:kms:eu-west-1:111122223333:key/1",
      wrapped: Buffer.from([1, 2, 3]),
      madeAtMs: Date.UTC(2026, 10, 22, 22),
    },
  ],
};

test("data keys: committed bytes -> the record, and back", () => {
  assert.deepEqual(decodeDataKeys(utf8(GOLDEN)), RECORD);
  assert.equal(text(encodeDataKeys(RECORD)), GOLDEN);
});

const key = JSON.parse(GOLDEN) as { keys: [Record<string, unknown>] };
const withKey = (change: Record<string, unknown>): string =>
  JSON.stringify({ ...key, keys: [{ ...key.keys[0], ...change }] });
const wrong: [what: string, json: string, problem: RegExp][] = [
  ["no JSON", "{", /not JSON/],
  ["a newer version", GOLDEN.replace('"v":1', '"v":2'), /version 2 is newer/],
  ["no keys", JSON.stringify({ ...key, keys: [] }), /0 keys \(expected 1 to 100\)/],
  ["too many", JSON.stringify({ ...key, keys: Array(101).fill(key.keys[0]) }), /101 keys/],
  ["a key without an id", withKey({ id: 7 }), /keys\[0\]: field id: expected a text, got 7/],
  ["bytes that are no base64", withKey({ wrapped: "a b" }), /keys\[0\]: wrapped is not base64/],
  [
    "too many bytes",
    withKey({ wrapped: "A".repeat(8196) }),
    /wrapped has 8196 characters \(expected at most 8192\)/,
  ],
  ["no time", withKey({ at: "yesterday" }), /field at: expected a time/],
];
for (const [what, json, message] of wrong)
  test(`data keys: ${what} -> CORRUPT with the field`, () => {
    assert.throws(() => decodeDataKeys(utf8(json)), { code: "CORRUPT", message });
  });
