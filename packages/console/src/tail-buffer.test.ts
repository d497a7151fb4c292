import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { TailBuffer, type TailLine } from "./tail-buffer.ts";

const shown = (buffer: TailBuffer): [number, string][] =>
  buffer.lines().map((line) => [line.offset, line.text]);
const byId = (lines: readonly TailLine[]): number[] => lines.map((line) => line.id);

test("tail: lines with the offset of their first byte", () => {
  const buffer = new TailBuffer();
  buffer.push(0, "ab\ncd\n\nef");
  assert.deepEqual(shown(buffer), [[0, "ab"], [3, "cd"], [6, ""], [7, "ef"]]); // prettier-ignore
  assert.equal(buffer.head, 9);
  buffer.push(9, "gh\n");
  assert.deepEqual(shown(buffer).at(-1), [7, "efgh"]);
  assert.deepEqual(byId(buffer.lines()), [0, 1, 2, 3], "the growing line keeps its id");
});

test("tail: offsets count bytes, not characters", () => {
  const buffer = new TailBuffer();
  buffer.push(0, "\u00e9\u20ac\n\u{1F600}x\ny");
  assert.deepEqual(
    shown(buffer).map(([offset]) => offset),
    [0, 6, 12],
  );
  assert.equal(buffer.head, 13);
});

test("tail: reading that begins in the middle of a line -> the line is marked", () => {
  const buffer = new TailBuffer();
  buffer.push(100, "iddle\nwhole\n");
  assert.deepEqual(
    buffer.lines().map((line) => [line.offset, line.text, line.partial]),
    [
      [100, "iddle", true],
      [106, "whole", false],
    ],
  );
});

test("tail: content that was read already is skipped, wherever it ends", () => {
  const buffer = new TailBuffer();
  buffer.push(0, "\u00e9a\nb\n");
  buffer.push(0, "\u00e9a\nb\n");
  buffer.push(2, "a\nb\nc\n");
  assert.deepEqual(shown(buffer), [[0, "\u00e9a"], [4, "b"], [6, "c"]]); // prettier-ignore
});

test("tail: a jump ends the open line and says how far it went", () => {
  const buffer = new TailBuffer();
  buffer.push(0, "a\nhalf");
  buffer.push(1000, "rest\nnext\n");
  assert.deepEqual(
    buffer.lines().map((line) => [line.kind, line.offset, line.text, line.partial]),
    [
      ["row", 0, "a", false],
      ["row", 2, "half", false],
      ["jump", 1000, "994", false],
      ["row", 1000, "rest", true],
      ["row", 1005, "next", false],
    ],
  );
});

test("tail: frames and their lengths are told from rows", () => {
  const buffer = new TailBuffer();
  const head = "MF1 0123456789abcdef 1 1 1763710000000 2 8 9ab3f01c";
  buffer.push(0, `${head}\n4,4\n"a"\n"b"\n12\n${head}\n12\n`);
  assert.deepEqual(
    buffer.lines().map((line) => line.kind),
    ["frame", "lengths", "row", "row", "row", "frame", "lengths"],
  );
});

test("tail: bounded in lines, and ids go on", () => {
  const buffer = new TailBuffer({ linesMax: 10, lineCharsMax: 100 });
  for (let i = 0; i < 1000; i += 1) buffer.push(i * 2, `${i % 10}\n`);
  assert.equal(buffer.lines().length, 10);
  assert.deepEqual(byId(buffer.lines()), [990, 991, 992, 993, 994, 995, 996, 997, 998, 999]);
  assert.equal(buffer.total, 1000);
});

test("tail: a long line is cut and says by how much; offsets behind it stay right", () => {
  const buffer = new TailBuffer({ linesMax: 10, lineCharsMax: 5 });
  buffer.push(0, "abc");
  buffer.push(3, "defgh");
  buffer.push(8, "ij\nk\n");
  assert.deepEqual(
    buffer.lines().map((line) => [line.offset, line.text, line.cut]),
    [
      [0, "abcde", 5],
      [11, "k", 0],
    ],
  );
});

test("tail: any split of any text -> the same lines", () => {
  const text = fc.string({
    unit: fc.constantFrom("a", "\n", "\u00e9", "\u20ac", "\u{1F600}"),
    maxLength: 60,
  });
  fc.assert(
    fc.property(text, fc.array(fc.nat(60), { maxLength: 6 }), (whole, cuts) => {
      const characters = Array.from(whole);
      const at = [
        0,
        ...cuts.map((cut) => cut % (characters.length + 1)).sort((a, b) => a - b),
        characters.length,
      ];
      const split = new TailBuffer();
      let offset = 0;
      for (const [i, to] of at.slice(1).entries()) {
        const piece = characters.slice(at[i], to).join("");
        if (piece === "") continue;
        split.push(offset, piece);
        offset += new TextEncoder().encode(piece).length;
      }
      const once = new TailBuffer();
      if (whole !== "") once.push(0, whole);
      assert.deepEqual(split.lines(), once.lines());
      assert.equal(split.head, once.head);
    }),
  );
});
