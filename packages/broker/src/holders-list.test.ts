import assert from "node:assert/strict";
import { test } from "node:test";
import { labelSet } from "@millrace/protocol";
import {
  closed,
  dropPersisted,
  heldByOthers,
  isHeldWithout,
  names,
  newestSegment,
  segmentEnd,
  takenOver,
  validateHolders,
  listedAnew,
  voided,
  withSegment,
  type HoldersList,
  type Segment,
} from "./holders-list.ts";

const REGISTERS = labelSet(["author", "a"]);

/** `9@0 ab`: epoch 9, begin 0, members a and b. */
function segment(text: string): Segment {
  const [, epoch, begin, members] = /^(\d+)@(\d+) (\w*)$/.exec(text)!;
  return {
    epoch: Number(epoch),
    begin: Number(begin),
    members: members!.split("").filter((id) => id !== ""),
  };
}

const held = (...texts: string[]): HoldersList => ({ segments: texts.map(segment), tail: { kind: "held" } });
const closedAt = (end: number, ...texts: string[]): HoldersList => ({
  segments: texts.map(segment),
  tail: { kind: "closed", end, registers: REGISTERS },
});
const voidFrom = (begin: number, ...texts: string[]): HoldersList => ({
  segments: texts.map(segment),
  tail: { kind: "void", begin },
});

const SEGMENTS: readonly (readonly [string, HoldersList | undefined, string, HoldersList])[] = [
  ["no list", undefined, "5@0 ab", held("5@0 ab")],
  ["other members", held("5@0 ab"), "7@3 bc", held("5@0 ab", "7@3 bc")],
  ["other members, nothing between", held("5@0 ab"), "7@0 bc", held("7@0 bc")],
  ["the same members", held("5@0 ab"), "7@3 ba", { ...held("7@0 ba") }],
  ["closed behind its segments", closedAt(4, "5@0 ab"), "7@4 bc", held("5@0 ab", "7@4 bc")],
  ["closed, the same members", closedAt(4, "5@0 ab"), "7@4 ab", held("7@0 ab")],
  ["closed, all persisted", closedAt(4), "7@4 ab", held("7@4 ab")],
  ["void, the same members, with a gap", voidFrom(4, "5@0 ab"), "7@6 ab", held("5@0 ab", "7@6 ab")],
];
for (const [what, before, added, want] of SEGMENTS) {
  test(`list: ${what} -> the segment of a new route`, () => {
    assert.deepEqual(withSegment(before, segment(added)), want);
    assert.equal(validateHolders(want), undefined);
  });
}

test("list: what the store has -> dropped from the oldest on, never the segment that goes on", () => {
  const list = held("1@0 a", "2@3 b", "3@5 c");
  const left = [2, 3, 4, 5, 9].map((end) => dropPersisted(list, end).segments.length);
  assert.deepEqual(left, [3, 2, 2, 1, 1]);
  assert.equal(dropPersisted(list, 2), list);
  assert.deepEqual(dropPersisted(closedAt(7, "1@0 a", "2@3 b"), 7), closedAt(7));
});

test("list: segments that others hold -> the members of the one that goes on take over what they have", () => {
  const list = held("1@0 a", "2@3 ab", "3@5 bc");
  assert.deepEqual(heldByOthers(list), [
    { index: 1, range: { begin: 3, end: 5 }, members: ["a", "b"] },
    { index: 0, range: { begin: 0, end: 3 }, members: ["a"] },
  ]);
  const first = takenOver(list, 1, 3);
  assert.deepEqual(first, held("1@0 a", "2@3 bc", "3@5 bc"));
  assert.deepEqual(
    takenOver(first, 0, 0),
    held("2@0 bc", "3@5 bc"),
    "one of the same members, the newest apart",
  );
  assert.deepEqual(takenOver(list, 1, 4), held("1@0 a", "2@3 ab", "2@4 bc", "3@5 bc"), "[3, 4) stays");
  assert.equal(takenOver(list, 1, 5), list, "nothing is held");
  assert.deepEqual(heldByOthers(closedAt(7, "1@0 a", "2@3 b")), []);
  assert.deepEqual(heldByOthers(held("1@0 ab", "2@3 ", "3@5 ba")), [], "the same ones, and nobody");
  for (const at of [0, 1, 2, 3, 4]) {
    for (const [index, end] of [3, 5].entries())
      if (at < end) assert.equal(validateHolders(takenOver(list, index, at)), undefined);
  }
});

