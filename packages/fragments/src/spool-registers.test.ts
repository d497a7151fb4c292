// Registers behind the bytes of a spool: changes, cuts, copies, bounds.
import assert from "node:assert/strict";
import { test } from "node:test";
import { EMPTY_LABELS, labelSet, type LabelSet } from "@millrace/protocol";
import { REGISTER_MARKS_MAX } from "./spool-limits.ts";
import { RegisterMarks } from "./spool-registers.ts";

const by = (name: string): LabelSet => labelSet(["by", name]);
const fresh = (from = 0): RegisterMarks =>
  new RegisterMarks([{ from, registers: EMPTY_LABELS, isKnown: true }]);

test("marks: a change counts from the end of its append on; cut within it -> those before", () => {
  const marks = fresh();
  marks.set(10, by("a"));
  marks.set(20, by("b"));
  const at = [0, 9, 10, 19, 20, 99].map((offset) => marks.at(offset));
  assert.deepEqual(at, [EMPTY_LABELS, EMPTY_LABELS, by("a"), by("a"), by("b"), by("b")]);
  marks.cut(19);
  assert.deepEqual([marks.newest, marks.at(19), marks.knownUpTo(19)], [by("a"), by("a"), 19]);
});

test("marks: what is copied is unknown until it is told; before it is known; told at its end -> known there", () => {
  const marks = fresh();
  marks.set(10, by("a"));
  marks.doubt(13);
  marks.doubt(17);
  assert.deepEqual(
    [marks.at(12), marks.at(13), marks.at(30), marks.newest],
    [by("a"), undefined, undefined, by("a")],
  );
  assert.equal(marks.knownUpTo(30), 12);
  const other = new RegisterMarks(marks.all);
  other.cut(15);
  assert.deepEqual([other.at(15), other.knownUpTo(15)], [undefined, 12]);
  other.cut(12);
  assert.deepEqual([other.at(12), other.knownUpTo(12)], [by("a"), 12]);
  marks.set(30, by("b"));
  assert.deepEqual([marks.at(29), marks.at(30), marks.knownUpTo(30)], [undefined, by("b"), 30]);
});

test("marks: cut below all of them -> unknown, the last ones are shown; given -> known", () => {
  const marks = fresh(10);
  marks.set(20, by("a"));
  marks.cut(5);
  assert.deepEqual([marks.at(5), marks.knownUpTo(5), marks.newest], [undefined, undefined, by("a")]);
  marks.set(5, by("b"));
  assert.deepEqual([marks.at(5), marks.knownUpTo(5), marks.all.length], [by("b"), 5, 1]);
});

test("marks: what is shown is not cut -> forgotten below the last change; more than are kept -> the oldest go", () => {
  const marks = fresh();
  for (let i = 1; i <= REGISTER_MARKS_MAX + 3; i++) marks.set(i * 10, by(String(i)));
  assert.equal(marks.all.length, REGISTER_MARKS_MAX);
  assert.deepEqual([marks.at(39), marks.at(40)], [undefined, by("4")]);
  marks.forget(55);
  assert.deepEqual([marks.at(49), marks.at(50), marks.at(59)], [undefined, by("5"), by("5")]);
});
