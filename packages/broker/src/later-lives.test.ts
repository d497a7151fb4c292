import assert from "node:assert/strict";
import { test } from "node:test";
import type { HoldersList } from "./holders-list.ts";
import { isLater, relistedLater, type FoundHolder } from "./later-lives.ts";

const HELD: HoldersList = {
  segments: [
    { epoch: 5, begin: 0, members: ["a", "c"] },
    { epoch: 9, begin: 100, members: ["a", "b"] },
  ],
  tail: { kind: "held" },
};
const CLOSED: HoldersList = {
  segments: HELD.segments,
  tail: { kind: "closed", end: 200, registers: { labels: [] } },
};
const VOID: HoldersList = { segments: [], tail: { kind: "void", begin: 0 } };

test("a life is later than a list that has not seen its route", () => {
  const later = (list: HoldersList, self: string, epoch: number, loadedAt = 50): boolean =>
    isLater({ list, listRevision: 20 }, { self, epoch, loadedAt });
  assert.deepEqual(
    [later(HELD, "c", 9), later(HELD, "c", 10), later(HELD, "d", 10), later(HELD, "b", 10)],
    [false, true, true, false],
  );
  assert.deepEqual([later(CLOSED, "c", 20), later(CLOSED, "b", 21)], [false, true]);
  assert.equal(later(VOID, "d", 99), false);
  // T3
  assert.deepEqual([later(HELD, "d", 10, 9), later(HELD, "d", 10, 8)], [true, false]);
});

test("a list is written anew for those who have more than it promises, from where all of them have it", () => {
  const answer = (id: string, found: number, base: number, end: number): FoundHolder => ({
    id,
    found,
    held: { base, confirmed: 0, end },
  });
  const [older] = HELD.segments;
  const anew = { epoch: 60, loose: true, relisted: true };
  const held = { kind: "held" };
  const none = [answer("c", 9, 0, 300), answer("d", 0, 0, 300), answer("e", 10, 0, 100)];
  assert.equal(relistedLater(HELD, 60, none), undefined);
  assert.deepEqual(relistedLater(HELD, 60, [...none, answer("f", 10, 0, 300), answer("g", 12, 40, 250)]), {
    segments: [older, { ...anew, begin: 40, members: ["f", "g"] }],
    tail: held,
  });
  assert.deepEqual(relistedLater(HELD, 60, [answer("f", 10, 150, 300)]), {
    segments: [older, { ...anew, begin: 100, members: ["f"] }],
    tail: held,
  });
  assert.deepEqual(relistedLater(HELD, 60, [answer("f", 10, 0, 300)])!.segments, [
    { ...anew, begin: 0, members: ["f"] },
  ]);
  assert.equal(relistedLater(CLOSED, 60, [answer("f", 99, 0, 300)]), undefined);
});
