import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { text, utf8 } from "@millrace/base";
import { decodeMark, encodeMark, markKey, marksPrefix, type Mark } from "./fail-over-marks.ts";

const OUT: Mark = { kind: "out", member: "a#one-x", createRevision: 7 };
const REFUSED: Mark = { ...OUT, kind: "refused", reporter: "b#two-x" };

test("marks: what is written is read, under keys that no broker of another kind watches", () => {
  for (const mark of [OUT, REFUSED]) assert.deepEqual(decodeMark(encodeMark(mark)), mark);
  const written = '{"version":1,"kind":"refused","member":"a#one-x","createRevision":7,"reporter":"b#two-x"}';
  assert.equal(text(encodeMark(REFUSED)), written);
  assert.equal(markKey("/gazette/cluster", REFUSED), "!millrace/refused#/gazette/cluster#a#one-x#b#two-x");
  assert.equal(markKey("/gazette/cluster", OUT), "!millrace/refused#/gazette/cluster#a#one-x");
  assert.throws(() => marksPrefix("!millrace"), { code: "INVALID_ARGUMENT" });
});

test("marks: any other bytes -> an error that is returned, never thrown", () => {
  const near = fc.record(
    {
      version: fc.constantFrom(1, 2, "1", null),
      kind: fc.constantFrom("out", "refused", "other", 1),
      member: fc.constantFrom("a#one-x", "", 1, null, "x".repeat(2000)),
      createRevision: fc.constantFrom(7, -1, 0.5, "7", null),
      reporter: fc.constantFrom("b#two-x", "", 1),
    },
    { requiredKeys: [] },
  );
  const values = fc.oneof(
    near.map((plain) => utf8(JSON.stringify(plain))),
    fc.json().map((json) => utf8(json)),
    fc.uint8Array({ maxLength: 5000 }),
  );
  fc.assert(
    fc.property(values, (value) => {
      const mark = decodeMark(value);
      if (mark instanceof Error) return;
      assert.deepEqual(decodeMark(encodeMark(mark)), mark);
      assert.ok(mark.member.length > 0 && mark.createRevision >= 0);
      assert.equal(mark.reporter === undefined, mark.kind === "out");
    }),
  );
});