test("list: content that others hold, and a member need not -> below the end, of somebody, without that member", () => {
  const list = held("1@0 a", "2@3 ", "3@5 bc");
  const isHeld = (member: string, end: number): boolean => isHeldWithout(list, member, end);
  assert.deepEqual(
    [isHeld("a", 5), isHeld("a", 6), isHeld("b", 0), isHeld("b", 1), isHeld("b", 9)],
    [false, true, false, true, true],
  );
  assert.equal(isHeldWithout(held("2@3 ", "3@5 bc"), "b", 9), false, "what nobody has is nobody's");
  assert.equal(isHeldWithout(closedAt(7, "1@0 a"), "b", 9), true);
  assert.equal(isHeldWithout(closedAt(7), "b", 9), false);
});

test("list: closed and void -> what is known to be acknowledged stays listed", () => {
  assert.deepEqual(closed(held("1@0 a", "2@3 b"), 5, REGISTERS), closedAt(5, "1@0 a", "2@3 b"));
  assert.deepEqual(closed(held("1@0 a", "2@3 b"), 3, REGISTERS), closedAt(3, "1@0 a"));
  assert.deepEqual(voided(undefined, 7), voidFrom(0));
  assert.deepEqual(voided(held("1@0 a", "2@3 b"), 5), voidFrom(5, "1@0 a", "2@3 b"));
  assert.deepEqual(voided(held("1@0 a", "2@3 b"), 0), voidFrom(3, "1@0 a"));
  assert.deepEqual(voided(closedAt(4, "1@0 a"), 9), {
    ...voidFrom(4, "1@0 a"),
    tail: { kind: "void", begin: 4, registers: REGISTERS },
  });
  assert.deepEqual(voided(voidFrom(4, "1@0 a"), 9), voidFrom(4, "1@0 a"));
});

test("list: the first route after a void list -> names who has what below the largest end", () => {
  const presented = [
    { member: "a", end: 9, sure: [{ begin: 4, end: 8 }] },
    {
      member: "b",
      end: 6,
      sure: [
        { begin: 0, end: 2 },
        { begin: 5, end: 6 },
      ],
    },
    { member: "c", end: 0, sure: [] },
  ];
  const newest = segment("7@9 abc");
  assert.deepEqual(
    listedAnew(voidFrom(1, "5@0 c"), presented, newest),
    held("5@0 c", "7@1 b", "7@2 ", "7@4 a", "7@5 ab", "7@6 a", "7@9 abc"),
  );
  assert.deepEqual(listedAnew(voidFrom(9), presented, newest), held("7@9 abc"));
  assert.deepEqual(listedAnew(voidFrom(0), [], newest), held("7@0 ", "7@9 abc"));
});

test("list: whom it names, what goes on, and where segments end", () => {
  const list = held("1@0 a", "2@3 bc");
  assert.deepEqual(
    ["a", "b", "d"].map((id) => names(list, id)),
    [true, true, false],
  );
  assert.equal(names(undefined, "a"), false);
  assert.deepEqual([newestSegment(list), newestSegment(closedAt(4, "1@0 a"))], [list.segments[1], undefined]);
  assert.deepEqual([segmentEnd(list, 0), segmentEnd(list, 1)], [3, undefined]);
  assert.deepEqual([segmentEnd(closedAt(4, "1@0 a"), 0), segmentEnd(voidFrom(5, "1@0 a"), 0)], [4, 5]);
});

const MALFORMED: readonly (readonly [RegExp, HoldersList])[] = [
  [/the segment at 3 has no members/, held("1@0 a", "2@3 ")],
  [/names a member twice/, held("1@0 aa")],
  [/begin at 3, then at 3/, held("1@3 a", "2@3 b")],
  [/has epoch 1, after 2/, held("2@0 a", "1@3 b")],
  [/a held list has no segment/, held()],
  [/the tail at 3 begins before 4/, closedAt(3, "1@3 a")],
  [/the tail at 2 begins before 4/, voidFrom(2, "1@3 a")],
];
test("list: malformed -> said how", () => {
  for (const [want, list] of MALFORMED) assert.match(validateHolders(list) ?? "", want);
});
