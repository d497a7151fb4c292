import assert from "node:assert/strict";
import { test } from "node:test";
import { composeEdit, verdictOf, writtenIn } from "./edit-file.ts";

const YAML = "name: a/b\n# a comment of mine\nreplication: 1\n";

test("compose, then what was written -> the YAML, with its own comments", () => {
  assert.equal(writtenIn(composeEdit(YAML)), YAML);
  assert.equal(writtenIn(composeEdit(YAML, "bad\nworse")), YAML);
});

test("a problem of several lines -> each is a comment", () => {
  const lines = composeEdit(YAML, "bad\n\nworse").split("\n");
  assert.deepEqual(
    lines.filter((line) => line.startsWith("#⚠")),
    ["#⚠ bad", "#⚠ worse"],
  );
  assert.ok(lines.filter((line) => line.startsWith("#⚙")).length > 0);
});

test("verdict: white space at the ends does not count; nothing but comments of ours is empty", () => {
  assert.equal(verdictOf(YAML, `\n${YAML}\n\n`), "unchanged");
  assert.equal(verdictOf(YAML, YAML.replace("1", "2")), "changed");
  assert.equal(verdictOf(YAML, writtenIn(composeEdit(" \n"))), "empty");
});
