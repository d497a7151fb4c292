import assert from "node:assert/strict";
import { test } from "node:test";
import { pressKey, SECTION_KEYS, SECTIONS, type KeyPress, type Pending } from "./shortcuts.ts";

const press = (key: string, members: Partial<KeyPress> = {}): KeyPress => ({
  key,
  modified: false,
  inField: false,
  atMs: 1000,
  ...members,
});

for (const [name, pending, given, expected] of [
  ["g waits for a letter", undefined, press("g"), [1000, undefined]],
  ["g s goes to the sources", 900, press("s"), [undefined, { kind: "go", section: "sources" }]],
  ["g and an unknown letter is forgotten", 900, press("x"), [undefined, undefined]],
  ["g g is forgotten too", 900, press("g"), [undefined, undefined]],
  ["g is forgotten after a while", -600, press("s"), [undefined, undefined]],
  ["/ writes a query", undefined, press("/"), [undefined, { kind: "query" }]],
  ["? shows the help", undefined, press("?"), [undefined, { kind: "help" }]],
  ["/ in a field is text", undefined, press("/", { inField: true }), [undefined, undefined]],
  ["s in a field after g is text", 900, press("s", { inField: true }), [undefined, undefined]],
  ["Ctrl is the browser's", undefined, press("g", { modified: true }), [undefined, undefined]],
  ["any other key", undefined, press("a"), [undefined, undefined]],
] as const satisfies readonly (readonly [string, Pending, KeyPress, unknown])[]) {
  test(`shortcuts: ${name}`, () => assert.deepEqual(pressKey(pending, given), expected));
}

test("shortcuts: every section has a letter", () => {
  assert.deepEqual(Object.values(SECTION_KEYS).sort(), [...SECTIONS].sort());
});
