// The help of every command is committed: what changes for a person shows in a diff.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import type { CliIo } from "./cli-io.ts";
import { helpOfEverything } from "./help-text.ts";
import { commandsOf, makeProgram, pathOf } from "./system-main.ts";

const GOLDEN = new URL("../src/help.golden.txt", import.meta.url);

test("help: every command -> the committed text", async () => {
  const regenerate = "the help has changed; if that is right: node packages/cli/dist/help-golden-main.js";
  assert.equal(await helpOfEverything(), readFileSync(GOLDEN, "utf8"), regenerate);
});

test("help: every command that does something -> has --json", () => {
  const program = makeProgram({} as CliIo);
  for (const command of commandsOf(program)) {
    if (command.commands.length > 0) continue;
    assert.ok(
      command.options.some(({ long }) => long === "--json"),
      `${pathOf(command)} has no --json`,
    );
  }
});

test("help: every command and option -> is described", () => {
  for (const command of commandsOf(makeProgram({} as CliIo))) {
    assert.notEqual(command.description(), "", pathOf(command));
    for (const { flags, description } of command.options) {
      assert.notEqual(description, "", `${pathOf(command)} ${flags}`);
    }
  }
});
