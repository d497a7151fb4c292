import assert from "node:assert/strict";
import { test } from "node:test";

import fc from "fast-check";

import { diffJson, diffLines, withContext } from "./json-diff.ts";

const shown = (before: unknown, after: unknown): string[] =>
  diffJson(before, after).map(({ kind, text }) => `${{ same: " ", removed: "-", added: "+" }[kind]}${text}`);

test("diff: a member that changed -> its line left and came, the others stay", () => {
  assert.deepEqual(shown({ a: 1, b: 2, c: 3 }, { a: 1, b: 5, c: 3 }), [
    " {",
    '   "a": 1,',
    '-  "b": 2,',
    '+  "b": 5,',
    '   "c": 3',
    " }",
  ]);
});

test("diff: nothing before -> everything came", () => {
  assert.deepEqual(shown(undefined, []), ["+[]"]);
});

const lines = fc.array(fc.constantFrom("a", "b", "c", "d"), { maxLength: 30 });

test("diff, property: without what came it is the one side, without what left the other; equal sides say so", () => {
  fc.assert(
    fc.property(lines, lines, (before, after) => {
      const all = diffLines(before, after);
      const side = (without: string): string[] =>
        all.filter(({ kind }) => kind !== without).map(({ text }) => text);
      assert.deepEqual(side("added"), before);
      assert.deepEqual(side("removed"), after);
      const changed = all.filter(({ kind }) => kind !== "same").length;
      assert.equal(changed === 0, before.join() === after.join());
    }),
  );
});

test("diff: one line moved among many -> one left, one came", () => {
  const before = Array.from({ length: 40 }, (_, i) => `line ${i}`);
  const after = [...before.slice(1), before[0]!];
  assert.equal(diffLines(before, after).filter(({ kind }) => kind !== "same").length, 2);
});

test("diff: very long sides -> replaced, without a table", () => {
  const side = (name: string): string[] => Array.from({ length: 2000 }, (_, i) => `${name} ${i}`);
  assert.equal(diffLines(side("a"), side("b")).length, 4000);
});

test("context: lines far from a change are a gap", () => {
  const before = Array.from({ length: 21 }, (_, i) => `${i}`);
  const after = before.with(10, "x");
  const seen = withContext(diffLines(before, after), 2).map((one) => one?.text ?? "…");
  assert.deepEqual(seen, ["…", "8", "9", "10", "x", "11", "12", "…"]);
});
