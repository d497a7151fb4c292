// The model of the holders rules (D10 to D12, D14, D17): every state of a small one, walks through a large one, and
// each rule left out in turn, which must be found.
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { seededRandom } from "@millrace/base/testkit";
import { LARGE, MIXED, TINY } from "./holders-bounds.ts";
import { VARIANTS, type Variant } from "./holders-rules.ts";
import { replay, searchAll, searchWalks } from "./holders-search.ts";

const WALKS = 400;
const STATES_MAX = 400_000;

test("holders model: every state of a small one -> no promise is broken", () => {
  const { finding, isWhole, states, acknowledged } = searchAll(TINY, undefined, STATES_MAX);
  assert.equal(finding, undefined);
  assert.ok(isWhole && states > 10_000 && acknowledged === TINY.tokens, `${states} states`);
});

test(`holders model: ${WALKS} walks -> no promise is broken, and none ends where nothing can be committed`, () => {
  const { finding, steps, acknowledged } = searchWalks(LARGE, undefined, seededRandom("walks"), WALKS);
  assert.equal(finding, undefined);
  assert.ok(
    steps > WALKS * 50 && acknowledged === LARGE.tokens,
    `${steps} steps, ${acknowledged} acknowledged`,
  );
});

test(`holders model: ${WALKS} walks with a broker that keeps no list -> no promise is broken`, () => {
  const { finding, steps, acknowledged } = searchWalks(MIXED, undefined, seededRandom("mixed"), WALKS);
  assert.equal(finding, undefined);
  assert.ok(
    steps > WALKS * 50 && acknowledged === MIXED.tokens,
    `${steps} steps, ${acknowledged} acknowledged`,
  );
});

/** Rules that only count where a broker keeps no list. */
const ON_MIXED: readonly Variant[] = [
  "void-ignored",
  "void-for-closed",
  "restarted-presents",
  "level-leftovers",
  "level-unjudged",
];

