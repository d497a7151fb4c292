// The judge sees what it should: each broken promise, by its name.
import assert from "node:assert/strict";
import { test } from "node:test";
import { concatBytes } from "@millrace/base";
import { seededRandom } from "@millrace/base/testkit";
import { checkRegisters, JournalJudge, type Append } from "./journal-judge.ts";

const random = seededRandom("judge");

/** A judge, and as many appends that have begun. */
function begun(count: number): { judge: JournalJudge; appends: Append[] } {
  const judge = new JournalJudge("j");
  return { judge, appends: Array.from({ length: count }, () => judge.begin(5, random)) };
}

test("judge: acknowledged and lost appends, each whole and once -> fine, however often they are seen", () => {
  const { judge, appends } = begun(3);
  const [one, two, three] = appends as [Append, Append, Append];
  judge.acknowledge(one, 0);
  judge.lose(two);
  const end = one.bytes.length + two.bytes.length;
  judge.acknowledge(three, end);
  const content = concatBytes([one.bytes, two.bytes, three.bytes]);
  judge.sawWhole("a reader", content, content.length);
  judge.saw("another", 3, content.subarray(3, 20));
  assert.deepEqual(
    judge.standing().map(({ number }) => number),
    [0, 1, 2],
  );
});

test("judge: acknowledged bytes are missing -> seen", () => {
  const { judge, appends } = begun(1);
  judge.acknowledge(appends[0]!, 0);
  assert.throws(
    () => judge.sawWhole("a reader", new Uint8Array(0), judge.acknowledgedEnd),
    /every later read/,
  );
});

test("judge: other bytes at an offset, in a reader, a replica or an answer -> seen", () => {
  const { judge, appends } = begun(2);
  judge.acknowledge(appends[0]!, 0);
  assert.throws(() => judge.saw("a disk", 0, appends[1]!.bytes), /no offset has two contents.*a disk/);
  const two = begun(2);
  two.judge.saw("a reader", 0, two.appends[0]!.bytes);
  assert.throws(() => two.judge.acknowledge(two.appends[1]!, 0), /no offset has two contents/);
});

test("judge: an append before one that was acknowledged before it began -> seen", () => {
  const judge = new JournalJudge("j");
  judge.acknowledge(judge.begin(5, random), 100);
  assert.throws(() => judge.acknowledge(judge.begin(5, random), 0), /behind what was acknowledged/);
});

test("judge: an append twice, in part, refused, or of nobody -> seen", () => {
  const twice = begun(1);
  const bytes = twice.appends[0]!.bytes;
  assert.throws(() => twice.judge.sawWhole("r", concatBytes([bytes, bytes]), 0), /stands once/);
  const part = begun(1);
  assert.throws(
    () => part.judge.sawWhole("r", part.appends[0]!.bytes.subarray(0, 6), 0),
    /whole or not at all/,
  );
  const refused = begun(1);
  refused.judge.refuse(refused.appends[0]!);
  assert.throws(() => refused.judge.sawWhole("r", refused.appends[0]!.bytes, 0), /refused is there/);
  assert.throws(() => begun(0).judge.sawWhole("r", Uint8Array.of(1, 2, 3), 0), /nobody appended/);
});

test("registers: a writer that was fenced off stands -> seen; refused for no reason -> seen", () => {
  const judge = new JournalJudge("j");
  const at = (append: Append): void => judge.acknowledge(append, judge.acknowledgedEnd);
  at(judge.begin(5, random, { expected: "", next: "a" }));
  at(judge.begin(5, random, { expected: "a", next: undefined }));
  at(judge.begin(5, random, { expected: "a", next: "b" }));
  judge.refuse(judge.begin(5, random, { expected: "a", next: undefined }), true);
  checkRegisters(judge);
  judge.refuse(judge.begin(5, random, { expected: "b", next: undefined }), true);
  at(judge.begin(5, random, { expected: "b", next: undefined }));
  assert.throws(() => checkRegisters(judge), /refused only where its register was another/);
  const fenced = new JournalJudge("j");
  fenced.acknowledge(fenced.begin(5, random, { expected: "", next: "a" }), 0);
  fenced.acknowledge(fenced.begin(5, random, { expected: "b", next: undefined }), fenced.acknowledgedEnd);
  assert.throws(() => checkRegisters(fenced), /only where its register was as it expected/);
});
