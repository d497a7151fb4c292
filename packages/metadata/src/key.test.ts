import { deepEqual, equal } from "node:assert/strict";
import { test } from "node:test";
import { compareBytes, utf8 } from "@millrace/base";
import fc from "fast-check";
import { bytesOfKey, EVERYTHING, inRange, keyOf, keyOfBytes, prefixEnd, prefixRange, textOf } from "./key.ts";

test("keys: text of any kind -> its UTF-8 bytes, and back", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), (plain) => {
      const key = keyOf(plain);
      deepEqual(bytesOfKey(key), utf8(plain));
      equal(textOf(key), plain);
    }),
  );
  equal(keyOf("plain/key"), "plain/key");
  equal(keyOf("é"), "\xc3\xa9");
});

test("keys: order of strings -> order of bytes", () => {
  fc.assert(
    fc.property(fc.uint8Array(), fc.uint8Array(), (a, b) => {
      const [left, right] = [keyOfBytes(a), keyOfBytes(b)];
      equal(left < right ? -1 : left > right ? 1 : 0, Math.sign(compareBytes(a, b)));
    }),
  );
});

test("keys: longer than one chunk -> the same bytes", () => {
  const bytes = Uint8Array.from({ length: 10_000 }, (_, i) => i & 0xff);
  deepEqual(bytesOfKey(keyOfBytes(bytes)), bytes);
});

test("prefixEnd: as etcd's", () => {
  equal(prefixEnd("a/"), "a0");
  equal(prefixEnd("a\xff"), "b");
  equal(prefixEnd("\xff\xff"), EVERYTHING);
  equal(prefixEnd(""), EVERYTHING);
  deepEqual(prefixRange(""), { key: EVERYTHING, end: EVERYTHING });
});

test("inRange: a prefix's range -> exactly what starts with it", () => {
  const key = fc.uint8Array({ minLength: 1, maxLength: 4, max: 255 }).map(keyOfBytes);
  const sharp = fc.constantFrom("\xff", "a\xff", "a", "b", "\x00", "a\x00");
  fc.assert(
    fc.property(fc.oneof(key, sharp), fc.oneof(key, sharp), (prefix, key) => {
      equal(inRange(key, prefixRange(prefix)), key.startsWith(prefix));
      equal(inRange(prefix + key, prefixRange(prefix)), true);
    }),
  );
  equal(inRange("a", { key: "a" }), true);
  equal(inRange("ab", { key: "a" }), false);
});