/** Runs that walks hardly find, or that ADR 8 tells: the shortest ones, as a search of every state prints them. */
const RUNS: Partial<Record<Variant, readonly string[]>> = {
  "no-assignments": [
    "route 02 primary 2",
    "0 begins an activation",
    "0 brings 0 to [0, 0)",
    "0 brings 1 to [0, 0)",
    "2 sees the route",
    "2 begins an activation",
    "0 writes the list",
    "0 appends 1 at 0",
    "1 takes it from 0",
    "0 acknowledges",
    "2 brings 0 to [0, 0)",
  ],
  "no-fence": [
    "0 begins an activation",
    "0 brings 0 to [0, 0)",
    "0 brings 1 to [0, 0)",
    "0 writes the list",
    "route 02 primary 2",
    "0 appends 1 at 0",
    "2 sees the route",
    "2 begins an activation",
    "2 fences 1",
    "1 takes it from 0",
    "0 acknowledges",
    "2 brings 0 to [0, 0)",
  ],
  "no-stream-order": [
    "0 begins an activation",
    "0 gives up, bring may come late",
    "0 begins an activation",
    "0 brings 0 to [0, 0)",
    "0 brings 1 to [0, 0)",
    "0 writes the list",
    "0 appends 1 at 0",
    "1 takes it from 0",
    "0 acknowledges",
    "the late bring reaches 1",
  ],
  "copied-unlisted": [
    "route 02 primary 2",
    "2 sees the route",
    "2 begins an activation",
    "2 brings 0 to [0, 0)",
    "2 brings 2 to [0, 0)",
    "2 writes the list",
    "2 appends 1 at 0",
    "route 0 primary 0",
    "0 sees the route",
    "0 begins an activation",
    "0 fences 0",
    "0 brings 0 to [0, 0)",
    "0 writes the list",
    "0 appends 2 at 0",
    "0 acknowledges",
    "route 01 primary 0",
    "0 sees the route",
    "0 begins an activation",
    "0 fences 0",
    "0 brings 0 to [1, 1)",
    "0 brings 1 to [1, 1)",
    "0 writes the list",
    "1 reads what to copy",
    "1 copies [0, 1) from 2",
    "1 persists",
  ],
  "cut-registers": [
    "route 012 primary 0",
    "0 sees the route",
    "0 begins an activation",
    "0 brings 0 to [0, 0)",
    "0 brings 1 to [0, 0)",
    "0 brings 2 to [0, 0)",
    "0 writes the list",
    "0 appends 1 at 0",
    "1 takes it from 0",
    "0 rolls back",
    "0 appends 2 at 0",
    "0 gives up, append may come late",
    "0 begins an activation",
    "0 fences 0",
    "0 brings 1 to [0, 1), which stands at 0",
    "1 crashes",
    "1 restarts",
    "0 begins an activation",
    "0 fences 1",
    "0 brings 0 to [0, 0)",
    "0 brings 1 to [0, 0)",
    "0 brings 2 to [0, 0)",
    "0 writes the list",
    "0 appends 3 at 0",
    "0 rolls back",
    "0 appends 4 at 0",
    "1 takes it from 0",
    "2 takes it from 0",
    "0 acknowledges",
  ],
  "judged-brought": [
    "0 begins an activation",
    "0 brings 0 to [0, 0)",
    "0 brings 1 to [0, 0)",
    "0 writes the list",
    "0 appends 1 at 0",
    "1 takes it from 0",
    "0 acknowledges",
    "route 12 primary 2",
    "2 sees the route",
    "2 begins an activation",
    "2 fences 1",
    "2 brings 1 to [0, 1)",
    "2 brings 2 to [0, 1), which stands at 0",
    "2 has what it was brought",
    "2 gives up, write may come late",
    "2 begins an activation",
    "2 fences 1",
    "2 brings 2 to [0, 1), which stands at 0",
    "the late write is applied",
  ],
  "changed-within": [
    "0 begins an activation",
    "0 brings 0 to [0, 0)",
    "0 brings 1 to [0, 0)",
    "0 writes the list",
    "0 appends 1 and 2 at 0",
    "1 takes it from 0",
    "0 rolls back the second",
    "0 acknowledges",
    "0 appends 3 at 1",
    "0 gives up, append may come late",
    "0 begins an activation",
    "0 fences 0",
    "0 brings 1 to [1, 2), which stands at 1",
    "1 crashes",
    "1 restarts",
    "0 begins an activation",
    "0 fences 1",
    "0 brings 0 to [0, 1)",
    "0 brings 1 to [0, 1)",
    "0 writes the list",
    "0 appends 4 at 1",
    "1 takes it from 0",
    "0 acknowledges",
  ],
  "closed-under-append": [
    "0 begins an activation",
    "0 brings 0 to [0, 0)",
    "0 brings 1 to [0, 0)",
    "0 writes the list",
    "0 appends 1 at 0",
    "1 takes it from 0",
    "route nobody's",
    "0 sees the route, its append goes on",
    "0 rests, and closes the list",
    "0 acknowledges",
  ],
  "level-leftovers": [
    "0 begins an activation",
    "0 brings 1 to [0, 0)",
    "0 brings 0 to [0, 0)",
    "0 writes the list",
    "0 appends 1 at 0",
    "route 12 primary 1",
    "1 sees the route",
    "1 marks the list void",
    "1 begins an activation",
    "1 asks 2",
    "1 asks 1",
    "1 brings 2 to [0, 0)",
    "1 brings 1 to [0, 0)",
    "1 appends 2 at 0",
    "route 01 primary 1",
    "1 sees the route",
    "1 begins an activation",
    "1 asks 0",
    "1 asks 1",
    "1 brings 1 to [1, 1)",
    "1 brings 0 to [1, 1)",
    "1 writes the list",
    "0 persists",
  ],
  "level-unjudged": [
    "0 begins an activation",
    "0 brings 1 to [0, 0)",
    "0 brings 0 to [0, 0)",
    "0 writes the list",
    "0 appends 1 at 0",
    "1 takes it from 0",
    "0 acknowledges",
    "route 02 primary 2",
    "0 sees the route",
    "0 marks the list void",
    "route 01 primary 1",
    "1 sees the route",
    "1 begins an activation",
    "1 asks 1",
    "1 asks 0",
    "1 brings 1 to [1, 1)",
  ],
  "fence-forgotten": [
    "route 1 primary 1",
    "0 begins an activation",
    "1 sees the route",
    "1 begins an activation",
    "1 brings 1 to [0, 0)",
    "1 writes the list",
    "route 01 primary 0",
    "1 appends 1 at 0",
    "1 acknowledges",
    "1 crashes",
    "1 restarts",
    "0 brings 1 to [0, 0)",
  ],
};

