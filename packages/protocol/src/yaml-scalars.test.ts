// What Gazette's `gazctl journals apply --dry-run` has made of each text, and what is refused here on purpose.
import assert from "node:assert/strict";
import { test } from "node:test";
import { yamlBoolean, yamlInteger } from "./yaml-scalars.ts";

const INTEGERS: readonly (readonly [text: string, value: bigint | undefined])[] = [
  ["0", 0n],
  ["02000", 1024n],
  ["089000", 89_000n],
  ["3e3", 3000n],
  ["2E3", 2000n],
  [".5e5", 50_000n],
  ["2000.", 2000n],
  ["1_024", 1024n],
  ["2000_", 2000n],
  ["1__0_00_", 1000n],
  ["+7000", 7000n],
  ["-0x1", -1n],
  ["0x1000", 4096n],
  ["0b11000000000", 1536n],
  ["0o17000", 7680n],
  ["9223372036854775807", 9_223_372_036_854_775_807n],
  // gazctl makes 2000 of it.
  ["2000.5", undefined],
  ["1e400", undefined],
  ["", undefined],
  ["_", undefined],
  ["-", undefined],
  ["+-1", undefined],
  ["0x", undefined],
  ["1m", undefined],
  ["NaN", undefined],
  ["٣", undefined],
];

for (const [text, value] of INTEGERS) {
  test(`yaml: ${JSON.stringify(text)} as an integer -> ${value}`, () => {
    assert.equal(yamlInteger(text), value);
  });
}

test("yaml: words for true and false -> in lower case, capitalised, in upper case; nothing else", () => {
  const words = ["y", "Y", "yes", "Yes", "YES", "on", "On", "ON", "true", "True", "TRUE"];
  assert.deepEqual(words.map(yamlBoolean), Array(words.length).fill(true));
  const others = ["n", "N", "no", "No", "NO", "off", "Off", "OFF", "false", "False", "FALSE"];
  assert.deepEqual(others.map(yamlBoolean), Array(others.length).fill(false));
  for (const text of ["", "tRUE", "yEs", "1", "0", "t"]) assert.equal(yamlBoolean(text), undefined, text);
});
