import assert from "node:assert/strict";
import { test } from "node:test";
import { refuseDiffering, type ComparedLife } from "./differing-lives.ts";

const life = (broker: string, found: number, content: string, base = 0): ComparedLife => ({
  id: broker,
  broker,
  found,
  held: { base, confirmed: 0, end: base + content.length },
  digest: ({ begin, end }) => Promise.resolve(content.slice(begin - base, end - base)),
});

test("lives of which each is the begin of the longest -> taken, whatever their epochs", async () => {
  await refuseDiffering("a/journal", []);
  await refuseDiffering("a/journal", [life("a", 7, "01234")]);
  await refuseDiffering("a/journal", [
    life("a", 66, "01234"),
    life("b", 37, "0123456789"),
    life("c", 40, "34567", 3),
    life("d", 41, "", 4),
    life("e", 42, "ab", 10),
  ]);
});

test("two that differ -> refused with both and where, also where they end at the same offset", async () => {
  const refused = (offset: number, one: string, two: string) => ({
    code: "CONFLICT",
    message:
      `brokers have different bytes of journal a/journal from offset ${offset} on: ${one} and ${two}; ` +
      "stop the one whose bytes were not acknowledged, wait until its lease has ended, and ask again",
  });
  const tail = life("tail", 27, "012xxxxxxx");
  await assert.rejects(
    refuseDiffering("a/journal", [life("b", 37, "01234"), tail, life("c", 66, "01234")]),
    refused(3, "tail (up to 10, of revision 27)", "b (up to 5, of revision 37)"),
  );
  await assert.rejects(
    refuseDiffering("a/journal", [tail, life("b", 37, "0123456789")]),
    refused(3, "tail (up to 10, of revision 27)", "b (up to 10, of revision 37)"),
  );
  await assert.rejects(
    refuseDiffering("a/journal", [life("c", 66, "x67", 5), life("b", 37, "01234567")]),
    refused(5, "c (up to 8, of revision 66)", "b (up to 8, of revision 37)"),
  );
});
