import assert from "node:assert/strict";
import { test } from "node:test";
import { compareBytes, hex, hex16, strictText, text, unhex, utf8 } from "./bytes.ts";

test("bytes: text keeps a leading byte order mark, since bytes must survive the way there and back", () => {
  const bytes = Uint8Array.of(0xef, 0xbb, 0xbf, 0x61);
  assert.deepEqual(utf8(text(bytes)), bytes);
  assert.deepEqual(utf8(strictText(bytes) ?? ""), bytes);
});

test("bytes: malformed UTF-8 -> U+FFFD, or undefined when asked strictly", () => {
  assert.equal(text(Uint8Array.of(0x61, 0xff)), "a\ufffd");
  assert.equal(strictText(Uint8Array.of(0x61, 0xff)), undefined);
});

test("bytes: hex there and back; odd or foreign digits -> undefined", () => {
  assert.equal(hex(Uint8Array.of(0, 15, 255)), "000fff");
  assert.deepEqual(unhex("000fff"), Uint8Array.of(0, 15, 255));
  assert.deepEqual([unhex("0"), unhex("0g")], [undefined, undefined]);
  assert.equal(hex16(2 ** 53 - 1), "001fffffffffffff");
});

test("bytes: order is lexicographic, a prefix first", () => {
  assert.ok(compareBytes(utf8("a"), utf8("ab")) < 0);
  assert.ok(compareBytes(utf8("b"), utf8("ab")) > 0);
  assert.equal(compareBytes(utf8("ab"), utf8("ab")), 0);
});
