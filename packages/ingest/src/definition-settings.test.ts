import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { describeSettings, sinkSettings } from "./definition-settings.ts";

test("settings: the page in the docs has each with its default and bounds", () => {
  const page = readFileSync(new URL("../../../docs/sinks.md", import.meta.url), "utf8");
  const rows = page.split("\n").filter((line) => line.startsWith("| `storage."));
  const listed = rows.map((row) => [...row.matchAll(/`([^`]+)`/g)].slice(0, 4).map((match) => match[1]));
  const expected = describeSettings().map(({ name, initial, min, max }) => [name, initial, min, max]);
  assert.deepEqual(listed, expected);
});

test("settings: defaults and bounds as they are described -> taken; unset and set to the default are the same", () => {
  const value = (name: string, text: string): string | number | boolean => {
    if (name.endsWith(".count")) return Number(text);
    return text === "true" || text === "false" ? text === "true" : text;
  };
  const all = describeSettings();
  const initial = Object.fromEntries(all.map((one) => [one.name, value(one.name, one.initial)]));
  assert.deepEqual(sinkSettings(initial), sinkSettings({}));
  for (const { name, min, max } of all) {
    for (const bound of [min, max]) sinkSettings({ [name]: value(name, bound) });
  }
});
