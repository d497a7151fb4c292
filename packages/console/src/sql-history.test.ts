import assert from "node:assert/strict";
import { test } from "node:test";
import {
  HISTORY_ENTRIES_MAX,
  leavesText,
  newer,
  older,
  openHistory,
  remember,
  restoreHistory,
  saveText,
} from "./sql-history.ts";

/** Walks and collects what is shown. */
function walk(entries: readonly string[], draft: string, keys: string): string[] {
  let history = openHistory(entries);
  let shown = draft;
  return Array.from(keys).map((key) => {
    const step = key === "u" ? older(history, shown) : newer(history);
    if (step !== undefined) [history, shown] = step;
    return shown;
  });
}

for (const [name, entries, draft, keys, expected] of [
  ["up to the oldest, and no further", ["a", "b"], "", "uuu", ["b", "a", "a"]],
  [
    "down again to the draft, and no further",
    ["a", "b"],
    "draft",
    "uuddd",
    ["b", "a", "b", "draft", "draft"],
  ],
  ["what was just run is shown already -> up goes behind it", ["a", "b"], "b", "u", ["a"]],
  ["no entries", [], "draft", "ud", ["draft", "draft"]],
] as const) {
  test(`sql history: ${name}`, () => assert.deepEqual(walk(entries, draft, keys), expected));
}

test("sql history: a query that was run again moves to the end", () => {
  assert.deepEqual(remember(openHistory(["a", "b", "c"]), " a\n").entries, ["b", "c", "a"]);
});

test("sql history: nothing, and what is too long, is not remembered", () => {
  assert.deepEqual(remember(openHistory(["a"]), "  ").entries, ["a"]);
  assert.deepEqual(remember(openHistory(["a"]), "x".repeat(20_001)).entries, ["a"]);
});

test("sql history: bounded, the newest stay", () => {
  let history = openHistory([]);
  for (let i = 0; i < 250; i += 1) history = remember(history, `select ${i}`);
  assert.equal(history.entries.length, HISTORY_ENTRIES_MAX);
  assert.equal(history.entries.at(-1), "select 249");
});

test("sql history: saved and restored; foreign text -> empty", () => {
  assert.deepEqual(restoreHistory(saveText(openHistory(["a", "b"]))), openHistory(["a", "b"]));
  for (const saved of [null, "", "{", "{}", "7", "null"]) assert.deepEqual(restoreHistory(saved).entries, []);
  assert.deepEqual(restoreHistory('["a",7,null,"b"]').entries, ["a", "b"]);
});

for (const [text, at, up, down] of [
  ["", 0, true, true],
  ["one line", 3, true, true],
  ["first\nlast", 2, true, false],
  ["first\nlast", 5, true, false],
  ["first\nlast", 6, false, true],
  ["a\nb\nc", 3, false, false],
] as const) {
  test(`sql history: caret at ${at} of ${JSON.stringify(text)} -> up ${up}, down ${down}`, () => {
    const caret = { begin: at, end: at };
    assert.deepEqual([leavesText(text, caret, "up"), leavesText(text, caret, "down")], [up, down]);
  });
}

test("sql history: with a selection the arrows stay in the text", () => {
  assert.equal(leavesText("select", { begin: 0, end: 3 }, "up"), false);
});
