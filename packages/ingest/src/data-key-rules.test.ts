import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { DataKey } from "./data-key-record.ts";
import { keyToMake, OLD_MS, sealingKey, SETTLE_MS, type KeysHere, type KeyState } from "./data-key-rules.ts";

const DAY_MS = 86_400_000;
const NOW_MS = 1000 * DAY_MS;
const UP_MS = DAY_MS / 2;

type KeyHere = readonly [id: string, name: string, ageMs: number, seenForMs?: number];

/** Oldest first; without a name it is closed; seen for as long as it is old, if that is not said. */
function here(firstName: string, ...keys: readonly KeyHere[]): KeysHere {
  const seenAtMs = new Map(keys.map(([id, , ageMs, seenMs = ageMs]) => [id, UP_MS - seenMs]));
  const states = new Map<string, KeyState>();
  const list = keys.map(([id, name, ageMs]): DataKey => {
    const open: KeyState = { kind: "open", name, bytes: new Uint8Array(32) };
    states.set(id, name === "" ? { kind: "closed", why: "denied" } : open);
    return { id, provider: "aws-kms", by: "arn", wrapped: new Uint8Array(1), madeAtMs: NOW_MS - ageMs };
  });
  return { keys: list, states, seenAtMs, firstName };
}

describe("which data key seals", () => {
  const cases: [what: string, keys: KeysHere, id: string | undefined][] = [
    ["none", here("a"), undefined],
    ["one that is alone and new -> it", here("a", ["1", "a", 0]), "1"],
    [
      "a new one beside an old one -> the old one",
      here("a", ["1", "a", DAY_MS], ["2", "a", SETTLE_MS - 1]),
      "1",
    ],
    ["it has settled -> it", here("a", ["1", "a", DAY_MS], ["2", "a", SETTLE_MS]), "2"],
    ["the first name's, though older", here("a", ["1", "a", 2 * DAY_MS], ["2", "b", DAY_MS]), "1"],
    ["the first name's has not settled -> the other", here("b", ["1", "a", DAY_MS], ["2", "b", 0]), "1"],
    ["the settled one is closed -> what there is", here("b", ["1", "", DAY_MS], ["2", "b", 0]), "2"],
    ["a clock that went back -> the settled one", here("a", ["1", "a", DAY_MS], ["2", "a", -DAY_MS]), "1"],
    [
      "the clock is ahead of its maker's, and it was just seen -> the old one",
      here("a", ["1", "a", DAY_MS], ["2", "a", OLD_MS - 1, SETTLE_MS - 1]),
      "1",
    ],
    [
      "the clock is behind its maker's, and it was seen for long -> it",
      here("a", ["1", "a", DAY_MS], ["2", "a", -DAY_MS, SETTLE_MS]),
      "2",
    ],
    [
      "a start, a day after it was made -> it",
      here("a", ["1", "a", 2 * DAY_MS, 0], ["2", "a", OLD_MS, 0]),
      "2",
    ],
    [
      "a start, both made today -> the older",
      here("a", ["1", "a", 7200_000, 0], ["2", "a", 3600_000, 0]),
      "1",
    ],
    ["all are closed", here("a", ["1", "", DAY_MS]), undefined],
  ];
  for (const [what, keys, id] of cases)
    test(what, () => {
      assert.equal(sealingKey(keys, { wallMs: NOW_MS, monotonicMs: UP_MS })?.id, id);
    });
});

describe("when a data key is made", () => {
  const cases: [
    what: string,
    keys: KeysHere,
    rotateAfterMs: number,
    made: "first" | "rotation" | undefined,
  ][] = [
    ["there is none", here("a"), 0, "first"],
    ["there is one", here("a", ["1", "a", DAY_MS]), 0, undefined],
    [
      "those under the first name are closed",
      here("a", ["1", "", DAY_MS], ["2", "b", DAY_MS]),
      DAY_MS,
      "first",
    ],
    ["the newest is as old as it may become", here("a", ["1", "a", DAY_MS]), DAY_MS, "rotation"],
    ["the newest is younger", here("a", ["1", "a", 9 * DAY_MS], ["2", "a", DAY_MS - 1]), DAY_MS, undefined],
    ["a younger one under another name", here("a", ["1", "a", DAY_MS], ["2", "b", 0]), DAY_MS, "rotation"],
  ];
  for (const [what, keys, rotateAfterMs, made] of cases)
    test(`${what} -> ${made ?? "none"}`, () => {
      assert.equal(keyToMake(keys, { rotateAfterMs, nowMs: NOW_MS }), made);
    });
});
