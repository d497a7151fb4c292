// Names of journals by their bytes.
import assert from "node:assert/strict";
import { test } from "node:test";
import { utf8 } from "@millrace/base";
import { PlainPreambles } from "./plain-preambles.ts";

const read = (preambles: PlainPreambles, name: string): string =>
  preambles.read(utf8(`xx${name}`), 2).journal;

test("plain preambles: the same name again -> the same object", () => {
  const preambles = new PlainPreambles();
  const first = preambles.read(utf8("..a/journal"), 2);
  assert.equal(preambles.read(utf8("a/journal"), 0), first);
  assert.equal(first.journal, "a/journal");
});

test("plain preambles: more names than there are slots, in any order -> each is read as it is", () => {
  const preambles = new PlainPreambles();
  for (let round = 0; round < 3; round++)
    for (let i = 0; i < 5000; i++) assert.equal(read(preambles, `a/journal-${i}`), `a/journal-${i}`);
});

test("plain preambles: a name that is none, or no UTF-8 -> refused each time", () => {
  const preambles = new PlainPreambles();
  for (let round = 0; round < 2; round++) {
    assert.throws(() => read(preambles, "a"), /invalid length/);
    assert.throws(() => read(preambles, "a/b c"), /not a valid token/);
    assert.throws(() => preambles.read(Uint8Array.of(0x61, 0x2f, 0xff, 0xfe, 0x61), 0), TypeError);
  }
});
