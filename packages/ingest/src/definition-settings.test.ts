import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { checkSettings, describeSettings, settingsInForce } from "./definition-settings.ts";

test("settings: the page in the docs has each with its default and bounds", () => {
  const page = readFileSync(new URL("../../../docs/sinks.md", import.meta.url), "utf8");
  const rows = page.split("\n").filter((line) => /^\| `(storage|source)\./.test(line));
  const listed = rows.map((row) => [...row.matchAll(/`([^`]+)`/g)].slice(0, 4).map((match) => match[1]));
  const expected = describeSettings("source").map(({ name, initial, min, max }) => [name, initial, min, max]);
  assert.deepEqual(listed, expected);
});

test("settings: defaults and bounds as they are described -> taken; unset and set to the default are the same", () => {
  const value = (name: string, text: string): string | number | boolean => {
    if (name.endsWith(".count") || name.endsWith(".records")) return Number(text);
    return text === "true" || text === "false" ? text === "true" : text;
  };
  const all = describeSettings("source");
  const initial = Object.fromEntries(all.map((one) => [one.name, value(one.name, one.initial)]));
  assert.deepEqual(settingsInForce(initial), settingsInForce({}));
  for (const { name, min, max } of all) {
    for (const bound of [min, max]) checkSettings({ [name]: value(name, bound) }, "source");
  }
});

test("settings: limits of a source -> none of a sink's", () => {
  const values = { "source.limit.records": 100, "source.limit.bytes": "1MB" };
  checkSettings(values, "source");
  assert.deepEqual(settingsInForce(values).limits, { recordsPerSecond: 100, bytesPerSecond: 1024 * 1024 });
  assert.throws(() => checkSettings(values, "sink"), {
    message: '- key not found: "source.limit.bytes".\n- key not found: "source.limit.records".',
  });
  assert.ok(!describeSettings("sink").some(({ name }) => name.startsWith("source.")));
});
