import assert from "node:assert/strict";
import { test } from "node:test";
import { boundsOf, refusedSettings, settingChanges, settingInput } from "./setting-input.ts";
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

test("settings: what the API refused stands at the key that was sent in its place", () => {
  const problems = [
    { field: "body.settings[1]", message: "Too much." },
    { field: "body.settings[1].value", message: "No value." },
    { field: "body.name", message: "Not of a setting." },
  ];
  assert.deepEqual(refusedSettings(["count", "interval"], problems), { interval: "Too much. No value." });
  assert.deepEqual(refusedSettings([], problems), {});
});

test("settings: bounds as a sentence; what has another form as it is", () => {
  const of = (validation?: string): string =>
    boundsOf({ ...SETTINGS[0]!, ...(validation === undefined ? {} : { validation }) });
  assert.equal(of("minimum 0, maximum 10000000"), "From 0 to 10,000,000.");
  assert.equal(of("minimum 1h0m0s, maximum 8760h0m0s"), "From 1h to 8760h.");
  assert.equal(of("minimum 100ms, maximum 1h30m0s"), "From 100ms to 1h30m.");
  assert.equal(of("minimum 0s, maximum 30m0s"), "From 0s to 30m.");
  assert.equal(of("minimum 0B, maximum 10GB"), "From 0B to 10GB.");
  assert.deepEqual([of("one of a, b"), of()], ["one of a, b.", ""]);
});
