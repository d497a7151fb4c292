import assert from "node:assert/strict";
import { test } from "node:test";
import { settingChanges, settingInput } from "./setting-input.ts";
import type { Setting } from "./stream-definitions.ts";

const base = { description: "", defaultValue: 10, overwritten: false, protected: false };
const SETTINGS: readonly Setting[] = [
  { ...base, key: "count", type: "int", value: 10 },
  { ...base, key: "ratio", type: "float", value: 0.5 },
  { ...base, key: "interval", type: "string", value: "1s" },
  { ...base, key: "on", type: "bool", value: true },
];

test("settings: only what differs is a change, with the type that the setting has", () => {
  const touched = { count: "20", ratio: "0.5", interval: "1m0s", on: false };
  assert.deepEqual(settingChanges(SETTINGS, touched), {
    changes: [
      { key: "count", value: 20 },
      { key: "interval", value: "1m0s" },
      { key: "on", value: false },
    ],
    problems: {},
    isRefused: false,
  });
});

test("settings: null takes a value away", () => {
  assert.deepEqual(settingChanges(SETTINGS, { count: null }).changes, [{ key: "count", value: null }]);
});

test("settings: what is no number of its kind is said at its field", () => {
  const { problems, isRefused, changes } = settingChanges(SETTINGS, { count: "1.5", ratio: "much" });
  assert.deepEqual(
    [problems, isRefused, changes],
    [{ count: "a whole number", ratio: "a number" }, true, []],
  );
  assert.equal(settingChanges(SETTINGS, { count: " " }).isRefused, true);
});

test("settings: as text in a field", () => {
  assert.deepEqual([settingInput(7), settingInput(true), settingInput("1s")], ["7", true, "1s"]);
});
