import assert from "node:assert/strict";
import { test } from "node:test";
import { utf8 } from "@millrace/base";
import { seededRandom } from "@millrace/base/testkit";
import { fnv1a32, recordMapping } from "./record-mapping.ts";

const JOURNALS = ["p/000", "p/001", "p/002", "p/003"];
const random = seededRandom("mapping");

test("FNV-1a: vectors of its authors", () => {
  assert.equal(fnv1a32(utf8("")), 0x811c9dc5);
  assert.equal(fnv1a32(utf8("a")), 0xe40c292c);
  assert.equal(fnv1a32(utf8("foobar")), 0xbf9cf968);
});

test("mapping: modulo, rendezvous -> the same key in the same journal; one journal less moves only its keys", () => {
  const keys = Array.from({ length: 1000 }, (_, i) => utf8(`key-${i}`));
  const modulo = recordMapping("modulo", JOURNALS, random);
  assert.equal(modulo(utf8("foobar")), JOURNALS[0xbf9cf968 % 4]);
  const [all, fewer] = [JOURNALS, JOURNALS.slice(0, 3)].map((each) =>
    recordMapping("rendezvous", each, random),
  );
  for (const key of keys) {
    const before = all!(key);
    assert.equal(all!(key), before);
    if (before !== "p/003") assert.equal(fewer!(key), before);
  }
  assert.equal(new Set(keys.map((key) => all!(key))).size, 4);
});

test("mapping: direct -> the named journal, any of them; one that does not match is refused", () => {
  const direct = recordMapping("direct", JOURNALS, random);
  for (const name of JOURNALS) assert.equal(direct(utf8(name)), name);
  assert.throws(() => direct(utf8("p/004")), { code: "NOT_FOUND", message: /^journal "p\/004" is not one/ });
});

test("mapping: random -> every journal gets some", () => {
  const any = recordMapping("random", JOURNALS, random);
  assert.equal(new Set(Array.from({ length: 200 }, () => any(undefined))).size, 4);
});
