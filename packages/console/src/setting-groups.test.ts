import assert from "node:assert/strict";
import { test } from "node:test";
import { settingGroups } from "./setting-groups.ts";
import type { Setting } from "./stream-definitions.ts";

const setting = (key: string, isProtected = false): Setting => {
  const value = "1";
  return {
    key,
    type: "string",
    description: "",
    value,
    defaultValue: value,
    overwritten: false,
    protected: isProtected,
  };
};

test("settings: in groups by their keys, one that nobody has named by its key, protected ones not", () => {
  const groups = settingGroups([
    setting("a.new.one"),
    setting("source.limit.bytes"),
    setting("storage.level.local.quota"),
    setting("storage.level.target.import.minInterval"),
    setting("storage.level.local.encoding.sync.mode", true),
  ]);
  assert.deepEqual(
    groups.map(({ title, settings }) => [title, settings.map(({ label }) => label)]),
    [
      ["Limits and quota", ["Bytes in a second, at most", "Bytes that may wait for the table"]],
      ["A file is imported into the table", ["Time between two imports, at least"]],
      ["Others", ["a.new.one"]],
    ],
  );
});