/** Broker 1 takes a proposal of two, is cut between them, and is read before it has what it was brought. */
const CUT_WITHIN: readonly string[] = [
  "0 begins an activation",
  "0 brings 0 to [0, 0)",
  "0 brings 1 to [0, 0)",
  "0 writes the list",
  "0 appends 1 at 0",
  "1 takes it from 0",
  "0 acknowledges",
  "0 appends 2 and 3 at 1",
  "1 takes it from 0",
  "0 rolls back the second",
  "0 acknowledges",
  "0 appends 4 and 5 at 2",
  "0 gives up, append may come late",
  "0 begins an activation",
  "0 fences 0",
  "0 brings 1 to [2, 4), which stands at 2",
  "1 crashes",
  "1 restarts",
  "0 begins an activation",
  "0 fences 1",
  "0 brings 0 to [0, 2)",
  "0 brings 1 to [0, 2)",
  "0 writes the list",
  "0 appends 6 at 2",
  "1 takes it from 0",
  "0 acknowledges",
];

/** Broker 2 is brought by an attempt and the next one, and the first one's list is written late. */
const LISTED_LATE: readonly string[] = [
  "0 begins an activation",
  "0 brings 0 to [0, 0)",
  "0 brings 1 to [0, 0)",
  "0 writes the list",
  "0 appends 1 at 0",
  "1 takes it from 0",
  "0 acknowledges",
  "route 12 primary 2",
  "2 sees the route",
  "2 begins an activation",
  "2 fences 1",
  "2 brings 1 to [0, 1)",
  "2 brings 2 to [0, 1), which stands at 0",
  "2 has what it was brought",
  "2 gives up, write may come late",
  "2 begins an activation",
  "2 fences 1",
  "2 brings 2 to [0, 1)",
  "the late write is applied",
  "2 crashes",
  "2 restarts",
  "2 begins an activation",
  "2 fences 2",
  "2 brings 1 to [0, 1)",
  "2 brings 2 to [0, 1)",
  "2 writes the list",
];

/** A primary that lags would begin to write on a route without lists, and the last change shares nobody with it. */
const LAGS: readonly (readonly [why: string, run: readonly string[]])[] = [
  [
    "is bringing",
    [
      "route 12 primary 1",
      "1 sees the route",
      "1 marks the list void",
      "1 begins an activation",
      "1 asks 1",
      "1 asks 2",
      "1 brings 2 to [0, 0)",
      "route 02 primary 2",
      "route 01 primary 1",
    ],
  ],
  ["has not begun", ["route 02 primary 0", "route 2 primary 2", "2 sees the route", "route 12 primary 1"]],
  [
    "has not begun behind a closed list",
    [
      "0 begins an activation",
      "0 brings 0 to [0, 0)",
      "0 brings 1 to [0, 0)",
      "0 writes the list",
      "0 appends 1 at 0",
      "1 takes it from 0",
      "0 acknowledges",
      "0 closes the list",
      "route 012 primary 0",
      "0 sees the route",
      "0 marks the list void",
      "route 02 primary 2",
      "2 sees the route",
      "2 synchronises",
      "route 2 primary 2",
      "2 appends 2 at 1",
      "2 sees the route",
      "route 12 primary 1",
      "route 01 primary 1",
    ],
  ],
];

for (const [why, run] of LAGS) {
  test(`holders model: a primary that lags ${why} -> its route is not left behind`, () => {
    assert.deepEqual(replay(run, MIXED, undefined), { why: undefined, played: run.length - 1 });
  });
}

/** Brokers 0 and 1 would have other bytes up to the same end, and nothing is replaced on a void list. */
const ROLLED_BACK: readonly string[] = [
  "0 begins an activation",
  "0 brings 0 to [0, 0)",
  "0 brings 1 to [0, 0)",
  "0 writes the list",
  "0 appends 1 at 0",
  "1 takes it from 0",
  "0 acknowledges",
  "0 appends 2 and 3 at 1",
  "1 takes it from 0",
  "0 rolls back the second",
  "0 acknowledges",
  "0 appends 4 at 2",
];

test("holders model: beside a broker that keeps no list, who rolled back activates the route before he appends", () => {
  const played = ROLLED_BACK.length - 1;
  assert.deepEqual(replay(ROLLED_BACK, MIXED, undefined), { why: undefined, played });
  assert.deepEqual(replay(ROLLED_BACK, LARGE, undefined), { why: undefined, played: played + 1 });
});

/** The late list would name broker 1 for what it has let go of since it restarted. */
const VOID_LATE: readonly string[] = [
  "0 begins an activation",
  "0 brings 0 to [0, 0)",
  "0 brings 1 to [0, 0)",
  "0 writes the list",
  "route 012 primary 0",
  "0 sees the route",
  "0 marks the list void",
  "0 begins an activation",
  "0 asks 0",
  "0 asks 1",
  "0 asks 2",
  "0 brings 0 to [0, 0)",
  "0 brings 1 to [0, 0)",
  "0 brings 2 to [0, 0)",
  "0 appends 1 at 0",
  "1 takes it from 0",
  "2 takes it from 0",
  "0 acknowledges",
  "route 01 primary 0",
  "0 sees the route",
  "0 begins an activation",
  "0 asks 0",
  "0 asks 1",
  "0 brings 0 to [1, 1)",
  "0 brings 1 to [1, 1)",
  "0 gives up, write may come late",
  "1 crashes",
  "1 restarts",
  "0 begins an activation",
  "0 asks 0",
  "0 asks 1",
  "0 brings 1 to [1, 1)",
  "the late write is applied",
];

test("holders model: a list of before a member restarted is refused", () => {
  assert.deepEqual(replay(VOID_LATE, MIXED, undefined), { why: undefined, played: VOID_LATE.length - 1 });
});

test("holders model: brought again before the list is written late -> the member has what it says", () => {
  assert.deepEqual(replay(LISTED_LATE, LARGE, undefined), { why: undefined, played: LISTED_LATE.length });
});

test("holders model: a proposal of two that is cut between them -> its first append has its register", () => {
  assert.deepEqual(replay(CUT_WITHIN, LARGE, undefined), { why: undefined, played: CUT_WITHIN.length });
});

/** What such a run breaks. */
const BROKEN =
  /^offset 0(: the store| is acknowledged, (in no|but member \d of its) segment)|^the register behind offset [01]/;

suite("holders model, a rule left out -> found", { concurrency: false }, () => {
  for (const [name, what] of Object.entries(VARIANTS)) {
    const variant = name as Variant;
    test(`${name}: ${what}`, () => {
      const run = RUNS[variant];
      const bounds = ON_MIXED.includes(variant) ? MIXED : LARGE;
      if (run === undefined) {
        const { finding } = searchWalks(bounds, variant, seededRandom("variants"), 20 * WALKS);
        assert.ok(finding !== undefined);
      } else {
        const { why, played } = replay(run, bounds, variant);
        assert.match(why ?? "", BROKEN);
        assert.equal(played, run.length);
        assert.equal(replay(run, bounds, undefined).why, undefined);
      }
    });
  }
});
